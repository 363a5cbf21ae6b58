//! The index of open steps.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Fixture;
use super::records::{
    ACCOUNT, Subject, WALLET, accepted, account, cause, event, events, rejected, requested, resumed, side,
    side_in, to, unit, v,
};
use crate::clock::Timestamp;
use crate::store::{OpenStep, OpenStepsRead, Unit};
use crate::stream::StreamName;

/// > list a step from the commit of its `Requested` to the commit that settles it, and not when one unit
/// > does both
///
/// # Panics
/// When the store breaks it.
pub async fn lists_a_step_from_its_request_to_its_settlement(fixture: &dyn Fixture) {
    let mut subject = Subject::open(fixture).await;
    assert!(subject.open_steps().await.is_empty());
    let (one, two, three) = (side(1), side(2), side(3));
    subject.commit(unit(&one, v(0), vec![requested(1, "a", 0)])).await;
    subject.commit(unit(&two, v(0), vec![requested(2, "a", 0)])).await;
    subject.commit(unit(&three, v(0), vec![requested(3, "a", 0), accepted(3, "a", 1)])).await;
    subject = subject.reopen(fixture).await;
    assert_eq!(listed(&subject).await, set([&one, &two]));

    subject.commit(unit(&one, v(1), vec![resumed(1, "a", 0)])).await;
    assert_eq!(listed(&subject).await, set([&one, &two]), "resumed is not settled");
    subject.append_one(unit(&one, v(1), vec![accepted(1, "a", 1)])).await.expect_err("not at 1");
    assert_eq!(listed(&subject).await, set([&one, &two]), "what was not committed settles nothing");
    subject.commit(unit(&one, v(2), vec![accepted(1, "a", 1)])).await;
    assert_eq!(listed(&subject).await, set([&two]));
    subject.commit(unit(&two, v(1), vec![rejected(2, "a")])).await;
    assert_eq!(listed(&subject).await, set([]));

    // Later steps of the same transaction, settled apart, by one unit, and with the next in one unit.
    subject.commit(unit(&one, v(3), vec![requested(1, "b", 0), rejected(1, "b")])).await;
    assert_eq!(listed(&subject).await, set([]));
    subject.commit(unit(&one, v(5), vec![requested(1, "c", 4)])).await;
    subject.commit(unit(&one, v(6), vec![accepted(1, "c", 5), requested(1, "d", 5)])).await;
    let open = subject.open_steps().await;
    assert_eq!(open.iter().map(|step| &step.cause).collect::<Vec<_>>(), [&cause(1, "d")]);
    settled_by_a_batch(&subject).await;
    let listed_before = listed(&subject).await;
    assert_eq!(listed(&subject.reopen(fixture).await).await, listed_before);
}

async fn settled_by_a_batch(subject: &Subject) {
    if !subject.is_batch("steps settled with their events") {
        return;
    }
    let (a, open, new) = (account(1), side(1), side(4));
    let settle = Unit::of(vec![to(&open, v(8), vec![accepted(1, "d", 1)]), to(&a, v(0), events("a", 1))]);
    subject.commit(settle).await;
    let both = vec![requested(4, "a", 1), accepted(4, "a", 2)];
    subject.commit(Unit::of(vec![to(&new, v(0), both), to(&a, v(1), events("a", 1))])).await;
    assert_eq!(listed(subject).await, set([]));
}

async fn listed(subject: &Subject) -> BTreeSet<StreamName> {
    subject.open_steps().await.into_iter().map(|step| step.stream).collect()
}

fn set<const N: usize>(streams: [&StreamName; N]) -> BTreeSet<StreamName> {
    streams.into_iter().cloned().collect()
}

/// > carry the numbers of its `Requested` and of its latest `Resumed`
///
/// # Panics
/// When the store breaks it.
pub async fn carries_the_numbers_of_requested_and_of_the_latest_resumed(fixture: &dyn Fixture) {
    let subject = Subject::open(fixture).await;
    let stream = side(1);
    let mut expected: Option<OpenStep> = None;
    let history = [requested(1, "a", 5), resumed(1, "a", 7), resumed(1, "a", 7), resumed(1, "a", 12)];
    for (number, (record, scanned_to)) in (0..).zip(history.into_iter().zip([5, 7, 7, 12])) {
        let committed = subject.commit(unit(&stream, v(number), vec![record])).await;
        let requested_at = expected.map_or(committed.recorded_at, |step| step.requested_at);
        let step = OpenStep {
            stream: stream.clone(),
            cause: cause(1, "a"),
            aggregate_version: v(5),
            scanned_to: v(scanned_to),
            resumed: u32::try_from(number).expect("small"),
            requested_at,
            touched_at: committed.recorded_at,
        };
        assert_eq!(subject.open_steps().await, std::slice::from_ref(&step));
        expected = Some(step);
    }
    let subject = subject.reopen(fixture).await;
    assert_eq!(subject.open_steps().await, Vec::from_iter(expected), "after opening again");

    // The next step starts from its own numbers.
    subject.commit(unit(&stream, v(4), vec![rejected(1, "a"), requested(1, "b", 20)])).await;
    let open = subject.open_steps().await;
    let numbers: Vec<_> =
        open.iter().map(|s| (s.aggregate_version, s.scanned_to, s.resumed, s.cause.clone())).collect();
    assert_eq!(numbers, [(v(20), v(20), 0, cause(1, "b"))]);
}

/// > return pages in a fixed order that `after` continues, without scanning settled steps
///
/// # Panics
/// When the store breaks it.
pub async fn returns_pages_in_a_fixed_order(fixture: &dyn Fixture) {
    let subject = Subject::open(fixture).await;
    for list in 0..4 {
        let units = (0..25).map(|n| step_of(list * 25 + n));
        assert!(subject.append(units.collect()).await.iter().all(Result::is_ok));
    }
    // Others, that must not be listed: another category, another partition, no side stream at all.
    let wallet = side_in(&WALLET, "home", 1);
    subject.commit(unit(&wallet, v(0), vec![requested(1, "a", 0)])).await;
    subject.commit(unit(&account(1), v(0), vec![event("x")])).await;
    if let Some(id) = subject.elsewhere() {
        let (partition, away) = (subject.properties.partitions.of(&id), side_in(&ACCOUNT, &id, 1));
        let units = vec![unit(&away, v(0), vec![requested(1, "a", 0)])];
        subject.store.append(partition, units).await.remove(0).expect("new");
    }
    let whole = subject.open_steps().await;
    let keys: Vec<_> = whole.iter().map(|step| (step.touched_at, step.stream.clone())).collect();
    assert_eq!(keys.len(), 50, "every second step is open");
    assert!(keys.is_sorted(), "the longest untouched first, then by name");
    for limit in [1, 7, 50, 51] {
        assert_eq!(pages(&subject, limit).await, whole, "{limit} a page");
    }
    let none = OpenStepsRead { limit: 0, ..subject.open_steps_read() };
    assert!(subject.store.open_steps(none).await.expect("a page").is_empty());
    let of_wallets =
        OpenStepsRead { category: WALLET.side().as_str().to_owned(), ..subject.open_steps_read() };
    let found = subject.store.open_steps(of_wallets).await.expect("a page");
    assert_eq!(found.iter().map(|step| &step.stream).collect::<Vec<_>>(), [&wallet]);
}

/// A new step: every second one is settled at once.
fn step_of(number: usize) -> Unit {
    let mut records = vec![requested(number, "a", 0)];
    if number % 2 == 1 {
        records.push(rejected(number, "a"));
    }
    unit(&side(number), v(0), records)
}

async fn pages(subject: &Subject, limit: usize) -> Vec<OpenStep> {
    let mut found: Vec<OpenStep> = Vec::new();
    loop {
        let after = found.last().map(|step| (step.touched_at, step.stream.clone()));
        let read = OpenStepsRead { after, limit, ..subject.open_steps_read() };
        let page = subject.store.open_steps(read).await.expect("a page");
        assert!(page.len() <= limit);
        assert!(found.len() < 1_000, "the pages have no end");
        if page.is_empty() {
            return found;
        }
        found.extend(page);
    }
}

/// > list every open step where `older_than` is zero, whatever the clock says by now
///
/// # Panics
/// When the store breaks it.
pub async fn lists_every_open_step_where_no_age_is_asked_for(fixture: &dyn Fixture) {
    let subject = Subject::open(fixture).await;
    let noon = Timestamp::from_micros(1_700_000_000_000_000);
    let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3_600));
    let settable = fixture.set_clock(noon).await;
    subject.commit(unit(&side(1), v(0), vec![requested(1, "a", 0)])).await;
    assert_eq!(older(&subject, Duration::ZERO).await, 1);
    assert_eq!(older(&subject, hour).await, 0, "it is not an hour old");
    if !settable {
        return super::skip("the age of open steps", "the fixture cannot set the clock");
    }
    fixture.set_clock(noon.after(minute)).await;
    assert_eq!((older(&subject, minute).await, older(&subject, minute * 2).await), (1, 0));
    fixture.set_clock(noon.before(hour)).await;
    assert_eq!(older(&subject, Duration::ZERO).await, 1, "though the clock went back");
    assert_eq!(older(&subject.reopen(fixture).await, Duration::ZERO).await, 1);
}

async fn older(subject: &Subject, older_than: Duration) -> usize {
    let read = OpenStepsRead { older_than, ..subject.open_steps_read() };
    subject.store.open_steps(read).await.expect("a page").len()
}
