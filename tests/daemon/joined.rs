//! Projections over a join: one view of several selections, in the order of their times, the same live and anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use sidestream::command::Receipt;
use sidestream::feed::Selection;
use sidestream::projection::{
    Daemon, Event, MemoryView, Operator, PostgresView, Projection, Settings, SqliteView, State,
};
use sidestream::store::EventStore;
use sidestream::stream::{Position, Version};
use sidestream::testkit::effort::proptest_config;
use sidestream::testkit::faults::{FaultyStore, Rates, Script};
use sidestream::testkit::run;
use sidestream::{Category, ErrorKind};

use crate::faulty_view::{FaultyView, ViewFault};
use crate::journal::Trouble;
use crate::ledger::{CARD, Ledger, Legible, Seen, Step, Stores, expected, steps, total};
use crate::support::*;

/// Settings that cut everything small.
fn small() -> Settings {
    Settings { batch_records: 3, join_lag_ms: 0, attempts: 1_000, ..hurried() }
}

/// One life of a runner: until it has applied all that is there and all was written, dies, or was polled so often.
async fn live<V: Legible>(
    process: &FaultyStore,
    (view, ledger): (&FaultyView<V>, &Ledger),
    (polls, total, written): (Option<u32>, u64, &tokio::sync::watch::Receiver<bool>),
) -> bool
where
    Ledger: Projection<V::Rows>,
{
    let store: Arc<dyn EventStore> = Arc::new(process.clone());
    let (runner, stop, _requests) = runner(store, ONE, ledger.clone(), view, 1);
    let mut runner = runner.settings(small());
    let (mut status, mut written) = (runner.status(), written.clone());
    let work = async {
        let at_the_end = async {
            written.wait_for(|written| *written).await.expect("a writer");
            let all = Some(Position::new(total));
            drop(status.wait_for(|status| status.checkpoint == all).await.expect("runs"));
            stop.send_replace(true);
        };
        tokio::join!(runner.run(), at_the_end).0.expect("told to stop");
    };
    one_life(process, work, polls).await.is_some()
}

/// Writes while runners live and die; then the view is what the logs say, and so is one that is made anew.
async fn check<V: Legible>(
    stores: Stores,
    (view, anew): (V, V),
    steps: Vec<Step>,
    script: Script,
    (faults, fails): (BTreeMap<u64, ViewFault>, BTreeSet<u64>),
    mut polls: Vec<u32>,
) where
    Ledger: Projection<V::Rows>,
{
    let total = total(&steps);
    let (told, written) = tokio::sync::watch::channel(false);
    let writing = async {
        stores.write(&steps).await;
        told.send_replace(true);
    };
    let running = async {
        let mut process = FaultyStore::new(Arc::clone(&stores.placed), script);
        let mut view = FaultyView::new(view.clone(), process.clone(), faults);
        let ledger = Ledger(crate::journal::Journal::default(), Arc::new(Mutex::new((0, fails))));
        for _ in 0..400 {
            if live(&process, (&view, &ledger), (polls.pop(), total, &written)).await {
                return;
            }
            process = process.restart();
            view = view.of(process.clone());
        }
        panic!("it never gets there");
    };
    tokio::join!(writing, running);
    let all = expected(&*stores.placed).await;
    assert_eq!(view.ledger(&*stores.placed).await, all, "live");
    let process = FaultyStore::new(Arc::clone(&stores.placed), Script::new());
    let fresh = FaultyView::new(anew.clone(), process.clone(), BTreeMap::new());
    assert!(live(&process, (&fresh, &Ledger::default()), (None, total, &written)).await);
    assert_eq!(anew.ledger(&*stores.placed).await, all, "anew");
}

fn fault() -> impl Strategy<Value = ViewFault> {
    crate::crash::fault()
}

proptest! {
    #![proptest_config(proptest_config(150, "proptest-regressions/daemon_joined.txt"))]

    #[test]
    fn the_view_is_the_same_live_through_any_crash_and_anew(
        steps in steps(),
        seed in any::<u64>(),
        faults in prop::collection::btree_map(1..40_u64, fault(), 0..8),
        fails in prop::collection::btree_set(1..80_u64, 0..6),
        polls in prop::collection::vec(0..40_u32, 0..8),
    ) {
        let stores = Stores::new();
        let rates = Rates { delay: 300, unavailable: 30, unknown: 0, late: 0, crash: 10 };
        let views = (MemoryView::new(), MemoryView::new());
        run(check(stores, views, steps, Script::random(seed, rates), (faults, fails), polls));
    }
}

proptest! {
    #![proptest_config(proptest_config(15, "proptest-regressions/daemon_joined.txt"))]

    #[test]
    fn the_view_in_sqlite_is_the_same_live_through_any_crash_and_anew(
        steps in steps(),
        seed in any::<u64>(),
        faults in prop::collection::btree_map(1..40_u64, fault(), 0..8),
        fails in prop::collection::btree_set(1..80_u64, 0..6),
        polls in prop::collection::vec(0..40_u32, 0..8),
    ) {
        let stores = Stores::new();
        let directory = tempfile::tempdir().unwrap();
        let view = |name| SqliteView::open(directory.path().join(name)).unwrap();
        let rates = Rates { delay: 300, unavailable: 30, unknown: 0, late: 0, crash: 10 };
        let views = (view("live"), view("anew"));
        run(check(stores, views, steps, Script::random(seed, rates), (faults, fails), polls));
    }
}

#[cfg(unix)]
#[test]
fn the_view_in_postgres_is_the_same_live_through_a_crash_at_any_call_and_anew() {
    use sidestream::testkit::postgres::{Binaries, Server};
    let Some(binaries) = Binaries::found_or_skipped() else { return };
    let server = Server::shared(&binaries);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let open = || {
        let view = PostgresView::builder(server.fresh_database()).migrate(true).connections(2);
        runtime.block_on(view.open()).unwrap()
    };
    for fault in [ViewFault::CrashAfter, ViewFault::Unknown] {
        let stores = Stores::new();
        let append = |number: u8| Step::Append(number.is_multiple_of(2), number % 5, 2);
        let steps = (0..12).map(append).collect();
        let faults = (1..9).step_by(2).map(|at| (at, fault)).collect();
        runtime.block_on(check(
            stores,
            (open(), open()),
            steps,
            Script::new(),
            (faults, [5, 9].into()),
            vec![],
        ));
    }
}

fn receipt(position: Position) -> Receipt {
    Receipt { version: Version::new(1), position, replay: false }
}

/// A daemon over one store.
fn daemon(store: &Arc<dyn EventStore>, ledger: &Ledger, view: &MemoryView<Vec<Seen>>) -> Daemon {
    let daemon = Daemon::builder(Arc::clone(store)).settings(small());
    daemon.project(ledger.clone(), view.clone()).start().unwrap()
}

#[test]
fn one_runner_carries_all_partitions_and_a_receipt_of_any_of_them_is_waited_for() {
    run(async {
        let store: Arc<dyn EventStore> = Arc::new(memory(4));
        let view = MemoryView::new();
        let daemon = daemon(&store, &Ledger::default(), &view);
        for name in ["1", "2", "3", "4", "5", "6"] {
            let position = append(&*store, &account(name), vec![deposit(1)]).await;
            // What the join does not ask for is passed over, and passed all the same.
            let other = Category::new("other").stream(&id(name));
            let after = append(&*store, &other, vec![record("Odd", codec(), "1".into())]).await;
            for position in [position, after] {
                let account = id(name);
                let waiting = daemon.wait_for("ledger", &account, receipt(position));
                in_time("what was written", waiting).await.expect("applied");
            }
            let partition = store.properties().partitions.of(name);
            let seen = view.ledger(&*store).await;
            assert!(seen.contains(&(partition.get(), position.get())), "{seen:?}");
        }
        let status = daemon.status();
        assert_eq!(status.len(), 1, "one place for all");
        assert_eq!(status[0].checkpoint, Some(Position::new(6)), "it counts the events");
        assert_eq!(status[0].lag_records(), 0);
        daemon.shutdown().await;
    });
}

fn codec() -> sidestream::event::CodecName {
    sidestream::event::CodecName::new("json").unwrap()
}

#[test]
fn an_account_is_parked_with_its_partition_and_a_retry_applies_all_that_waited() {
    run(async {
        let store: Arc<dyn EventStore> = Arc::new(memory(4));
        let view = MemoryView::new();
        let ledger = Ledger(crate::journal::Journal::with(&[(666, Trouble::Fails)]), Arc::default());
        let settings = Settings { attempts: 3, ..small() };
        let daemon = Daemon::builder(Arc::clone(&store)).settings(settings);
        let daemon = daemon.project(ledger.clone(), view.clone()).start().unwrap();
        for name in ["1", "2", "3", "4", "5", "6"] {
            pay(&*store, name, &[1, 2]).await;
        }
        pay(&*store, "5", &[666, 7, 8]).await;
        pay(&*store, "1", &[9]).await;
        let last = append(&*store, &CARD.stream(&id("5")), vec![deposit(10)]).await;
        let good = append(&*store, &account("3"), vec![deposit(11)]).await;
        in_time("the others", daemon.wait_for("ledger", &id("3"), receipt(good))).await.unwrap();
        let parked = in_time("a refusal", daemon.wait_for("ledger", &id("5"), receipt(last))).await;
        assert_eq!(parked.unwrap_err().kind(), ErrorKind::Unavailable);
        let partition = store.properties().partitions.of("5");
        let found = daemon.parked("ledger");
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].0, found[0].1.cardinal.as_str(), found[0].1.waiting), (partition, "5", 4));
        let before = view.ledger(&*store).await;
        let mut all = expected(&*store).await;
        let is_waiting = |seen: &Seen| !before.contains(seen);
        let waiting: Vec<Seen> = all.iter().copied().filter(is_waiting).collect();
        assert_eq!(waiting.len(), 4);
        all.retain(|seen| before.contains(seen));
        assert_eq!(before, all, "the others keep their order");

        ledger.0.mend();
        let by = Operator::new("a test", "the handler was mended").unwrap();
        let repaired = daemon.retry("ledger", &id("5"), by).await.unwrap();
        assert_eq!((repaired.applied, repaired.parked), (4, None));
        // They come late, in their own order.
        let after = view.ledger(&*store).await;
        assert_eq!(after[before.len()..], waiting);
        let next = append(&*store, &account("5"), vec![deposit(12)]).await;
        in_time("what comes next", daemon.wait_for("ledger", &id("5"), receipt(next))).await.unwrap();
        assert_eq!(view.ledger(&*store).await.len(), expected(&*store).await.len());
        daemon.shutdown().await;
    });
}

#[test]
fn a_join_of_too_many_selections_and_a_place_of_another_kind_are_refused() {
    run(async {
        let store: Arc<dyn EventStore> = Arc::new(memory(1_024));
        let started = Daemon::builder(Arc::clone(&store))
            .project(Ledger::default(), MemoryView::<Vec<Seen>>::new())
            .start();
        assert_eq!(started.unwrap_err().kind(), ErrorKind::Invalid);

        let store: Arc<dyn EventStore> = Arc::new(memory(1));
        pay(&*store, "1", &[1]).await;
        let define = |join| {
            let apply = |rows: &mut u64, _: &Event<'_>| {
                *rows += 1;
                Ok(())
            };
            let defined = sidestream::projection::project_fn("changed", Selection::all(), apply);
            defined.map(|defined| defined.join(join))
        };
        let view = MemoryView::<u64>::new();
        for (join, is_refused) in [(Vec::new(), false), (vec![Selection::all()], true)] {
            let builder = Daemon::builder(Arc::clone(&store)).settings(small());
            let daemon = builder.define(define(join), view.clone()).start().unwrap();
            let is_decided = || {
                daemon.status().iter().find_map(|status| match &status.state {
                    State::Failed(error) => Some(error.kind() == ErrorKind::Invalid),
                    State::CaughtUp => Some(false),
                    _ => None,
                })
            };
            let decided = async {
                loop {
                    if let Some(refused) = is_decided() {
                        return refused;
                    }
                    sidestream::clock::sleep(Duration::from_millis(1)).await;
                }
            };
            assert_eq!(in_time("its end", decided).await, is_refused);
            daemon.shutdown().await;
        }
    });
}

#[test]
fn a_log_that_is_shorter_than_what_was_handed_out_stops_it() {
    run(async {
        let log = memory(1);
        let store: Arc<dyn EventStore> = Arc::new(log.clone());
        pay(&*store, "1", &[1, 2]).await;
        let (view, ledger) = (MemoryView::new(), Ledger::default());
        let first = daemon(&store, &ledger, &view);
        in_time("both", first.wait_for("ledger", &id("1"), receipt(Position::new(2)))).await.unwrap();
        first.shutdown().await;
        // The same store, as an older backup has it.
        let older = sidestream::testkit::changed::Changed(log, crate::outage::Older);
        let older: Arc<dyn EventStore> = Arc::new(older);
        let second = daemon(&older, &ledger, &view);
        let stopped = async {
            loop {
                if let State::Stopped(Some(error)) = &second.status()[0].state {
                    return error.kind();
                }
                sidestream::clock::sleep(Duration::from_millis(1)).await;
            }
        };
        assert_eq!(in_time("its end", stopped).await, ErrorKind::LostHistory);
    });
}

#[test]
fn a_crash_at_any_call_while_an_account_is_parked_and_retried() {
    run(async {
        let (mut calls, mut at) = (1, 0);
        while at < calls {
            at += 1;
            for fault in [ViewFault::CrashBefore, ViewFault::CrashAfter, ViewFault::Unknown] {
                calls = calls.max(parked_and_retried(at, fault).await);
            }
        }
        assert!(calls > 12, "{calls}");
    });
}

/// Parks an account, mends the handler, retries while others write until it is no longer parked; and dies at one call of
/// the view. Each event is there once in the end, those of an account in order, and those of the others as recorded.
async fn parked_and_retried(at: u64, fault: ViewFault) -> u64 {
    let store: Arc<dyn EventStore> = Arc::new(memory(4));
    for name in ["1", "2", "3", "4"] {
        pay(&*store, name, &[1, 2]).await;
    }
    pay(&*store, "2", &[666, 3, 4]).await;
    append(&*store, &CARD.stream(&id("2")), vec![deposit(5), deposit(6)]).await;
    pay(&*store, "4", &[7]).await;
    let ledger = Ledger(crate::journal::Journal::with(&[(666, Trouble::Fails)]), Arc::default());
    let view = MemoryView::<Vec<Seen>>::new();
    let mut process = FaultyStore::new(Arc::clone(&store), Script::new());
    let mut faulty = FaultyView::new(view.clone(), process.clone(), [(at, fault)].into());
    for _ in 0..40 {
        let log: Arc<dyn EventStore> = Arc::new(process.clone());
        let (runner, stop, requests) = runner(log, ONE, ledger.clone(), &faulty, 1);
        // A retry takes one page after the other, too; and copies of an event come in pages of their own.
        let mut runner = runner.settings(Settings { attempts: 2, batch_records: 1, ..small() });
        let mut status = runner.status();
        let work = async {
            let operator = async {
                drop(status.wait_for(|status| status.checkpoint >= Some(Position::new(14))).await);
                ledger.0.mend();
                pay(&*store, "2", &[8]).await;
                for _ in 0..at % 9 {
                    tokio::task::yield_now().await;
                }
                while !status.borrow().parked.is_empty() {
                    crate::parking::retry(&requests, "2").await.ok();
                    sidestream::clock::sleep(Duration::from_millis(1)).await;
                }
                let all = u64::try_from(expected(&*store).await.len()).unwrap();
                drop(status.wait_for(|status| status.checkpoint == Some(Position::new(all))).await);
                stop.send_replace(true);
            };
            tokio::join!(runner.run(), operator).0.expect("told to stop");
        };
        if in_time("the end of a life", process.until_crash(work)).await.is_some() {
            let (seen, all) = (view.ledger(&*store).await, expected(&*store).await);
            let partition = store.properties().partitions.of("2").get();
            let (late, mut once) = (seen.iter().filter(|seen| seen.0 == partition), seen.clone());
            once.sort_unstable();
            let mut sorted = all.clone();
            sorted.sort_unstable();
            assert_eq!(once, sorted, "{fault:?} at {at}");
            assert!(late.count() > 5);
            let others = |all: &[Seen]| -> Vec<Seen> {
                all.iter().filter(|seen| seen.0 != partition).copied().collect()
            };
            assert_eq!(others(&seen), others(&all), "{fault:?} at {at}");
            return faulty.calls();
        }
        process = process.restart();
        faulty = faulty.of(process.clone());
    }
    panic!("it never gets there");
}
