//! Removing the old part of a stream.

use super::Fixture;
use super::records::{
    Subject, account, event, event_of, events, payloads, requested, side, snapshot, unit, v,
};
use crate::error::ErrorKind;
use crate::event::{EventType, Record};
use crate::store::ReadFrom::{After, SnapshotBefore};
use crate::stream::{Position, Version};

/// > never remove records after `through`, nor any when `through` is above the stream's head (`Invalid`)
///
/// # Panics
/// When the store breaks it.
pub async fn removes_nothing_after_through_and_nothing_above_the_head(fixture: &dyn Fixture) {
    let subject = Subject::open(fixture).await;
    let a = account(1);
    subject.commit(unit(&a, v(0), events("a", 5))).await;
    for through in [6, u64::MAX >> 1] {
        let error = subject.store.truncate(&a, v(through)).await.expect_err("above the head");
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert_eq!(subject.stream(&a).await.len(), 5);
    }
    let error = subject.store.truncate(&account(2), v(1)).await.expect_err("an empty stream");
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");

    assert_eq!(subject.store.truncate(&a, v(3)).await.expect("a floor"), v(3));
    let subject = subject.reopen(fixture).await;
    assert_eq!(payloads(&subject.stream(&a).await), ["a/3", "a/4"]);
    assert_eq!(payloads(&subject.log().await), ["a/3", "a/4"], "the log holds what the stream holds");
}

/// > leave head, versions and positions of everything else as they are, and show the floor in every page
/// > of the stream
///
/// # Panics
/// When the store breaks it.
pub async fn leaves_everything_else_as_it_is_and_shows_the_floor(fixture: &dyn Fixture) {
    let mut subject = Subject::open(fixture).await;
    let (a, b) = (account(1), account(2));
    let old = vec![event_of("Rare", "old"), snapshot("old"), event("3")];
    subject.commit(unit(&a, v(0), old)).await;
    subject.commit(unit(&b, v(0), events("b", 2))).await;
    subject.commit(unit(&side(1), v(0), vec![requested(1, "a", 3)])).await;
    subject.commit(unit(&a, v(3), vec![snapshot("new"), event_of("Rare", "new")])).await;
    let (log, open) = (subject.log().await, subject.open_steps().await);
    subject.store.truncate(&a, v(3)).await.expect("a floor");
    for _ in 0..2 {
        let kept: Vec<_> = log.iter().filter(|r| r.stream != a || r.version > v(3)).cloned().collect();
        assert_eq!(subject.log().await, kept);
        assert_eq!(subject.open_steps().await, open);
        assert_eq!(payloads(&rare(&subject).await), ["new"], "the index over types");
        check_pages(&subject, &kept).await;
        subject = subject.reopen(fixture).await;
    }
    // Nothing is given twice: the next record goes on where the log and the stream were.
    let committed = subject.commit(unit(&a, v(5), events("a", 1))).await;
    assert_eq!(Some(committed.first), log.last().map(|last| last.position.next()));
    whole_stream(&subject).await;
}

async fn rare(subject: &Subject) -> Vec<Record> {
    let types = [EventType::new("Rare").expect("valid")];
    let page = subject.store.read_types(subject.home, &types, Position::START, 10).await.expect("a page");
    assert_eq!(page.read_to, page.head);
    page.records
}

async fn check_pages(subject: &Subject, kept: &[Record]) {
    let a = account(1);
    for from in
        [After(v(0)), After(v(2)), After(v(3)), After(v(4)), SnapshotBefore(v(4)), SnapshotBefore(v(9))]
    {
        let page = subject.page(&a, from, 10).await;
        assert_eq!((page.floor, page.head), (v(3), v(5)), "{from:?}");
        let after = match from {
            After(version) => version,
            SnapshotBefore(before) if before > v(4) => v(4),
            SnapshotBefore(_) => v(3),
        };
        assert_eq!(page.snapshot.is_some(), from == SnapshotBefore(v(9)), "the old snapshot is gone");
        let expected: Vec<_> = kept.iter().filter(|r| r.stream == a && r.version > after).cloned().collect();
        assert_eq!(page.records, expected, "{from:?}");
    }
}

/// A stream may be truncated to its head, and goes on from there.
async fn whole_stream(subject: &Subject) {
    let a = account(1);
    assert_eq!(subject.store.truncate(&a, v(6)).await.expect("a floor"), v(6));
    let page = subject.page(&a, After(v(0)), 10).await;
    assert_eq!((page.floor, page.head, page.records.len()), (v(6), v(6), 0));
    subject.append_one(unit(&a, v(0), events("no", 1))).await.expect_err("it is no new stream");
    subject.commit(unit(&a, v(6), events("a", 1))).await;
    let versions: Vec<_> = subject.stream(&a).await.iter().map(|record| record.version).collect();
    assert_eq!(versions, [v(7)]);
}

/// > never lower a floor
///
/// # Panics
/// When the store breaks it.
pub async fn never_lowers_a_floor(fixture: &dyn Fixture) {
    let subject = Subject::open(fixture).await;
    let a = account(1);
    subject.commit(unit(&a, v(0), events("a", 5))).await;
    for (through, floor) in [(0, 0), (2, 2), (4, 4), (2, 4), (0, 4), (4, 4)] {
        assert_eq!(subject.store.truncate(&a, v(through)).await.expect("a floor"), v(floor));
        assert_eq!(subject.page(&a, After(v(0)), 9).await.floor, v(floor));
    }
    let nothing = subject.store.truncate(&account(2), Version::EMPTY).await;
    assert_eq!(nothing.expect("a stream without records"), Version::EMPTY);
    let subject = subject.reopen(fixture).await;
    assert_eq!(subject.page(&a, After(v(0)), 9).await.floor, v(4), "after opening again");
    assert_eq!(payloads(&subject.stream(&a).await), ["a/4"]);
}
