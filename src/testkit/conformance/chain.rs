//! Units of one list: what falls with a failed one, and what does not.

use super::Fixture;
use super::records::{
    Subject, account, assert_invalid, assert_superseded, assert_wrong_version, event, events, payloads, to,
    unit, v,
};
use crate::limits;
use crate::store::Unit;
use crate::stream::ExpectedVersion;

/// > treat units that share a stream as a chain: when one is not committed, no later unit of the list
/// > that shares a stream with it is (`Superseded`)
///
/// # Panics
/// When the store breaks it.
pub async fn treats_units_that_share_a_stream_as_a_chain(fixture: &dyn Fixture) {
    let subject = Subject::open(fixture).await;
    let a = account(1);
    let list = (0..4).map(|number| unit(&a, v(number), events("a", 1))).collect();
    assert!(subject.append(list).await.iter().all(Result::is_ok), "each unit builds on the one before");

    // The versions that the later units expect exist, written by somebody else: they fall all the same.
    let list = vec![
        unit(&a, v(3), events("lost", 1)),
        unit(&a, v(4), events("no", 1)),
        unit(&a, ExpectedVersion::Any, events("no", 1)),
        unit(&a, v(4), vec![]),
    ];
    let results = subject.append(list).await;
    assert_wrong_version(&results[0], &a, ExpectedVersion::Exact(v(3)), 4);
    results[1..].iter().for_each(|result| assert_superseded(result, &[&a]));
    assert_eq!(subject.head(&a).await, v(4));

    // A chain breaks in its middle too, and a new list begins a new one.
    let list = vec![
        unit(&a, v(4), events("a", 2)),
        unit(&a, v(5), events("lost", 1)),
        unit(&a, v(6), events("no", 1)),
    ];
    let results = subject.append(list).await;
    results[0].as_ref().expect("before the break");
    assert_wrong_version(&results[1], &a, ExpectedVersion::Exact(v(5)), 6);
    assert_superseded(&results[2], &[&a]);
    subject.commit(unit(&a, v(6), events("a", 1))).await;
    assert_eq!(subject.log().await.len(), 7);
}

/// > treat units that share a stream as a chain, through every stream of each failed unit
///
/// # Panics
/// When the store breaks it.
pub async fn a_chain_runs_through_units_of_several_streams(fixture: &dyn Fixture) {
    let subject = Subject::open(fixture).await;
    if !subject.is_batch("chains through units of several streams") {
        return;
    }
    let (a, b, c, d) = (account(1), account(2), account(3), account(4));
    let list = vec![
        Unit::of(vec![to(&a, v(9), events("lost", 1)), to(&b, v(0), events("lost", 1))]),
        Unit::of(vec![to(&b, v(0), events("no", 1)), to(&c, v(0), events("no", 1))]),
        unit(&c, v(0), events("no", 1)),
        unit(&d, v(0), events("d", 1)),
        Unit::of(vec![to(&d, v(1), events("no", 1)), to(&a, v(0), vec![])]),
        unit(&d, v(1), events("no", 1)),
    ];
    let results = subject.append(list).await;
    assert_wrong_version(&results[0], &a, ExpectedVersion::Exact(v(9)), 0);
    assert_superseded(&results[1], &[&b]);
    assert_superseded(&results[2], &[&c]);
    results[3].as_ref().expect("d is of no failed unit yet");
    assert_superseded(&results[4], &[&a]);
    assert_superseded(&results[5], &[&d]);
    assert_eq!(payloads(&subject.log().await), ["d/0"]);
}

/// > let units that share no stream and no row succeed and fail apart
///
/// # Panics
/// When the store breaks it.
pub async fn units_that_share_no_stream_succeed_and_fail_apart(fixture: &dyn Fixture) {
    let subject = Subject::open(fixture).await;
    let too_large = vec![event(vec![0; limits::PAYLOAD_BYTES + 1])];
    let list = vec![
        unit(&account(1), v(1), events("no", 1)),
        unit(&account(2), v(0), events("b", 2)),
        unit(&account(3), v(0), too_large),
        unit(&account(4), v(0), events("d", 1)),
        unit(&account(1), v(0), events("no", 1)),
        unit(&account(5), v(1), vec![]),
        unit(&account(2), v(2), events("b again", 1)),
    ];
    let results = subject.append(list).await;
    assert_wrong_version(&results[0], &account(1), ExpectedVersion::Exact(v(1)), 0);
    assert_invalid(&results[2], "a payload too large");
    assert_superseded(&results[4], &[&account(1)]);
    assert_wrong_version(&results[5], &account(5), ExpectedVersion::Exact(v(1)), 0);
    for committed in [1, 3, 6] {
        results[committed].as_ref().expect("shares no stream with a failed one");
    }
    assert_eq!(payloads(&subject.log().await), ["b/0", "b/1", "d/0", "b again/0"]);
}
