//! One unit: whole, durable, conditional, stored as given.

use bytes::Bytes;

use super::Fixture;
use super::records::{
    Subject, accepted, account, assert_wrong_version, cause, event, event_of, events, framework, message,
    messages_of, payloads, poll_some, rejected, requested, resumed, side, snapshot, to, transaction, unit, v,
};
use crate::event::{AcceptedAt, CodecName, EventType, NewRecord, RecordKind};
use crate::id::{Cause, Fingerprint, StepName};
use crate::limits;
use crate::store::{AppendFailure, Unit};
use crate::stream::{ExpectedVersion, Position, Version};

/// > commit each unit whole or not at all
///
/// # Panics
/// When the store breaks it.
pub async fn commits_each_unit_whole_or_not_at_all(fixture: &dyn Fixture) {
    let subject = Subject::open(fixture).await;
    let (a, b) = (account(1), account(2));
    let too_large = event(vec![0; limits::PAYLOAD_BYTES + 1]);
    let bad = unit(&a, v(0), vec![event("1"), too_large, event("3")]);
    subject.append_one(bad).await.expect_err("a record is too large");
    subject.commit(unit(&a, v(0), events("a", 3))).await;
    assert_eq!(payloads(&subject.stream(&a).await), payloads_of(&events("a", 3)));

    if subject.is_batch("units of several streams") {
        let half_right = Unit::of(vec![to(&a, v(3), events("no", 1)), to(&b, v(7), events("no", 1))]);
        subject.append_one(half_right).await.expect_err("the second stream is not at 7");
        assert_eq!((subject.head(&a).await, subject.head(&b).await), (v(3), v(0)));
        subject.commit(Unit::of(vec![to(&a, v(3), events("a", 2)), to(&b, v(0), events("b", 2))])).await;
        assert_eq!((subject.head(&a).await, subject.head(&b).await), (v(5), v(2)));
    }
    let expected = if subject.head(&b).await == v(2) { 7 } else { 3 };
    assert_eq!(subject.log().await.len(), expected, "the log holds whole units only");
}

/// > take an aggregate's stream and, behind it, the stream of its messages as one where it is atomic per stream
/// > only
///
/// # Panics
/// When the store breaks it.
pub async fn commits_messages_with_their_aggregate_or_not_at_all(fixture: &dyn Fixture) {
    let subject = Subject::open(fixture).await;
    let (a, to_others) = (account(1), messages_of(1));
    let both = |version, number| {
        let told = to(&to_others, ExpectedVersion::Any, vec![message(number, 0), message(number, 1)]);
        Unit::of(vec![to(&a, v(version), events("a", 1)), told])
    };
    let committed = subject.commit(both(0, 1)).await;
    subject.append_one(both(0, 2)).await.expect_err("the aggregate is at 1: nothing is told of it");
    assert_eq!((subject.head(&a).await, subject.head(&to_others).await), (v(1), v(2)));
    subject.commit(both(1, 3)).await;
    let told = subject.stream(&to_others).await;
    assert_eq!(told.iter().map(|record| record.version).collect::<Vec<_>>(), [1, 2, 3, 4].map(v));
    assert_eq!(told[0].position, committed.first.next(), "a unit's records lie next to each other");
    let found: Vec<_> = told.into_iter().map(|record| record.data).collect();
    assert_eq!(found, [(1, 0), (1, 1), (3, 0), (3, 1)].map(|(number, index)| message(number, index)));
}

fn payloads_of(records: &[NewRecord]) -> Vec<Bytes> {
    records.iter().map(|record| record.payload.clone()).collect()
}

/// An append whose future is dropped is committed or not, and a conditional append tells which.
///
/// # Panics
/// When the store breaks it.
pub async fn a_dropped_append_is_done_whole_or_not_at_all(fixture: &dyn Fixture) {
    let subject = Subject::open(fixture).await;
    for number in 0..32 {
        let stream = account(number);
        {
            let dropped = subject.append(vec![unit(&stream, v(0), events("dropped", 3))]);
            poll_some(dropped, number % 4).await;
        }
        let after = subject.append_one(unit(&stream, v(0), events("after", 1))).await;
        let (found, done) = (subject.stream(&stream).await, after.is_err());
        let expected = if done { events("dropped", 3) } else { events("after", 1) };
        assert_eq!(payloads(&found), payloads_of(&expected), "stream {stream}: {after:?}");
    }
}

/// > answer `Ok` only when the unit is durable
///
/// # Panics
/// When the store breaks it.
pub async fn answers_ok_only_when_the_unit_is_durable(fixture: &dyn Fixture) {
    let mut subject = Subject::open(fixture).await;
    let stream = account(1);
    for round in 0..5 {
        let committed = subject.commit(unit(&stream, v(round * 2), events("a", 2))).await;
        subject = subject.reopen(fixture).await;
        let found = subject.stream(&stream).await;
        assert_eq!(found.len(), usize::try_from(round * 2 + 2).expect("small"), "after opening again");
        assert_eq!(found[found.len() - 2].position, committed.first);
        assert_eq!(subject.log().await, found, "the log after opening again");
    }
}

/// > commit a unit only when every stream of it is at the expected version at that moment, and answer
/// > `WrongVersion` with the stream and the version found otherwise
///
/// # Panics
/// When the store breaks it.
pub async fn commits_a_unit_only_when_every_stream_is_at_the_expected_version(fixture: &dyn Fixture) {
    use ExpectedVersion::{Any, Exact, NoStream};
    let subject = Subject::open(fixture).await;
    let (a, b) = (account(1), account(2));
    let demands =
        |head: u64| [(NoStream, head == 0), (Exact(v(0)), head == 0), (Exact(v(2)), head == 2), (Any, true)];
    for head in [0, 2] {
        for (demand, met) in demands(head) {
            // Without records a unit is the bare demand.
            let bare = subject.append_one(unit(&a, demand, vec![])).await;
            assert_eq!(bare.is_ok(), met, "{demand} at {head}: {bare:?}");
            if !met {
                assert_wrong_version(&bare, &a, demand, head);
                let result = subject.append_one(unit(&a, demand, events("no", 1))).await;
                assert_wrong_version(&result, &a, demand, head);
            }
        }
        let ahead = Exact(v(head + 1));
        assert_wrong_version(&subject.append_one(unit(&a, ahead, events("no", 1))).await, &a, ahead, head);
        subject.commit(unit(&a, v(head), events("a", 2))).await;
    }
    subject.commit(unit(&a, Any, events("any", 1))).await;
    assert_eq!(subject.head(&a).await, v(5));

    if subject.is_batch("expected versions of several streams") {
        let mixed = Unit::of(vec![to(&b, v(0), events("no", 1)), to(&a, v(4), vec![])]);
        assert_wrong_version(&subject.append_one(mixed).await, &a, Exact(v(4)), 5);
        let demand = Unit::of(vec![to(&b, v(0), events("b", 1)), to(&a, v(5), vec![])]);
        subject.commit(demand).await;
        assert_eq!((subject.head(&a).await, subject.head(&b).await), (v(5), v(1)));
    }
}

/// > answer `Unknown`, and nothing else, where the outcome is not certain
///
/// # Panics
/// When the store breaks it.
pub async fn answers_unknown_where_the_outcome_is_not_certain(fixture: &dyn Fixture) {
    let mut subject = Subject::open(fixture).await;
    for number in 0..4 {
        if !fixture.lose_next_outcome().await {
            return super::skip("lost outcomes", "the fixture cannot lose one");
        }
        let stream = account(number);
        let lost = subject.append(vec![unit(&stream, v(0), events("lost", 2))]).await;
        assert!(matches!(lost[0], Err(AppendFailure::Unknown(_))), "{lost:?}");
        // Only a later conditional append tells.
        let later = subject.append_one(unit(&stream, v(0), events("later", 1))).await;
        subject = subject.reopen(fixture).await;
        let label = if later.is_ok() { events("later", 1) } else { events("lost", 2) };
        assert_eq!(payloads(&subject.stream(&stream).await), payloads_of(&label), "{later:?}");
    }
}

/// > store each record's checksum and every field as given
///
/// # Panics
/// When the store breaks it.
pub async fn stores_the_checksum_and_every_field_as_given(fixture: &dyn Fixture) {
    let subject = Subject::open(fixture).await;
    for (stream, given) in [(account(1), aggregate_records()), (side(1), side_records())] {
        subject.commit(unit(&stream, v(0), given.clone())).await;
    }
    let subject = subject.reopen(fixture).await;
    let mut log = Vec::new();
    for (stream, given) in [(account(1), aggregate_records()), (side(1), side_records())] {
        let found = subject.stream(&stream).await;
        assert_eq!(found.len(), given.len());
        for (record, given) in found.iter().zip(&given) {
            assert_eq!(&record.data, given);
            assert_eq!((&record.stream, record.partition), (&stream, subject.home));
            assert_eq!(record.checksum, given.checksum(&stream, record.version));
            record.verify().expect("intact");
        }
        log.extend(found);
    }
    log.retain(|record| subject.properties.shows(&record.stream));
    assert_eq!(subject.log().await, log, "the log shows the same records");
}

fn aggregate_records() -> Vec<NewRecord> {
    let of_step = Cause {
        transaction: transaction(1),
        step: StepName::keyed("capture", "ключ '1'; --"),
        fingerprint: Fingerprint::from_bytes([255; 16]),
    };
    let widest = NewRecord {
        event_type: EventType::new("é".repeat(limits::EVENT_TYPE_BYTES / 2)).expect("valid"),
        schema: u16::MAX,
        codec: CodecName::new("c".repeat(limits::CODEC_NAME_BYTES)).expect("valid"),
        cause: Some(of_step),
        ..event(Bytes::from((0..=255).collect::<Vec<u8>>()))
    };
    let narrowest = NewRecord { schema: 0, ..event_of("x", "") };
    vec![
        widest,
        narrowest,
        framework(RecordKind::Marker, Some(cause(2, "a"))),
        framework(RecordKind::Fence, Some(cause(3, "b"))),
        snapshot("state"),
    ]
}

fn side_records() -> Vec<NewRecord> {
    let farthest = Version::MAX;
    let at = AcceptedAt::At(Position::new(Version::MAX.get()));
    vec![
        NewRecord { requester: Some("queue/é".to_owned()), ..requested(1, "a", 0) },
        resumed(1, "a", farthest.get()),
        accepted(1, "a", 1),
        NewRecord {
            requester: Some("r".repeat(limits::REQUESTER_BYTES)),
            ..requested(1, "b", farthest.get())
        },
        framework(RecordKind::Accepted { version: farthest, at }, Some(cause(1, "b"))),
        requested(1, "c", 5),
        framework(
            RecordKind::Accepted { version: v(1), at: AcceptedAt::Back(u32::MAX) },
            Some(cause(1, "c")),
        ),
        requested(1, "d", 6),
        rejected(1, "d"),
    ]
}
