//! A join that is made anew beside the live one: the same events in the same order, switched at the same number of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use sidestream::ErrorKind;
use sidestream::projection::{
    Daemon, Demands, Generational, MemoryContent, MemoryView, PostgresContent, PostgresView, Projection,
    Rebuild, Settings, SqliteContent, SqliteView,
};
use sidestream::store::EventStore;
use sidestream::stream::Position;
use sidestream::testkit::effort::proptest_config;
use sidestream::testkit::faults::{FaultyStore, Rates, Script};
use sidestream::testkit::run;

use crate::crash::fault;
use crate::faulty_view::{FaultyView, ViewFault};
use crate::journal::{Journal, Readable};
use crate::ledger::{Ledger, Legible, Seen, Step, Stores, expected, steps, total};
use crate::support::*;

/// A view that can say whether two ledgers have the same rows in the same order.
pub trait Ordered: Generational + Legible {
    fn in_order() -> Self::Content;
}

impl Ordered for MemoryView<Vec<Seen>> {
    fn in_order() -> MemoryContent<Vec<Seen>> {
        MemoryContent::new(|seen: &Vec<Seen>| format!("{seen:?}").into_bytes())
    }
}

impl Ordered for SqliteView {
    fn in_order() -> SqliteContent {
        SqliteContent::queries(["SELECT partition, position FROM ledger ORDER BY rowid"])
    }
}

impl Ordered for PostgresView {
    fn in_order() -> PostgresContent {
        PostgresContent::queries(["SELECT partition, position FROM ledger ORDER BY number"])
    }
}

/// Settings that cut everything small, each side in another way.
fn small(batch_records: usize) -> Settings {
    Settings { batch_records, join_lag_ms: 0, attempts: 1_000, ..hurried() }
}

/// What runs in one life: the live generation, and another one that is built until it is live.
struct Life<'a, V> {
    view: &'a FaultyView<V>,
    rules: &'a Ledger,
    total: u64,
    written: &'a tokio::sync::watch::Receiver<bool>,
}

impl<V: Ordered> Life<'_, V>
where
    Ledger: Projection<V::Rows>,
{
    async fn live(&self, process: &FaultyStore) -> sidestream::Result<()> {
        let store: Arc<dyn EventStore> = Arc::new(process.clone());
        let (runner, stop, _requests) = runner(Arc::clone(&store), ONE, self.rules.clone(), self.view, 1);
        let mut runner = runner.settings(small(3));
        let (mut status, mut written) = (runner.status(), self.written.clone());
        let rebuilds = async {
            if self.view.generations().await?.live == 1 {
                let mut rebuild = Rebuild::begin(Arc::clone(&store), self.view).await?.settings(small(2));
                rebuild.project(self.rules.clone())?;
                rebuild.start();
                rebuild.caught_up().await?;
                let switched = rebuild.switch(Demands::same(V::in_order())).await?;
                assert_eq!(switched.stands.len(), 1, "one place for all partitions");
            }
            written.wait_for(|written| *written).await.expect("a writer");
            let all = Some(Position::new(self.total));
            drop(status.wait_for(|status| status.checkpoint == all).await);
            Ok(())
        };
        let work = async {
            let result = rebuilds.await;
            stop.send_replace(true);
            result
        };
        tokio::join!(runner.run(), work).1
    }
}

/// Writes while lives come and go; then the second generation is live, and what the logs say. Tells how often the view was
/// called.
pub async fn check<V: Ordered>(
    (stores, view): (Stores, V),
    steps: Vec<Step>,
    script: Script,
    (faults, fails): (BTreeMap<u64, ViewFault>, BTreeSet<u64>),
    mut polls: Vec<u32>,
) -> u64
where
    Ledger: Projection<V::Rows>,
{
    let total = total(&steps);
    let (told, written) = tokio::sync::watch::channel(false);
    let writing = async {
        stores.write(&steps).await;
        told.send_replace(true);
    };
    let rules = Ledger(Journal::default(), Arc::new(Mutex::new((0, fails))));
    let mut process = FaultyStore::new(Arc::clone(&stores.placed), script);
    let mut faulty = FaultyView::new(view, process.clone(), faults);
    let lives = async {
        for _ in 0..400 {
            let life = Life { view: &faulty, rules: &rules, total, written: &written };
            match one_life(&process, life.live(&process), polls.pop()).await {
                Some(Ok(())) => return,
                // The operator tries again.
                Some(Err(error)) => {
                    assert!(matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Unknown), "{error}");
                }
                None => {
                    faulty.at_rest().await;
                    process = process.restart();
                    faulty = faulty.of(process.clone());
                }
            }
        }
        panic!("it never gets there");
    };
    tokio::join!(writing, lives);
    assert_eq!(faulty.view.ledger(&*stores.placed).await, expected(&*stores.placed).await);
    let generations = faulty.view.generations().await.unwrap();
    assert_eq!((generations.live, generations.building), (2, None));
    faulty.calls()
}

fn rates() -> Rates {
    Rates { delay: 300, unavailable: 30, unknown: 0, late: 0, crash: 10 }
}

pub fn twelve() -> Vec<Step> {
    (0..12_u8).map(|number| Step::Append(number.is_multiple_of(2), number % 5, number % 3 + 1)).collect()
}

#[test]
fn one_crash_or_failure_at_every_single_call() {
    let one = |faults: BTreeMap<u64, ViewFault>| {
        let places = (Stores::new(), MemoryView::<Vec<Seen>>::new());
        run(check(places, twelve(), Script::new(), (faults, BTreeSet::new()), vec![]))
    };
    let calls = one(BTreeMap::new());
    assert!(calls > 8, "{calls}");
    for fault in [ViewFault::Down, ViewFault::Unknown, ViewFault::CrashBefore, ViewFault::CrashAfter] {
        for at in 1..=calls {
            one([(at, fault)].into());
        }
    }
}

proptest! {
    #![proptest_config(proptest_config(100, "proptest-regressions/daemon_rebuild_joined.txt"))]

    #[test]
    fn a_join_that_is_made_anew_is_the_same_sequence_through_any_crash(
        steps in steps(),
        seed in any::<u64>(),
        faults in prop::collection::btree_map(1..60_u64, fault(), 0..8),
        fails in prop::collection::btree_set(1..120_u64, 0..6),
        polls in prop::collection::vec(0..60_u32, 0..8),
    ) {
        let script = Script::random(seed, rates());
        run(check((Stores::new(), MemoryView::<Vec<Seen>>::new()), steps, script, (faults, fails), polls));
    }
}

proptest! {
    #![proptest_config(proptest_config(12, "proptest-regressions/daemon_rebuild_joined.txt"))]

    #[test]
    fn a_join_in_sqlite_that_is_made_anew_is_the_same_sequence_through_any_crash(
        steps in steps(),
        seed in any::<u64>(),
        faults in prop::collection::btree_map(1..60_u64, fault(), 0..8),
        fails in prop::collection::btree_set(1..120_u64, 0..6),
        polls in prop::collection::vec(0..60_u32, 0..8),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let view = SqliteView::open(directory.path().join("view.db")).unwrap();
        let script = Script::random(seed, rates());
        run(check((Stores::new(), view), steps, script, (faults, fails), polls));
    }
}

/// A projection in each partition and a join of all of them, in one view.
pub async fn both_together<V: Ordered + Readable>(view: V)
where
    Ledger: Projection<V::Rows>,
    Journal: Projection<V::Rows>,
{
    let store: Arc<dyn EventStore> = Arc::new(memory(3));
    let names: Vec<_> = (0..9).map(|number| number.to_string()).collect();
    for name in &names {
        pay(&*store, name, &[1, 2, 3]).await;
    }
    let live = Daemon::builder(Arc::clone(&store)).settings(small(4));
    let live = live.project(Journal::default(), view.clone()).project(Ledger::default(), view.clone());
    let live = live.start().unwrap();
    let writes = async {
        for minor in 0..60_i64 {
            pay(&*store, &names[minor.unsigned_abs() as usize % 9], &[minor]).await;
            sidestream::clock::sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    let rebuilds = async {
        let all = async {
            while live.status().iter().filter(|status| status.checkpoint.is_some()).count() < 4 {
                sidestream::clock::sleep(std::time::Duration::from_millis(1)).await;
            }
        };
        in_time("all places", all).await;
        let mut rebuild = Rebuild::begin(Arc::clone(&store), &view).await.unwrap().settings(small(5));
        rebuild.project(Journal::default()).unwrap();
        rebuild.project(Ledger::default()).unwrap();
        rebuild.start();
        in_time("a rebuild", rebuild.caught_up()).await.unwrap();
        assert_eq!(rebuild.progress().await.unwrap().places.len(), 4);
        assert_eq!(rebuild.status().len(), 4, "a join runs once");
        let switched = in_time("a switch", rebuild.switch(Demands::same(V::in_order()))).await.unwrap();
        assert_eq!((switched.from, switched.to, switched.stands.len()), (1, 2, 4));
        assert!(switched.content.is_some());
        in_time("its end", rebuild.shutdown()).await;
    };
    tokio::join!(writes, rebuilds);
    let total = expected(&*store).await.len() as u64;
    let end = async {
        let ledger = |status: &sidestream::projection::Status| {
            status.joined.is_none() || status.checkpoint == Some(Position::new(total))
        };
        while !live.status().iter().all(|status| ledger(status) && status.lag_records() == 0) {
            sidestream::clock::sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    in_time("the head", end).await;
    assert_eq!(view.ledger(&*store).await, expected(&*store).await);
    for partition in store.properties().partitions.all() {
        assert_eq!(view.journal(&*store, partition).await, fold(&*store, partition).await);
    }
    assert_eq!(view.drop_former().await.unwrap(), 1);
    assert_eq!(view.ledger(&*store).await, expected(&*store).await);
    in_time("the end", live.shutdown()).await;
}

#[test]
fn a_join_and_what_shares_its_view_are_switched_together_while_payments_go_on() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        both_together(SqliteView::open(directory.path().join("view.db")).unwrap()).await;
    });
}
