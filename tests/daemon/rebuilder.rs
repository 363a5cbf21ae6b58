//! A view that is made anew, and switched, when another process asks for it.

use std::sync::Arc;

use sidestream::ErrorKind;
use sidestream::partition::PartitionId;
use sidestream::processor::Processor;
use sidestream::projection::{
    Daemon, Demands, Generational, MemoryView, Operator, RebuildAction, RebuildAnswer, RebuildRows,
    RebuildStand, Rebuilder, SqliteView, View,
};
use sidestream::store::EventStore;
use sidestream::testkit::faults::{Done, Fault, FaultyStore, Script};
use sidestream::testkit::run;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::journal::{Entry, Journal, Readable, Trouble};
use crate::rebuild::Compared;
use crate::support::*;

fn operator(why: &str) -> Operator {
    Operator::new("ada", why).unwrap()
}

fn rows(store: &Arc<dyn EventStore>) -> RebuildRows {
    RebuildRows::new(Arc::clone(store), "journal").unwrap()
}

/// The rules of the service, with what a switch demands.
fn rebuilder<V: Compared>(store: &Arc<dyn EventStore>, rules: &Journal, view: &V) -> Rebuilder<V>
where
    Journal: sidestream::projection::Projection<V::Rows>,
{
    let rebuilder =
        Rebuilder::new(Arc::clone(store), ("journal", view.clone()), || Demands::same(V::all_rows()));
    rebuilder.unwrap().settings(hurried()).project(rules.clone()).unwrap()
}

/// A run of it, as a lease holder has it.
struct Holder {
    stop: watch::Sender<bool>,
    task: JoinHandle<sidestream::Result<()>>,
}

impl Holder {
    fn start<V: Compared>(rebuilder: &Rebuilder<V>, epoch: u64) -> Self {
        let stop = watch::Sender::new(false);
        let task = tokio::spawn(rebuilder.run(PartitionId::new(0), epoch, stop.subscribe()));
        Self { stop, task }
    }

    async fn stop(self) -> sidestream::Result<()> {
        self.stop.send_replace(true);
        in_time("the end of a holder", self.task).await.expect("no panic")
    }
}

async fn asks(rows: &RebuildRows, action: RebuildAction) -> RebuildAnswer {
    rows.ask(action, false, operator("rules changed")).await.unwrap();
    in_time("an answer", rows.answer()).await.unwrap()
}

async fn until(rows: &RebuildRows, what: &str, is_so: impl Fn(&RebuildStand) -> bool) -> RebuildStand {
    let wait = async {
        loop {
            if let Some(stand) = rows.stand().await.unwrap().filter(&is_so) {
                return stand;
            }
            sidestream::clock::sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    in_time(what, wait).await
}

async fn is_whole<V: Readable + View>(view: &V, store: &Arc<dyn EventStore>) {
    for partition in store.properties().partitions.all() {
        let wait = async {
            loop {
                let mut entries = view.journal(&**store, partition).await;
                entries.sort();
                if entries == fold(&**store, partition).await {
                    return;
                }
                sidestream::clock::sleep(std::time::Duration::from_millis(1)).await;
            }
        };
        in_time("the whole view", wait).await;
    }
}

async fn by_request<V: Compared>(view: V)
where
    Journal: sidestream::projection::Projection<V::Rows>,
{
    let store: Arc<dyn EventStore> = Arc::new(memory(3));
    for name in ["a", "b", "c"] {
        pay(&*store, name, &[1, 2, 3]).await;
    }
    let rules = Journal::default();
    let daemon = Daemon::builder(Arc::clone(&store)).settings(hurried()).project(rules.clone(), view.clone());
    let daemon = daemon.start().unwrap();
    let is_open = async {
        while daemon.status().iter().any(|status| status.checkpoint.is_none()) {
            sidestream::clock::sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    in_time("its rows", is_open).await;
    is_whole(&view, &store).await;
    let requests = rows(&store);
    assert_eq!(requests.stand().await.unwrap(), None);
    // Nobody runs it yet: it waits, once, and something else waits for its answer.
    let ask = |action| requests.ask(action, false, operator("rules changed"));
    ask(RebuildAction::Build).await.unwrap();
    ask(RebuildAction::Build).await.unwrap();
    assert_eq!(ask(RebuildAction::Switch).await.unwrap_err().kind(), ErrorKind::Conflict);
    let makes = rebuilder(&store, &rules, &view);
    let holder = Holder::start(&makes, 1);
    assert_eq!(in_time("an answer", requests.answer()).await.unwrap(), RebuildAnswer::Built(2));
    pay(&*store, "a", &[4]).await;
    let stand = until(&requests, "all", |stand| stand.building == Some(2) && stand.done == 10).await;
    assert_eq!((stand.live, stand.to_do, stand.parked, stand.trouble), (1, 0, 0, None));
    // Another holder goes on with it, and the former one is told.
    holder.stop().await.unwrap();
    let holder = Holder::start(&makes, 2);
    until(&requests, "the next holder", |stand| stand.epoch == 2 && stand.done == 10).await;
    let late = Holder::start(&makes, 1);
    assert_eq!(in_time("its end", late.task).await.unwrap().unwrap_err().kind(), ErrorKind::Fenced);

    assert_eq!(asks(&requests, RebuildAction::Switch).await, RebuildAnswer::Switched { from: 1, to: 2 });
    let stand = requests.stand().await.unwrap().unwrap();
    assert_eq!((stand.live, stand.building), (2, None));
    pay(&*store, "b", &[5]).await;
    is_whole(&view, &store).await;
    let nothing = asks(&requests, RebuildAction::Switch).await;
    assert!(matches!(nothing, RebuildAnswer::Refused(ref why) if why.contains("nothing is being built")));

    // In one go; then one that is given up while it goes on.
    assert_eq!(
        asks(&requests, RebuildAction::BuildAndSwitch).await,
        RebuildAnswer::Switched { from: 2, to: 3 }
    );
    assert_eq!(asks(&requests, RebuildAction::Build).await, RebuildAnswer::Built(4));
    assert_eq!(asks(&requests, RebuildAction::GiveUp).await, RebuildAnswer::GivenUp);
    assert_eq!(asks(&requests, RebuildAction::DropFormer).await, RebuildAnswer::Dropped(2));
    let found = view.generations().await.unwrap();
    assert_eq!((found.live, found.building, found.former), (3, None, vec![]));
    is_whole(&view, &store).await;
    holder.stop().await.unwrap();
    daemon.shutdown().await;
}

#[test]
fn whoever_has_the_rules_builds_and_switches_by_request() {
    run(async {
        by_request(MemoryView::<Vec<Entry>>::new()).await;
        let directory = tempfile::tempdir().unwrap();
        by_request(SqliteView::open(directory.path().join("view.db")).unwrap()).await;
    });
}

#[test]
fn a_generation_that_differs_is_refused_with_the_difference_and_stays() {
    run(async {
        let store: Arc<dyn EventStore> = Arc::new(memory(1));
        pay(&*store, "a", &[1, 666]).await;
        let view = MemoryView::<Vec<Entry>>::new();
        let daemon = Daemon::builder(Arc::clone(&store)).settings(hurried());
        let daemon = daemon.project(Journal::default(), view.clone()).start().unwrap();
        is_whole(&view, &store).await;
        // Rules that cannot apply what the live ones applied.
        let worse = Journal::with(&[(666, Trouble::Fails)]);
        let holder = Holder::start(&rebuilder(&store, &worse, &view), 1);
        let requests = rows(&store);
        assert_eq!(asks(&requests, RebuildAction::Build).await, RebuildAnswer::Built(2));
        until(&requests, "parked", |stand| stand.parked == 1).await;
        let refused = asks(&requests, RebuildAction::Switch).await;
        assert!(
            matches!(refused, RebuildAnswer::Refused(ref why) if why.contains("is parked in what was built"))
        );
        // Though it may be parked, the rows differ.
        requests.ask(RebuildAction::Switch, true, operator("it may")).await.unwrap();
        let refused = in_time("an answer", requests.answer()).await.unwrap();
        assert!(
            matches!(refused, RebuildAnswer::Refused(ref why) if why.contains("rows that were built are not"))
        );
        let found = view.generations().await.unwrap();
        assert_eq!((found.live, found.building), (1, Some(2)));
        // A request that goes on for ever is given up.
        assert_eq!(asks(&requests, RebuildAction::GiveUp).await, RebuildAnswer::GivenUp);
        assert_eq!(view.generations().await.unwrap().building, None);
        holder.stop().await.unwrap();
        daemon.shutdown().await;
    });
}

/// A rebuild with its switch, by holders of which one dies or loses its store at one call. Readers are switched once.
async fn lives(at: u64, fault: Fault) -> u64 {
    let store: Arc<dyn EventStore> = Arc::new(memory(1));
    pay(&*store, "a", &[1, 2, 3]).await;
    let view = MemoryView::<Vec<Entry>>::new();
    let daemon = Daemon::builder(Arc::clone(&store)).settings(hurried());
    let daemon = daemon.project(Journal::default(), view.clone()).start().unwrap();
    is_whole(&view, &store).await;
    let requests = rows(&store);
    requests.ask(RebuildAction::BuildAndSwitch, false, operator("rules changed")).await.unwrap();
    let mut process = FaultyStore::new(Arc::clone(&store), Script::new().call(at, fault));
    for epoch in 1..40 {
        let log: Arc<dyn EventStore> = Arc::new(process.clone());
        let makes = rebuilder(&log, &Journal::default(), &view);
        let stop = watch::Sender::new(false);
        let work = async {
            let end = async {
                let answer = requests.answer().await.unwrap();
                stop.send_replace(true);
                answer
            };
            let run = makes.run(PartitionId::new(0), epoch, stop.subscribe());
            let (ended, answer) = tokio::join!(run, end);
            ended.expect("told to stop");
            answer
        };
        if let Some(answer) = in_time("the end of a life", process.until_crash(work)).await {
            assert_eq!(answer, RebuildAnswer::Switched { from: 1, to: 2 }, "{fault:?} at {at}");
            let found = view.generations().await.unwrap();
            assert_eq!((found.live, found.building), (2, None), "{fault:?} at {at}");
            is_whole(&view, &store).await;
            daemon.shutdown().await;
            return process.calls();
        }
        process = process.restart();
    }
    panic!("it never gets there");
}

#[test]
fn readers_are_switched_once_through_a_crash_or_failure_at_any_call() {
    run(async {
        let (mut calls, mut at) = (1, 0);
        // Later calls only read on.
        while at < calls.min(30) {
            at += 1;
            for fault in [
                Fault::Unavailable,
                Fault::Unknown(Done::Nothing),
                Fault::Unknown(Done::All),
                Fault::Crash(Done::Nothing),
                Fault::Crash(Done::All),
            ] {
                calls = calls.max(lives(at, fault).await);
            }
        }
        assert!(calls > 8, "{calls}");
    });
}
