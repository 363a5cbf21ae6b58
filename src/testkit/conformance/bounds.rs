//! What is refused, and what just fits.

use super::Fixture;
use super::records::{
    ACCOUNT, Subject, account, assert_invalid, assert_superseded, cause, event, events, requested, side, to,
    unit, v,
};
use crate::event::NewRecord;
use crate::id::{Cause, StepName};
use crate::limits;
use crate::store::{Atomicity, Unit};
use crate::stream::{AggregateId, ExpectedVersion};

/// > refuse a unit that breaks a bound of `limits`, names a stream twice, a stream of another partition,
/// > or, where it is atomic per stream only, more than one stream, with `Invalid`, as one that failed
///
/// # Panics
/// When the store breaks it.
pub async fn refuses_a_unit_that_breaks_a_bound(fixture: &dyn Fixture) {
    let subject = Subject::open(fixture).await;
    for (what, unit_of_a) in bad_units(&subject) {
        let (a, b) = (account(1), account(2));
        // As one that failed: what shares a stream with it falls with it, the others do not.
        let head = subject.head(&b).await;
        let list = vec![unit_of_a, unit(&a, v(0), events("no", 1)), unit(&b, head, events("b", 1))];
        let results = subject.append(list).await;
        assert_invalid(&results[0], what);
        assert_superseded(&results[1], &[&a]);
        results[2].as_ref().unwrap_or_else(|failure| panic!("beside {what}: {failure}"));
        assert_eq!(subject.head(&a).await, v(0), "{what}");
    }
    if let Some(id) = subject.elsewhere() {
        let away = ACCOUNT.stream(&AggregateId::new(id).expect("valid"));
        let result = subject.append_one(unit(&away, v(0), events("no", 1))).await;
        assert_invalid(&result, "a stream of another partition");
        assert_eq!(subject.head(&away).await, v(0));
    }
}

/// Units that break one rule each, all with [`account`] 1.
fn bad_units(subject: &Subject) -> Vec<(&'static str, Unit)> {
    let a = account(1);
    let step = StepName::keyed("step", "k".repeat(limits::STEP_BYTES));
    let long_step = NewRecord { cause: Some(Cause { step, ..cause(1, "a") }), ..event("x") };
    let requester = |name: String| NewRecord { requester: Some(name), ..event("x") };
    let largest = event(vec![7; limits::PAYLOAD_BYTES]);
    let mut bad = vec![
        ("too many records", unit(&a, v(0), events("x", limits::UNIT_RECORDS + 1))),
        (
            "payloads too large together",
            unit(&a, v(0), vec![largest; limits::UNIT_BYTES / limits::PAYLOAD_BYTES + 1]),
        ),
        (
            "too many streams",
            Unit::of(
                [to(&a, v(0), events("x", 1))]
                    .into_iter()
                    .chain((0..limits::UNIT_STREAMS).map(|at| to(&side(at), v(0), vec![])))
                    .collect(),
            ),
        ),
        ("a payload too large", unit(&a, v(0), vec![event(vec![7; limits::PAYLOAD_BYTES + 1])])),
        ("a step name too long", unit(&a, v(0), vec![long_step])),
        ("an empty requester", unit(&a, v(0), vec![requester(String::new())])),
        ("a long requester", unit(&a, v(0), vec![requester("r".repeat(limits::REQUESTER_BYTES + 1))])),
        ("a stream twice", Unit::of(vec![to(&a, v(0), events("x", 1)), to(&a, v(1), events("x", 1))])),
    ];
    match subject.elsewhere() {
        Some(id) => {
            let away = ACCOUNT.stream(&AggregateId::new(id).expect("valid"));
            let across = Unit::of(vec![to(&a, v(0), events("x", 1)), to(&away, v(0), events("x", 1))]);
            bad.push(("a stream of another partition", across));
        }
        None => super::skip("streams of other partitions", "the store has one partition"),
    }
    if subject.properties.atomicity == Atomicity::Stream {
        let two = Unit::of(vec![to(&a, v(0), events("x", 1)), to(&account(3), v(0), vec![])]);
        bad.push(("two streams in a unit", two));
    }
    bad
}

/// > refuse a unit that breaks a bound of `limits`: what does not is taken
///
/// # Panics
/// When the store breaks it.
pub async fn takes_a_unit_at_each_bound(fixture: &dyn Fixture) {
    let subject = Subject::open(fixture).await;
    let largest = event(vec![7; limits::PAYLOAD_BYTES]);
    subject.commit(unit(&account(1), v(0), vec![largest.clone()])).await;
    assert_eq!(subject.stream(&account(1)).await[0].data, largest);

    let most = events("x", limits::UNIT_RECORDS);
    subject.commit(unit(&account(2), v(0), most)).await;
    assert_eq!(subject.stream(&account(2)).await.len(), limits::UNIT_RECORDS);

    let id = "i".repeat(limits::AGGREGATE_ID_BYTES);
    let longest = ACCOUNT.side_stream(&AggregateId::new(&id).expect("valid"), cause(1, "a").transaction);
    let partition = subject.properties.partitions.of(&id);
    let step = StepName::keyed("step", "k".repeat(limits::STEP_BYTES - "step:".len()));
    let long_step = NewRecord { cause: Some(Cause { step, ..cause(1, "a") }), ..requested(1, "a", 0) };
    let results = subject.store.append(partition, vec![unit(&longest, v(0), vec![long_step])]).await;
    results[0].as_ref().expect("the longest names");

    let demand = |number| unit(&account(number), ExpectedVersion::Any, vec![]);
    let results = subject.append((0..limits::LIST_UNITS).map(demand).collect()).await;
    assert!(results.iter().all(Result::is_ok), "a list of {} units", limits::LIST_UNITS);
}

/// > refuse every unit of a list with more units than `limits` allow
///
/// # Panics
/// When the store breaks it.
pub async fn refuses_a_list_that_is_too_long(fixture: &dyn Fixture) {
    let subject = Subject::open(fixture).await;
    let list = (0..=limits::LIST_UNITS).map(|number| unit(&side(number), v(0), events("x", 1))).collect();
    for result in subject.append(list).await {
        assert_invalid(&result, "a list that is too long");
    }
    assert!(subject.log().await.is_empty(), "none of it is written");
}
