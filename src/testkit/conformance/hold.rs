//! Keeping others from writing to a partition.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::records::{Subject, account, event, events, payloads, unit, v};
use super::{Fixture, skip};
use crate::clock::sleep;
use crate::store::HeldPartition;

/// How long nothing has to happen to somebody who waits.
const WHILE: Duration = Duration::from_millis(100);

async fn held(subject: &Subject) -> Option<Box<dyn HeldPartition>> {
    let held = subject.store.hold(subject.home).await.expect("held");
    if held.is_none() {
        skip("holding a partition", "the store has one writer and holds none");
    }
    held
}

/// > show, to reads that begin while a partition is held, all that was committed to it; and nobody else writes to
/// > it until then
///
/// # Panics
/// When the store breaks it.
pub async fn nobody_else_writes_while_a_partition_is_held(fixture: &dyn Fixture) {
    let subject = Subject::open(fixture).await;
    let (a, b) = (account(1), account(2));
    subject.commit(unit(&a, v(0), events("a", 2))).await;
    let Some(held) = held(&subject).await else { return };
    let written = Arc::new(AtomicBool::new(false));
    let (other, done, stream) = (subject.clone(), Arc::clone(&written), b.clone());
    let writing = tokio::spawn(async move {
        other.commit(unit(&stream, v(0), events("b", 1))).await;
        done.store(true, Ordering::SeqCst);
    });
    sleep(WHILE).await;
    assert!(!written.load(Ordering::SeqCst), "another wrote to a partition that is held");
    assert_eq!(payloads(&subject.stream(&a).await), ["a/0", "a/1"]);
    let results =
        held.append(vec![unit(&a, v(2), vec![event("mine")]), unit(&b, v(7), events("no", 1))]).await;
    assert!(results[0].is_ok() && results[1].is_err() && results.len() == 2, "{results:?}");
    writing.await.expect("written once it was let go");
    let log = subject.log().await;
    assert_eq!(payloads(&log), ["a/0", "a/1", "mine", "b/0"]);
}

/// > let go of a partition when what holds it is dropped
///
/// # Panics
/// When the store breaks it.
pub async fn lets_go_of_a_partition_that_is_dropped(fixture: &dyn Fixture) {
    let subject = Subject::open(fixture).await;
    let a = account(1);
    for round in 0..20 {
        let Some(held) = held(&subject).await else { return };
        drop(held);
        subject.commit(unit(&a, v(round), events("a", 1))).await;
    }
    assert_eq!(subject.stream(&a).await.len(), 20);
}
