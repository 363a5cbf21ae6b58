//! Hostile input at every door: errors, never a panic, never more than the bounds.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests: what fails panics"
)]

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use sidestream::clock::Timestamp;
use sidestream::codec::Codecs;
use sidestream::event::{CodecName, EventType, NewRecord, Record, RecordKind};
use sidestream::id::{Cause, Fingerprint};
use sidestream::partition::{PartitionCount, PartitionId};
use sidestream::side_stream::SideStream;
use sidestream::stream::{Position, StreamName, Version};
use sidestream::testkit::{controls, effort};
use sidestream::{AggregateId, Category, StepName, TransactionId};

/// A type with everything that a format can be led astray by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Anything {
    Nothing,
    Number(i64),
    Wide(u128),
    Text(String),
    Bytes(Vec<u8>),
    Nested(Vec<Anything>),
    Units(Vec<()>),
    Map(BTreeMap<String, Anything>),
    Fields { first: Option<Box<Anything>>, second: (bool, char) },
}

fn anything() -> impl Strategy<Value = Anything> {
    let leaf = prop_oneof![
        Just(Anything::Nothing),
        any::<i64>().prop_map(Anything::Number),
        any::<u64>().prop_map(|wide| Anything::Wide(u128::from(wide))),
        ".{0,8}".prop_map(Anything::Text),
        prop::collection::vec(any::<u8>(), 0..8).prop_map(Anything::Bytes),
        (0_usize..100).prop_map(|count| Anything::Units(vec![(); count])),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Anything::Nested),
            prop::collection::btree_map(".{0,4}", inner.clone(), 0..4).prop_map(Anything::Map),
            (prop::option::of(inner.prop_map(Box::new)), any::<(bool, char)>())
                .prop_map(|(first, second)| Anything::Fields { first, second }),
        ]
    })
}

fn record(codec: &'static str, payload: Vec<u8>) -> NewRecord {
    NewRecord {
        kind: RecordKind::Event,
        event_type: EventType::new("Anything").unwrap(),
        schema: 1,
        codec: CodecName::new(codec).unwrap(),
        cause: None,
        requester: None,
        payload: payload.into(),
    }
}

proptest! {
    #![proptest_config(effort::proptest_config(2_000, "proptest-regressions/hostile.txt"))]

    #[test]
    fn any_bytes_decode_to_a_value_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for codec in ["bincode", "json", "unknown"] {
            let _ = Codecs::default().open(&record(codec, bytes.clone())).decode::<Anything>();
        }
    }

    /// What was written is read again, and a cut, a longer one, or one with a flipped bit is no panic.
    #[test]
    fn damaged_values_are_refused_or_read_as_others(value in anything(), at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        for codecs in [Codecs::bincode(), Codecs::json()] {
            let (codec, payload) = codecs.encode(&value).expect("encodes");
            let name = if codec.as_str() == "json" { "json" } else { "bincode" };
            let back: Anything = codecs.open(&record(name, payload.to_vec())).decode().expect("decodes");
            prop_assert_eq!(&back, &value);

            let cut = payload[..at.index(payload.len())].to_vec();
            prop_assert!(codecs.open(&record(name, cut)).decode::<Anything>().is_err());
            let longer = [&payload[..], &[0]].concat();
            prop_assert!(codecs.open(&record(name, longer)).decode::<Anything>().is_err());
            let mut flipped = payload.to_vec();
            flipped[at.index(payload.len())] ^= 1 << bit;
            let _ = codecs.open(&record(name, flipped)).decode::<Anything>();
        }
    }

    /// A name that is taken is kept as it is, within its bounds, and read back.
    #[test]
    fn any_text_is_a_valid_name_or_refused(text in prop_oneof![".{0,300}", "[a-zA-Z0-9:_+./-]{0,300}"]) {
        if let Ok(id) = AggregateId::new(&text) {
            prop_assert_eq!(id.as_str(), &text);
            prop_assert!(text.len() <= 200 && !text.chars().any(char::is_control));
            let stream = Category::new("account").stream(&id);
            prop_assert_eq!(StreamName::parse(stream.as_str()).expect("parses"), stream.clone());
            prop_assert_eq!(stream.cardinal(), id.cardinal());
            let side = Category::new("account").side_stream(&id, controls::transaction_id());
            prop_assert_eq!(side.side_parts(), Some((id, controls::transaction_id())));
            prop_assert_eq!(side.cardinal(), stream.cardinal());
        }
        if let Ok(stream) = StreamName::parse(&text) {
            prop_assert_eq!(stream.as_str(), &text);
            prop_assert!(PartitionCount::default().of(stream.cardinal()).get() < 16);
        }
        if let Ok(step) = StepName::parse(&text) {
            prop_assert_eq!(step.as_str(), &text);
            prop_assert!(text.len() <= 64);
        }
        let _ = text.parse::<TransactionId>();
        let _ = EventType::new(text.clone());
        let _ = CodecName::new(text);
    }

    #[test]
    fn any_kind_is_known_or_refused(code in any::<u8>(), first in any::<u64>(), second in any::<u64>()) {
        if let Ok(kind) = RecordKind::from_parts(code, (first, second)) {
            prop_assert_eq!(kind.code(), code);
            prop_assert_eq!(RecordKind::from_parts(kind.code(), kind.numbers()).expect("known"), kind);
        }
    }

    /// A side stream of any records at all folds, or is refused; a fold never holds more than it was given.
    #[test]
    fn any_side_stream_folds_or_is_refused(
        kinds in prop::collection::vec((1_u8..11, 0_u64..5, 0_usize..3, any::<bool>()), 0..12),
    ) {
        let stream = Category::new("account").side_stream(&controls::aggregate_id(), controls::transaction_id());
        let steps = ["hold", "capture:1", "release"];
        let mut records = Vec::new();
        for (number, (code, version, step, damage)) in kinds.into_iter().enumerate() {
            let Ok(kind) = RecordKind::from_parts(code, (version, 1)) else { continue };
            let step = StepName::parse(steps[step]).expect("valid");
            let fingerprint = Fingerprint::from_bytes([7; 16]);
            let cause = Cause { transaction: controls::transaction_id(), step, fingerprint };
            let data = NewRecord { kind, cause: Some(cause), ..record("none", Vec::new()) };
            let version = Version::new(u64::try_from(number).expect("small") + 1);
            let mut checksum = data.checksum(&stream, version);
            checksum.0 ^= u32::from(damage && number == 5);
            records.push(Record {
                stream: stream.clone(),
                version,
                partition: PartitionId::new(0),
                position: Position::new(version.get()),
                recorded_at: Timestamp::from_micros(0),
                data,
                checksum,
            });
        }
        if let Ok(side) = SideStream::fold(&records) {
            prop_assert_eq!(side.version.get(), u64::try_from(records.len()).expect("small"));
            prop_assert!(side.settled.len() <= records.len() / 2);
        }
    }
}
