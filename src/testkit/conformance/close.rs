//! Closing partitions at a time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::Fixture;
use super::records::{Subject, account, event, events, unit, v};
use crate::clock::Timestamp;
use crate::partition::PartitionId;
use crate::store::Unit;
use crate::stream::{ExpectedVersion, Position};
use crate::testkit::parallel;

const WRITERS: usize = 3;
const NOON: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);
const HOUR: Duration = Duration::from_secs(3_600);

impl Subject {
    async fn close(&self, through: Timestamp) -> Timestamp {
        let closed = self.store.close_partitions(&[self.home], through).await.expect("closed");
        assert_eq!(closed.len(), 1, "each partition has one answer");
        closed[0]
    }

    /// The positions of the records at or before a time.
    async fn positions_to(&self, closed: Timestamp) -> Vec<Position> {
        let log = self.log().await.into_iter();
        log.filter(|record| record.recorded_at <= closed).map(|record| record.position).collect()
    }
}

/// > stamp every later unit of that log after that time, on every instance, after every opening, and whatever the
/// > clock says
///
/// # Panics
/// When the store breaks it.
pub async fn stamps_every_later_unit_after_the_time(fixture: &dyn Fixture) {
    let mut subject = Subject::open(fixture).await;
    let mut clocks = [NOON, NOON.after(HOUR), NOON.before(HOUR), NOON, Timestamp::MIN, NOON.after(HOUR)];
    if !fixture.set_clock(NOON).await {
        super::skip("closing with a clock that goes back", "the fixture cannot set it");
        clocks = [Timestamp::MAX; 6];
    }
    let mut last = Timestamp::MIN;
    for (number, clock) in clocks.into_iter().enumerate() {
        fixture.set_clock(clock).await;
        let closed = subject.close(Timestamp::MAX).await;
        assert!(closed >= last, "{closed}: the records before it are covered, the last one at {last}");
        // The clock that the writer sees stands, or went back.
        fixture.set_clock(clock.before(HOUR)).await;
        if number % 2 == 0 {
            subject = subject.reopen(fixture).await;
        }
        let demand = subject.commit(unit(&account(number), v(0), vec![])).await;
        let committed = subject.commit(unit(&account(number), v(0), events("a", 1))).await;
        assert!(demand.recorded_at > closed && committed.recorded_at > closed, "{committed:?}, {closed}");
        last = committed.recorded_at;
    }
}

/// > show, to reads that begin after the call, every record that was or will be recorded in a partition's log at or
/// > before its time
///
/// # Panics
/// When the store breaks it.
pub async fn shows_every_record_at_or_before_the_time(fixture: &dyn Fixture) {
    let subject = Subject::open(fixture).await;
    let writing = AtomicUsize::new(WRITERS);
    let writing = std::sync::Arc::new(writing);
    let task = |number: usize| {
        let (subject, writing) = (subject.clone(), std::sync::Arc::clone(&writing));
        async move {
            if number < WRITERS {
                write(&subject, number).await;
                writing.fetch_sub(1, Ordering::SeqCst);
                return vec![];
            }
            let mut seen = vec![];
            while writing.load(Ordering::SeqCst) > 0 || seen.len() < 10 {
                // In turn: as late as can be, and at what was recorded.
                let last = subject.log().await.last().map_or(Timestamp::MIN, |last| last.recorded_at);
                for through in [Timestamp::MAX, last] {
                    let closed = subject.close(through).await;
                    seen.push((closed, subject.positions_to(closed).await));
                    // Something follows in any case.
                    let next = event(format!("{}", seen.len()));
                    subject.commit(unit(&account(number), ExpectedVersion::Any, vec![next])).await;
                }
            }
            seen
        }
    };
    let seen = parallel((0..=WRITERS).map(task)).await.concat();
    assert!(seen.is_sorted_by_key(|(closed, _)| *closed), "a time went back");
    for (closed, positions) in seen {
        assert_eq!(positions, subject.positions_to(closed).await, "at or before {closed}");
    }
}

async fn write(subject: &Subject, number: usize) {
    for round in 0..20 {
        let stream = account(number * 100 + round % 3);
        let list: Vec<Unit> = (0..=round % 3)
            .map(|n| unit(&stream, ExpectedVersion::Any, vec![event(format!("{n}"))]))
            .collect();
        for committed in subject.append(list).await {
            committed.expect("nothing is expected");
        }
    }
}

/// > answer no time before one that it answered earlier for the partition
///
/// # Panics
/// When the store breaks it.
pub async fn never_answers_an_earlier_time(fixture: &dyn Fixture) {
    let mut subject = Subject::open(fixture).await;
    let mut last = Timestamp::MIN;
    let clocks = [NOON, NOON.before(HOUR), NOON.after(HOUR), NOON];
    for (number, clock) in clocks.into_iter().enumerate() {
        fixture.set_clock(clock).await;
        for through in [Timestamp::MAX, Timestamp::MIN, last, NOON] {
            let closed = subject.close(through).await;
            assert!(closed >= last, "{closed} after {last}");
            last = closed;
        }
        if number % 2 == 0 {
            subject.commit(unit(&account(number), v(0), events("a", 1))).await;
        }
        subject = subject.reopen(fixture).await;
    }
}

/// > answer `through` or a later time, or, where its clock is not there yet, its time now or a later one
///
/// # Panics
/// When the store breaks it.
pub async fn answers_the_time_asked_for_or_its_own(fixture: &dyn Fixture) {
    let subject = Subject::open(fixture).await;
    fixture.set_clock(NOON).await;
    let recorded = subject.commit(unit(&account(1), v(0), events("a", 1))).await.recorded_at;
    let closed = subject.close(recorded).await;
    assert!(closed >= recorded, "the last record needs no other one to be merged");
    assert_eq!(subject.close(closed).await, closed, "what is closed is not closed again");
    let now = subject.store_time().await;
    assert!(subject.close(Timestamp::MAX).await >= now);
    // An idle partition follows, too.
    let all: Vec<PartitionId> = subject.properties.partitions.all().collect();
    let now = subject.store_time().await;
    let times = subject.store.close_partitions(&all, now).await.expect("closed");
    assert_eq!(times.len(), all.len());
    assert!(times.iter().all(|time| *time >= now), "{times:?} and {now}");
    assert!(times[usize::from(subject.home.get())] >= recorded);
}

/// > answer only when that is durable, and refuse a partition that does not exist with `Invalid`
///
/// # Panics
/// When the store breaks it.
pub async fn answers_only_when_closing_is_durable(fixture: &dyn Fixture) {
    let mut subject = Subject::open(fixture).await;
    for round in 0..5 {
        fixture.set_clock(NOON.after(HOUR)).await;
        let closed = subject.close(Timestamp::MAX).await;
        subject = subject.reopen(fixture).await;
        fixture.set_clock(NOON).await;
        let committed = subject.commit(unit(&account(1), v(round), events("a", 1))).await;
        assert!(committed.recorded_at > closed, "{} and {closed}", committed.recorded_at);
    }
    let nowhere = PartitionId::new(subject.properties.partitions.get());
    for partitions in [vec![nowhere], vec![subject.home, nowhere]] {
        let refused = subject.store.close_partitions(&partitions, NOON).await;
        assert_eq!(refused.expect_err("no such partition").code(), "invalid");
    }
}
