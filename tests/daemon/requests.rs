//! What operators ask for from other processes.

use std::sync::Arc;

use sidestream::ErrorKind;
use sidestream::projection::{
    Action, Answer, MemoryView, Operator, Projection, ProjectionId, RequestRows, View,
};
use sidestream::store::EventStore;
use sidestream::store::sqlite::SqliteStore;
use sidestream::stream::Position;
use sidestream::testkit::run;

use crate::journal::{Entry, Journal, Trouble};
use crate::support::*;

fn operator(why: &str) -> Operator {
    Operator::new("ada", why).unwrap()
}

fn rows(store: &Arc<dyn EventStore>) -> RequestRows {
    let name = <Journal as Projection<Vec<Entry>>>::NAME;
    RequestRows::new(Arc::clone(store), ProjectionId::new(name, 1).unwrap())
}

async fn asks_from_elsewhere(store: Arc<dyn EventStore>, is_lost: bool) {
    let view = MemoryView::<Vec<Entry>>::new();
    let name = (0..99).map(|number| number.to_string()).find(|name| {
        let partition = store.properties().partitions.of(name);
        partition == ONE
    });
    let name = name.expect("an account of the first partition");
    let first = append(&*store, &account(&name), vec![deposit(1)]).await;
    pay(&*store, &name, &[666, 2]).await;
    let (bad, head) = (Position::new(first.get() + 1), first.get() + 2);
    let rules = Journal::with(&[(666, Trouble::Fails)]);
    let requests = rows(&store);
    assert_eq!(requests.find(&id(&name)).await.unwrap(), None);
    // Nobody runs it yet: it waits. Asked twice it is asked once, and something else has to wait.
    let aggregate = id(&name);
    let ask = |position, action| requests.ask(&aggregate, position, action, operator("mended"));
    ask(bad, Action::Retried).await.unwrap();
    ask(bad, Action::Retried).await.unwrap();
    assert_eq!(ask(bad, Action::Skipped).await.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(ask(bad, Action::Parked).await.unwrap_err().kind(), ErrorKind::Invalid);
    let mut running = start(Arc::clone(&store), rules.clone(), &view, 1, hurried());
    // It waits until the runner has come there, and parked it: then it fails again.
    let answer = in_time("an answer", requests.answer(&id(&name))).await.unwrap();
    running.until_caught_up_at(head).await;
    assert_eq!(answer, Answer::Done { applied: Some(0), parked: Some(bad) });
    running.until("parked", |status| status.parked.len() == 1).await;
    // A request for another event than the one that is parked does nothing.
    ask(first, Action::Skipped).await.unwrap();
    let answer = in_time("an answer", requests.answer(&id(&name))).await.unwrap();
    assert!(matches!(answer, Answer::Refused(ref why) if why.contains("not at position")), "{answer:?}");
    let at = place(&*store, ONE);
    let count = || view.audit(&at, 99);
    let before = count().await.unwrap().len();
    ask(bad, Action::Skipped).await.unwrap();
    let answer = in_time("an answer", requests.answer(&id(&name))).await.unwrap();
    assert_eq!(answer, Answer::Done { applied: Some(1), parked: None });
    let audit = count().await.unwrap();
    assert_eq!(audit.len(), before + 1);
    assert_eq!(
        (audit[0].action, audit[0].position, &audit[0].by),
        (Action::Skipped, bad, &operator("mended"))
    );
    if is_lost {
        // The process died between what it did and its answer: the next one knows what was done.
        running.stop().await.unwrap();
        ask(bad, Action::Skipped).await.unwrap();
        running = start(Arc::clone(&store), rules, &view, 1, hurried());
        let answer = in_time("an answer", requests.answer(&id(&name))).await.unwrap();
        assert_eq!(answer, Answer::Done { applied: None, parked: None });
        assert_eq!(count().await.unwrap().len(), before + 1);
    }
    running.stop().await.unwrap();
}

#[test]
fn a_request_reaches_whoever_runs_the_partition_and_is_answered_once() {
    run(async {
        asks_from_elsewhere(Arc::new(memory(1)), false).await;
        let directory = tempfile::tempdir().unwrap();
        asks_from_elsewhere(Arc::new(SqliteStore::open(directory.path().join("events.db")).unwrap()), false)
            .await;
    });
}

#[test]
fn a_request_that_was_carried_out_before_a_crash_is_not_carried_out_again() {
    run(async { asks_from_elsewhere(Arc::new(memory(1)), true).await });
}

#[test]
fn requests_that_wait_are_bounded() {
    run(async {
        let store: Arc<dyn EventStore> = Arc::new(memory(1));
        let requests = rows(&store);
        let ask = async |number: usize| {
            requests
                .ask(&id(&number.to_string()), Position::new(1), Action::Retried, operator("mended"))
                .await
        };
        for number in 0..sidestream::limits::POSTED_REQUESTS {
            ask(number).await.unwrap();
        }
        assert_eq!(ask(999).await.unwrap_err().kind(), ErrorKind::Overloaded);
        // What was asked before may be asked again.
        ask(0).await.unwrap();
    });
}
