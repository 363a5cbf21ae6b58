//! Crashes anywhere: at any call of the store or the view, and at any await between.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use sidestream::projection::{MemoryView, Projection, Settings, SqliteView, View};
use sidestream::store::EventStore;
use sidestream::store::memory::MemoryStore;
use sidestream::stream::Position;
use sidestream::testkit::effort::proptest_config;
use sidestream::testkit::faults::{Done, Fault, FaultyStore, Rates, Script};
use sidestream::testkit::run;

use crate::faulty_view::{FaultyView, ViewFault};
use crate::journal::{Journal, Readable, Trouble};
use crate::support::*;

/// More lives than any script has crashes.
const LIVES: u32 = 400;

/// Runs until it is at the head, dies, or was polled so often; then it is dropped where it stands.
async fn live<V: View + Clone>(
    process: &FaultyStore,
    view: &FaultyView<V>,
    polls: Option<u32>,
    head: u64,
) -> bool
where
    Journal: Projection<V::Rows>,
{
    let store: Arc<dyn EventStore> = Arc::new(process.clone());
    let (runner, stop, _requests) = runner(store, ONE, Journal::default(), view, 1);
    let mut runner = runner.settings(Settings { batch_records: 4, ..hurried() });
    let mut status = runner.status();
    let work = async {
        let at_head = async {
            let reached = status.wait_for(|status| status.checkpoint == Some(Position::new(head))).await;
            drop(reached);
            stop.send_replace(true);
        };
        tokio::join!(runner.run(), at_head).0.expect("told to stop");
    };
    one_life(process, work, polls).await.is_some()
}

pub async fn check<V: View + Clone + Readable>(
    log: MemoryStore,
    view: V,
    script: Script,
    faults: BTreeMap<u64, ViewFault>,
    mut polls: Vec<u32>,
) -> u64
where
    Journal: Projection<V::Rows>,
{
    let head = log.read_log(ONE, Position::START, 1).await.unwrap().head.get();
    let mut process = FaultyStore::new(Arc::new(log.clone()), script);
    let mut view = FaultyView::new(view, process.clone(), faults);
    for _ in 0..LIVES {
        if live(&process, &view, polls.pop(), head).await {
            assert_eq!(view.view.journal(&log, ONE).await, fold(&log, ONE).await);
            return view.calls();
        }
        process = process.restart();
        view = view.of(process.clone());
    }
    panic!("it never gets there");
}

/// A log of three accounts, cut into units of one to three events.
pub async fn log(units: &[(u8, u8)]) -> MemoryStore {
    let store = memory(1);
    for (number, (to, records)) in units.iter().enumerate() {
        let records = (0..*records % 3 + 1).map(|at| deposit((number * 10) as i64 + i64::from(at))).collect();
        append(&store, &account(&(to % 3).to_string()), records).await;
    }
    store
}

#[test]
fn one_crash_or_failure_at_every_single_call_of_the_view() {
    run(async {
        let units: Vec<_> = (0..8).map(|number| (number, number)).collect();
        let calls =
            check(log(&units).await, MemoryView::new(), Script::new(), BTreeMap::new(), Vec::new()).await;
        assert!(calls > 4, "{calls}");
        for fault in [ViewFault::Down, ViewFault::Unknown, ViewFault::CrashBefore, ViewFault::CrashAfter] {
            for at in 1..=calls {
                for again in 0..2 {
                    let faults = [(at, fault), (at + again, fault)].into();
                    check(log(&units).await, MemoryView::new(), Script::new(), faults, Vec::new()).await;
                }
            }
        }
    });
}

#[test]
fn one_crash_or_failure_at_every_single_call_of_the_store() {
    run(async {
        let units: Vec<_> = (0..8).map(|number| (number, number)).collect();
        for fault in [Fault::Unavailable, Fault::Crash(Done::All), Fault::Delay(3)] {
            for at in 1..=8 {
                let script = Script::new().call(at, fault);
                check(log(&units).await, MemoryView::new(), script, BTreeMap::new(), Vec::new()).await;
            }
        }
    });
}

pub fn fault() -> impl Strategy<Value = ViewFault> {
    prop_oneof![
        Just(ViewFault::Down),
        Just(ViewFault::Unknown),
        Just(ViewFault::CrashBefore),
        Just(ViewFault::CrashAfter)
    ]
}

pub fn units() -> impl Strategy<Value = Vec<(u8, u8)>> {
    prop::collection::vec(any::<(u8, u8)>(), 1..20)
}

proptest! {
    #![proptest_config(proptest_config(200, "proptest-regressions/daemon_crash.txt"))]

    #[test]
    fn a_view_is_the_fold_of_its_log_through_any_crash(
        units in units(),
        seed in any::<u64>(),
        faults in prop::collection::btree_map(1..40_u64, fault(), 0..10),
        polls in prop::collection::vec(0..12_u32, 0..12),
    ) {
        run(async {
            let script = Script::random(seed, Rates::default());
            check(log(&units).await, MemoryView::new(), script, faults, polls).await;
        });
    }
}

proptest! {
    #![proptest_config(proptest_config(20, "proptest-regressions/daemon_crash.txt"))]

    #[test]
    fn a_view_in_sqlite_is_the_fold_of_its_log_through_any_crash(
        units in units(),
        seed in any::<u64>(),
        faults in prop::collection::btree_map(1..40_u64, fault(), 0..10),
        polls in prop::collection::vec(0..12_u32, 0..12),
    ) {
        run(async {
            let directory = tempfile::tempdir().unwrap();
            let view = SqliteView::open(directory.path().join("view.db")).unwrap();
            let script = Script::random(seed, Rates::default());
            check(log(&units).await, view, script, faults, polls).await;
        });
    }
}

#[test]
fn a_crash_at_any_call_while_an_aggregate_is_parked_and_retried() {
    run(async {
        let mut calls = 1;
        let mut at = 0;
        while at < calls {
            at += 1;
            for fault in [ViewFault::CrashBefore, ViewFault::CrashAfter, ViewFault::Unknown] {
                calls = calls.max(parked_and_retried(at, fault).await);
            }
        }
        assert!(calls > 8, "{calls}");
    });
}

/// Parks an account, mends the handler, retries until it is no longer parked; and dies at one call of the view.
async fn parked_and_retried(at: u64, fault: ViewFault) -> u64 {
    let store = memory(1);
    pay(&store, "good", &[1, 2]).await;
    pay(&store, "bad", &[3, 666, 4, 5]).await;
    pay(&store, "good", &[6]).await;
    let rules = Journal::with(&[(666, Trouble::Fails)]);
    let view = MemoryView::new();
    let mut process = FaultyStore::new(Arc::new(store.clone()), Script::new());
    let mut faulty = FaultyView::new(view.clone(), process.clone(), [(at, fault)].into());
    for _ in 0..LIVES {
        let life = async {
            let log: Arc<dyn EventStore> = Arc::new(process.clone());
            let (runner, stop, requests) = runner(log, ONE, rules.clone(), &faulty, 1);
            let mut runner = runner.settings(Settings { batch_records: 2, ..hurried() });
            let mut status = runner.status();
            let operator = async {
                let head = Position::new(7);
                drop(status.wait_for(|status| status.checkpoint == Some(head)).await.expect("runs"));
                rules.mend();
                // A retry whose end was not seen is asked for again.
                while !status.borrow().parked.is_empty() {
                    crate::parking::retry(&requests, "bad").await.ok();
                    sidestream::clock::sleep(std::time::Duration::from_millis(1)).await;
                }
                stop.send_replace(true);
            };
            tokio::join!(runner.run(), operator).0.expect("told to stop");
        };
        if in_time("the end of a life", process.until_crash(life)).await.is_some() {
            let mut entries = view.journal(&store, ONE).await;
            entries.sort();
            assert_eq!(entries, fold(&store, ONE).await, "{fault:?} at {at}");
            return faulty.calls();
        }
        process = process.restart();
        faulty = faulty.of(process.clone());
    }
    panic!("it never gets there");
}
