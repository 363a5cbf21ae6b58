//! Records: the numbers of their kinds, and their checksums.

use bytes::Bytes;
use sidestream::event::{AcceptedAt, CodecName, EventType, NewRecord, RecordKind};
use sidestream::id::{Cause, Fingerprint, StepName};
use sidestream::stream::{Position, Version};
use sidestream::{AggregateId, Category, TransactionId};

use crate::golden::Golden;

const WHAT_TO_DO: &str = "\
Codes, numbers and checksums stand in people's stores beside every record, and this format may not change: stores would
be reported as altered, or be read as something else. A new kind gets a code of its own; a new field in a record is left
out of the checksum where it is absent, as `cause` and `requester` are.";

const KINDS: [RecordKind; 13] = [
    RecordKind::Event,
    RecordKind::Marker,
    RecordKind::Fence,
    RecordKind::Snapshot,
    RecordKind::Requested { aggregate_version: Version::new(0) },
    RecordKind::Requested { aggregate_version: Version::new(5_000_000) },
    RecordKind::Resumed { scanned_to: Version::new(7) },
    RecordKind::Accepted { version: Version::new(8), at: AcceptedAt::Back(2) },
    RecordKind::Accepted { version: Version::new(u64::MAX), at: AcceptedAt::Back(u32::MAX) },
    RecordKind::Accepted { version: Version::new(8), at: AcceptedAt::At(Position::new(9)) },
    RecordKind::Rejected,
    RecordKind::Anchor,
    RecordKind::Message { index: 3 },
];

#[test]
fn the_codes_and_numbers_of_all_kinds_are_as_they_were() {
    let mut found = Vec::new();
    for kind in KINDS {
        let (code, numbers) = (kind.code(), kind.numbers());
        assert_eq!(RecordKind::from_parts(code, numbers).expect("a kind"), kind, "{WHAT_TO_DO}");
        let event_type = kind.framework_type().map_or("its own".to_owned(), |name| name.to_string());
        found.push((format!("{kind:?}"), format!("code {code}, numbers {numbers:?}, type {event_type}")));
    }
    for code in [0, 12, u8::MAX] {
        let error = RecordKind::from_parts(code, (0, 0)).expect_err("no such kind");
        assert!(error.to_string().contains("unknown"), "{error}");
    }
    Golden::open("kinds.txt").check(&found, WHAT_TO_DO);
}

fn record(kind: RecordKind, cause: bool, requester: Option<&str>, payload: &'static [u8]) -> NewRecord {
    let event_type = kind.framework_type().unwrap_or_else(|| EventType::new("Deposited").expect("valid"));
    let cause = cause.then(|| Cause {
        transaction: TransactionId::derive("golden", "transaction"),
        step: StepName::keyed("capture", 1),
        fingerprint: Fingerprint::from_bytes(*b"0123456789abcdef"),
    });
    let codec = CodecName::new("json").expect("valid");
    let (requester, payload) = (requester.map(str::to_owned), Bytes::from_static(payload));
    NewRecord { kind, event_type, schema: 1, codec, cause, requester, payload }
}

#[test]
fn the_checksums_of_records_are_as_they_were() {
    let account = AggregateId::new("7").expect("valid");
    let category = Category::new("account");
    let stream = category.stream(&account);
    let side = category.side_stream(&account, TransactionId::derive("golden", "transaction"));
    let mut found = Vec::new();
    for kind in KINDS {
        let sum = record(kind, true, None, b"{}").checksum(&stream, Version::new(1));
        found.push((format!("{kind:?} with a cause"), sum.to_string()));
    }
    let event = || record(RecordKind::Event, false, None, b"{\"minor\":1}");
    let mut pin = |name: &str, record: &NewRecord, at: &sidestream::stream::StreamName, version: u64| {
        found.push((name.to_owned(), record.checksum(at, Version::new(version)).to_string()));
    };
    pin("an event without a cause", &event(), &stream, 1);
    pin("the same at version 2", &event(), &stream, 2);
    pin("the same in a side stream", &event(), &side, 1);
    pin("the same, empty", &NewRecord { payload: Bytes::new(), ..event() }, &stream, 1);
    pin("the same of schema 2", &NewRecord { schema: 2, ..event() }, &stream, 1);
    pin("with a requester", &record(KINDS[4], true, Some("queue-a"), b"{}"), &side, 1);
    Golden::open("checksums.txt").check(&found, WHAT_TO_DO);
}
