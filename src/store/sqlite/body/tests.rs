//! Units as bytes: they come back, damaged ones are told, and hostile ones do no harm.
#![allow(clippy::arithmetic_side_effects, reason = "tests fail by panicking")]

use proptest::prelude::*;

use super::*;
use crate::event::{AcceptedAt, Checksum, CodecName, EventType};
use crate::store::StreamAppend;
use crate::store::sqlite::index::outline::Outline;
use crate::stream::ExpectedVersion;
use crate::testkit::effort;
use crate::{AggregateId, Category};

const ACCOUNT: Category = Category::new("account");

/// What can be told of a record: its stream, version, place in the unit, content and checksum.
type Told = (StreamName, Version, u64, NewRecord, Checksum);

fn cause(transaction: TransactionId) -> Cause {
    let fingerprint = Fingerprint::from_bytes(*b"0123456789abcdef");
    Cause { transaction, step: StepName::keyed("capture", 1), fingerprint }
}

fn record(kind: RecordKind, cause: Option<Cause>, payload: &'static [u8]) -> NewRecord {
    let event_type = kind.framework_type().unwrap_or_else(|| EventType::new("Held").expect("valid"));
    let (codec, payload) = (CodecName::new("json").expect("valid"), bytes::Bytes::from_static(payload));
    NewRecord { kind, event_type, schema: 300, codec, cause, requester: None, payload }
}

/// A unit with all that a body knows to write: three ways of names, none, the first and another cause,
/// numbers, a requester, a codec without a number, a snapshot, and an append without records.
fn unit() -> (Unit, Vec<Version>) {
    let id = AggregateId::new("7").expect("valid");
    let [one, two] = ["1", "2"].map(|text| TransactionId::derive("body", text));
    let accepted = RecordKind::Accepted { version: Version::new(9), at: AcceptedAt::Back(2) };
    let codec = CodecName::new("own").expect("valid");
    let streams = [
        (
            ACCOUNT.stream(&id),
            vec![
                record(RecordKind::Event, Some(cause(one)), b"first"),
                NewRecord { codec, ..record(RecordKind::Event, Some(cause(two)), b"") },
                record(RecordKind::Snapshot, None, b"state"),
            ],
        ),
        (
            ACCOUNT.side_stream(&id, one),
            vec![NewRecord {
                requester: Some("queue".to_owned()),
                ..record(accepted, Some(cause(one)), b"{}")
            }],
        ),
        (
            Category::new("ledger").side_stream(&id, two),
            vec![record(RecordKind::Rejected, Some(cause(two)), b"no")],
        ),
        (ACCOUNT.side_stream(&id, two), Vec::new()),
        (StreamName::parse("ledger-8").expect("valid"), vec![record(RecordKind::Fence, None, b"")]),
    ];
    let append = |(stream, records)| StreamAppend { stream, expected: ExpectedVersion::Any, records };
    let appends: Vec<_> = streams.into_iter().map(append).collect();
    (Unit::of(appends), [1, 1, 5, 1, 1 << 40].map(Version::new).to_vec())
}

/// Reads all records of a body.
fn read(bytes: &[u8]) -> Result<Vec<Told>> {
    let body = Body::parse(bytes)?;
    let mut told = Vec::new();
    for append in &body.appends {
        let stream = StreamName::parse(&append.stream)?;
        for stored in body.records(append) {
            let StoredRecord { version, checksum, data, payload } = stored?;
            let place = append.before + version.since(append.first);
            let data = NewRecord { payload: bytes::Bytes::copy_from_slice(payload), ..data };
            told.push((stream.clone(), version, place, data, Checksum(checksum)));
        }
    }
    Ok(told)
}

fn is_intact((stream, version, _, data, checksum): &Told) -> bool {
    data.checksum(stream, *version) == *checksum
}

#[test]
fn a_unit_comes_back() {
    let (unit, firsts) = unit();
    let bytes = encode(&unit, &firsts);
    let told = read(&bytes).expect("intact");
    assert!(told.iter().all(is_intact));
    let written = unit.appends.iter().zip(&firsts).flat_map(|(append, first)| {
        let versions = std::iter::successors(Some(*first), |version| Some(version.next()));
        append
            .records
            .iter()
            .zip(versions)
            .map(|(data, version)| (append.stream.clone(), version, data.clone()))
    });
    let found = told.iter().map(|(stream, version, _, data, _)| (stream.clone(), *version, data.clone()));
    assert_eq!(found.collect::<Vec<_>>(), written.collect::<Vec<_>>());
    assert_eq!(told.iter().map(|told| told.2).collect::<Vec<_>>(), (0..6).collect::<Vec<_>>());
    let [of_unit, of_body] =
        [Outline::of(&unit), Outline::read(&Body::parse(&bytes).expect("intact")).expect("intact")];
    assert_eq!((of_unit.records, of_unit.types.len()), (of_body.records, of_body.types.len()));
}

/// Each byte with one bit flipped, with all, and some in between.
fn flips(bytes: &[u8]) -> impl Iterator<Item = (usize, u8)> {
    let of_byte = || (0..8).map(|bit| 1 << bit).chain([3, 0x81, u8::MAX]);
    (0..bytes.len()).flat_map(move |at| of_byte().map(move |flip| (at, flip)))
}

/// A record that is read then and fits to its checksum is one that was
/// written, where it was written.
fn flip_all(bytes: &[u8]) {
    let written = read(bytes).expect("intact");
    let (mut refused, mut told_of) = (0, 0);
    for (at, flip) in flips(bytes) {
        let mut bad = bytes.to_vec();
        bad[at] ^= flip;
        drop(Body::parse(&bad).and_then(|body| Outline::read(&body)));
        let Ok(told) = read(&bad) else {
            refused += 1;
            continue;
        };
        let intact: Vec<_> = told.into_iter().filter(is_intact).collect();
        told_of += usize::from(intact.len() < written.len());
        let wrong = intact.iter().find(|told| !written.contains(told));
        assert!(wrong.is_none(), "byte {at} of {bytes:x?} changed by {flip:#x}: {wrong:?}");
    }
    assert!(refused > 300 && told_of > 300, "{refused} {told_of}");
}

#[test]
fn no_changed_byte_makes_another_record() {
    let (unit, firsts) = unit();
    let bytes = encode(&unit, &firsts);
    flip_all(&bytes);
    let [account, side] = [&unit.appends[0].stream, &unit.appends[1].stream].map(StreamName::as_str);
    let body = Body::parse(&bytes).expect("intact");
    let without = body.without(account, Version::new(1)).expect("intact").expect("changed");
    flip_all(&without);
    let body = Body::parse(&without).expect("intact");
    flip_all(&body.without(side, Version::new(1)).expect("intact").expect("changed"));
}

/// A changed byte never lets a record disappear either: what is left of an append is as much as it says.
#[test]
fn no_changed_byte_hides_a_record() {
    let (unit, firsts) = unit();
    let bytes = encode(&unit, &firsts);
    let written = read(&bytes).expect("intact").len();
    for (at, flip) in flips(&bytes) {
        let mut bad = bytes.clone();
        bad[at] ^= flip;
        let told = read(&bad).map_or(written, |told| told.len());
        assert!(told >= written, "byte {at} changed by {flip:#x}: {told} of {written} records");
    }
}

#[test]
fn removed_records_are_gone_and_the_others_stay() {
    let (unit, firsts) = unit();
    let bytes = encode(&unit, &firsts);
    let written = read(&bytes).expect("intact");
    let account = unit.appends[0].stream.as_str();
    let mut bytes = bytes;
    for through in 1..=3 {
        bytes = Body::parse(&bytes)
            .and_then(|body| body.without(account, Version::new(through)))
            .expect("intact")
            .expect("changed");
        let left: Vec<_> = written
            .iter()
            .filter(|told| told.0.as_str() != account || told.1.get() > through)
            .cloned()
            .collect();
        assert_eq!(read(&bytes).expect("intact"), left);
        let body = Body::parse(&bytes).expect("intact");
        assert!(body.without(account, Version::new(through)).expect("intact").is_none());
        assert_eq!(Outline::read(&body).expect("intact").records, 6, "removed ones included");
    }
}

/// Names that refer to names before them would grow without end.
#[test]
fn a_short_body_cannot_make_long_names() {
    let mut bytes = vec![FORMAT];
    put(&mut bytes, 1);
    bytes.extend_from_slice(&[7; 16]);
    put_part(&mut bytes, b"hold");
    bytes.extend_from_slice(&[7; 16]);
    put(&mut bytes, 5_000);
    put_part(&mut bytes, b"\x00\x03a-b\x01\x00\x00");
    for before in 0..4_999 {
        let mut append = vec![2];
        put(&mut append, before);
        append.extend_from_slice(&[0, 1, 0, 0]);
        put_part(&mut bytes, &append);
    }
    let longest = Body::parse(&bytes)
        .map_or(0, |body| body.appends.iter().map(|append| append.stream.len()).max().unwrap_or(0));
    assert!(longest <= NAME_BYTES, "{longest} bytes");
}

/// The format of stores that exist.
#[test]
fn the_bytes_never_change() {
    let id = AggregateId::new("7").expect("valid");
    let transaction = TransactionId::derive("golden", "transaction");
    let requested = RecordKind::Requested { aggregate_version: Version::new(300) };
    let appends = [
        (ACCOUNT.stream(&id), vec![record(RecordKind::Event, Some(cause(transaction)), b"{}")]),
        (ACCOUNT.side_stream(&id, transaction), vec![record(requested, Some(cause(transaction)), b"")]),
    ];
    let append = |(stream, records)| StreamAppend { stream, expected: ExpectedVersion::Any, records };
    let unit = Unit::of(appends.map(append).to_vec());
    let bytes = encode(&unit, &[Version::new(8), Version::new(1)]);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let pinned = "010172282b8f9d8656ff927e18f022b2b4ea09636170747572653a31303132333435363738396162\
        63646566021e00096163636f756e742d37080100910448656c64ac0202ca94422e027b7d1202000001010015ac0200ac020219\
        3c87e500";
    assert_eq!(hex, pinned, "units in people's stores could not be read any more");
}

/// Whatever the bytes are, they are read, or refused.
fn take_apart(bytes: &[u8]) {
    let Ok(body) = Body::parse(bytes) else { return };
    drop(Outline::read(&body));
    for append in &body.appends {
        drop(body.without(&append.stream, append.first.plus(1)));
        body.records(append).for_each(drop);
        body.records(append).skip_to(Version::new(u64::MAX)).ok();
    }
}

proptest! {
    #![proptest_config(effort::proptest_config(2_000, "proptest-regressions/unit_bodies.txt"))]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let [plain, marked] = [bytes.clone(), [vec![FORMAT], bytes].concat()];
        take_apart(&plain);
        take_apart(&marked);
    }

    #[test]
    fn mutated_bodies_are_read_or_refused(
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..4_u8, any::<u8>()), 1..8),
    ) {
        let (unit, firsts) = unit();
        let mut bytes = encode(&unit, &firsts);
        for (index, what, byte) in edits {
            let at = index.index(bytes.len());
            match what {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => drop(bytes.drain(at..).take(usize::from(byte)).count()),
                _ => bytes.extend_from_within(at..),
            }
            if bytes.is_empty() {
                break;
            }
        }
        take_apart(&bytes);
    }
}
