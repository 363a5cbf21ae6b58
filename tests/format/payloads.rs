//! The bytes of the payments' values, in both codecs: written today, and read from the golden file.

use std::fmt::Debug;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sidestream::codec::Codecs;
use sidestream::event::{CodecName, EventType, NewRecord, RecordKind};

use crate::account::{Command, Event, Funds, Hold, Rejection, State};
use crate::golden::{Golden, hex, unhex};

const FILE: &str = "payloads.txt";
const WHAT_TO_DO: &str = "\
These bytes stand in people's stores. A changed type needs a new schema version in the decider's SCHEMAS and an
upcaster that reads the old bytes (decider.rs): add lines for the new version and keep these. A changed codec needs
another name (codec.rs). Nothing else may change a line.";

struct Pins {
    golden: Golden,
    found: Vec<(String, String)>,
}

impl Pins {
    /// Pins a value in both codecs, and demands that it is read from what is pinned.
    fn add<T: Serialize + DeserializeOwned + PartialEq + Debug>(&mut self, what: &str, value: &T) {
        for codecs in [Codecs::bincode(), Codecs::json()] {
            let (codec, bytes) = codecs.encode(value).expect("encodes");
            let name = format!("{what} {value:?} in {codec}");
            let text = if codec.as_str() == "json" {
                String::from_utf8(bytes.to_vec()).expect("UTF-8")
            } else {
                hex(&bytes)
            };
            if let Some(pinned) = self.golden.value(&name) {
                let bytes = if codec.as_str() == "json" { pinned.as_bytes().to_vec() } else { unhex(pinned) };
                let record = record(codec, bytes);
                let read: T = codecs
                    .open(&record)
                    .decode()
                    .unwrap_or_else(|error| panic!("{name}: {error}\n{WHAT_TO_DO}"));
                assert_eq!(read, *value, "{name} reads as another value\n{WHAT_TO_DO}");
            }
            self.found.push((name, text));
        }
    }
}

fn record(codec: CodecName, payload: Vec<u8>) -> NewRecord {
    let event_type = EventType::new("Golden").expect("valid");
    let (kind, payload) = (RecordKind::Event, Bytes::from(payload));
    NewRecord { kind, event_type, schema: 1, codec, cause: None, requester: None, payload }
}

#[test]
fn the_bytes_of_every_value_are_as_they_were() {
    let mut pins = Pins { golden: Golden::open(FILE), found: Vec::new() };
    for minor in [1, 250, 251, 12_500, 65_536, 1 << 32, i64::MAX] {
        pins.add("command", &Command::Deposit { minor });
    }
    pins.add("command", &Command::Hold { minor: 12_500 });
    pins.add("command", &Command::Hold { minor: -1 });
    pins.add("command", &Command::Capture { part: 1, minor: 12_500 });
    pins.add("command", &Command::Capture { part: u32::MAX, minor: i64::MIN });
    pins.add("command", &Command::Release);
    for event in [
        Event::Deposited { minor: 12_500 },
        Event::Held { minor: 1 },
        Event::Captured { minor: i64::MAX },
        Event::Released { minor: 300 },
    ] {
        pins.add("event", &event);
    }
    for state in
        [None, Some(Funds { available: 0, held: 0 }), Some(Funds { available: i64::MAX, held: 12_500 })]
    {
        pins.add::<State>("state", &state);
    }
    for left in [0, 12_500, i64::MAX] {
        pins.add("transaction", &Hold { left });
    }
    for rejection in [
        Rejection::NotPositive,
        Rejection::TooMuch,
        Rejection::UnknownAccount,
        Rejection::Insufficient { available: 7 },
        Rejection::ExceedsHold { held: 0 },
        Rejection::NothingHeld,
    ] {
        pins.add("rejection", &rejection);
    }
    pins.golden.check(&pins.found, WHAT_TO_DO);
}
