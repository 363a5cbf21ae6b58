//! Versions, positions and times.

use std::time::Duration;

use super::Fixture;
use super::records::{Subject, account, events, to, unit, v};
use crate::clock::Timestamp;
use crate::store::{Committed, Unit};
use crate::stream::Position;

/// > give records versions without gaps from 1 in each stream, and positions without gaps from 1 in each
/// > partition, in commit order, a unit's records next to each other in the order given
///
/// # Panics
/// When the store breaks it.
pub async fn gives_versions_and_positions_without_gaps_in_commit_order(fixture: &dyn Fixture) {
    let subject = Subject::open(fixture).await;
    let (a, b, c) = (account(1), account(2), account(3));
    let lists = vec![
        vec![unit(&a, v(0), vec![])],
        vec![unit(&a, v(0), events("a", 3)), unit(&b, v(7), events("no", 5)), unit(&c, v(0), events("c", 1))],
        vec![unit(&b, v(0), events("b", 2)), unit(&a, v(3), vec![]), unit(&a, v(3), events("a", 1))],
    ];
    let mut expected = vec![];
    for list in lists {
        commit_and_note(&subject, list, &mut expected).await;
    }
    if subject.is_batch("the order within units of several streams") {
        // Not in the order of the names: in the order given.
        let mixed =
            Unit::of(vec![to(&c, v(1), events("c", 2)), to(&b, v(2), vec![]), to(&a, v(4), events("a", 2))]);
        commit_and_note(&subject, vec![mixed], &mut expected).await;
    }
    let subject = subject.reopen(fixture).await;
    let log = subject.log().await;
    let found: Vec<_> =
        log.iter().map(|record| (record.stream.clone(), record.data.payload.clone())).collect();
    assert_eq!(found, expected);
    for (number, record) in log.iter().enumerate() {
        assert_eq!(record.position, Position::new(u64::try_from(number).expect("small") + 1));
        let before = log[..number].iter().filter(|other| other.stream == record.stream).count();
        assert_eq!(record.version, v(u64::try_from(before).expect("small") + 1), "in {}", record.stream);
    }
    for stream in [a, b, c] {
        let of_stream: Vec<_> = log.iter().filter(|record| record.stream == stream).cloned().collect();
        assert_eq!(subject.stream(&stream).await, of_stream, "stream and log agree");
    }
}

type Noted = (crate::stream::StreamName, bytes::Bytes);

/// Appends a list, adds what must now be in the log, and checks where each unit says that it is.
async fn commit_and_note(subject: &Subject, list: Vec<Unit>, log: &mut Vec<Noted>) {
    for (unit, result) in list.clone().into_iter().zip(subject.append(list).await) {
        let Ok(Committed { first, .. }) = result else { continue };
        let last = u64::try_from(log.len()).expect("small");
        let place = if unit.is_empty() { last } else { last + 1 };
        assert_eq!(first, Position::new(place), "of {unit:?}");
        for append in unit.appends {
            log.extend(append.records.into_iter().map(|record| (append.stream.clone(), record.payload)));
        }
    }
}

/// > stamp a unit with a time that never goes back within a partition
///
/// # Panics
/// When the store breaks it.
pub async fn stamps_a_unit_with_a_time_that_never_goes_back(fixture: &dyn Fixture) {
    let mut subject = Subject::open(fixture).await;
    let noon = Timestamp::from_micros(1_700_000_000_000_000);
    let mut clocks =
        [noon, noon.before(Duration::from_secs(3_600)), noon, noon.after(Duration::from_secs(1))];
    if !fixture.set_clock(noon).await {
        super::skip("a clock that goes back", "the fixture cannot set it");
        clocks = [Timestamp::MIN; 4];
    }
    let (mut last, mut times) = (Timestamp::MIN, vec![]);
    for (number, clock) in clocks.into_iter().enumerate() {
        fixture.set_clock(clock).await;
        let list = (0..8).map(|n| unit(&account(number * 8 + n), v(0), events("a", 2))).collect();
        for result in subject.append(list).await {
            let Committed { recorded_at, .. } = result.expect("a new stream");
            assert!(recorded_at >= last, "{recorded_at} after {last}");
            last = recorded_at;
            times.extend([recorded_at; 2]);
        }
        // The last time is the store's, not the process's.
        subject = subject.reopen(fixture).await;
    }
    let stored: Vec<_> = subject.log().await.iter().map(|record| record.recorded_at).collect();
    assert_eq!(stored, times, "each record has the time that its unit was answered");
}
