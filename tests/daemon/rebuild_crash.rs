//! Crashes anywhere in a rebuild: one generation is live, whole, and the fold of its log.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use sidestream::projection::{Demands, MemoryView, Projection, Rebuild, Settings, SqliteView};
use sidestream::store::EventStore;
use sidestream::store::memory::MemoryStore;
use sidestream::stream::Position;
use sidestream::testkit::effort::proptest_config;
use sidestream::testkit::faults::{FaultyStore, Rates, Script};
use sidestream::testkit::run;

use crate::crash::{fault, log, units};
use crate::faulty_view::{FaultyView, ViewFault};
use crate::journal::{Entry, Journal};
use crate::rebuild::Compared;
use crate::support::*;

const LIVES: u32 = 400;

/// Follows the log with the live generation and builds another one, until that is live and at the head.
async fn live<V: Compared>(process: &FaultyStore, view: &FaultyView<V>, head: u64) -> sidestream::Result<()>
where
    Journal: Projection<V::Rows>,
{
    let store: Arc<dyn EventStore> = Arc::new(process.clone());
    let settings = Settings { batch_records: 4, ..hurried() };
    let (runner, stop, _requests) = runner(Arc::clone(&store), ONE, Journal::default(), view, 1);
    let mut runner = runner.settings(settings.clone());
    let mut status = runner.status();
    let rebuilds = async {
        use sidestream::projection::Generational;
        // What a life before did may have been the switch.
        if view.generations().await?.live == 1 {
            let mut rebuild = Rebuild::begin(Arc::clone(&store), view).await?.settings(settings);
            rebuild.project(Journal::default())?;
            rebuild.start();
            rebuild.caught_up().await?;
            rebuild.switch(Demands::same(V::all_rows())).await?;
        }
        let reached = status.wait_for(|status| status.checkpoint == Some(Position::new(head))).await;
        drop(reached);
        Ok(())
    };
    let work = async {
        let result = rebuilds.await;
        stop.send_replace(true);
        result
    };
    tokio::join!(runner.run(), work).1
}

/// Tells how often the view was called.
pub async fn check<V: Compared>(
    units: &[(u8, u8)],
    view: V,
    script: Script,
    faults: BTreeMap<u64, ViewFault>,
) -> u64
where
    Journal: Projection<V::Rows>,
{
    let (log, more): (MemoryStore, _) = (log(units).await, units.len() as u64);
    let head = log.read_log(ONE, Position::START, 1).await.unwrap().head.get() + more;
    let writes = async {
        for minor in 0..more {
            pay(&log, "1", &[minor as i64]).await;
            sidestream::clock::sleep(Duration::from_micros(300)).await;
        }
    };
    let mut process = FaultyStore::new(Arc::new(log.clone()), script);
    let mut faulty = FaultyView::new(view, process.clone(), faults);
    let lives = async {
        for _ in 0..LIVES {
            let done = in_time("the end of a life", process.until_crash(live(&process, &faulty, head))).await;
            match done {
                Some(Ok(())) => return,
                // The operator tries again.
                Some(Err(error)) => assert!(
                    matches!(
                        error.kind(),
                        sidestream::ErrorKind::Unavailable | sidestream::ErrorKind::Unknown
                    ),
                    "{error}"
                ),
                None => {
                    faulty.at_rest().await;
                    process = process.restart();
                    faulty = faulty.of(process.clone());
                }
            }
        }
        panic!("it never gets there");
    };
    tokio::join!(writes, lives);
    assert_eq!(faulty.view.journal(&log, ONE).await, fold(&log, ONE).await);
    let generations = faulty.view.generations().await.unwrap();
    assert_eq!((generations.live, generations.building), (2, None));
    faulty.calls()
}

#[test]
fn one_crash_or_failure_at_every_single_call() {
    run(async {
        let units: Vec<_> = (0..6).map(|number| (number, number)).collect();
        let calls = check(&units, MemoryView::<Vec<Entry>>::new(), Script::new(), BTreeMap::new()).await;
        assert!(calls > 8, "{calls}");
        for fault in [ViewFault::Down, ViewFault::Unknown, ViewFault::CrashBefore, ViewFault::CrashAfter] {
            for at in 1..=calls {
                let view = MemoryView::<Vec<Entry>>::new();
                check(&units, view, Script::new(), [(at, fault)].into()).await;
            }
        }
    });
}

proptest! {
    #![proptest_config(proptest_config(100, "proptest-regressions/daemon_rebuild.txt"))]

    #[test]
    fn a_rebuild_ends_in_the_fold_of_its_log_through_any_crash(
        units in units(),
        seed in any::<u64>(),
        faults in prop::collection::btree_map(1..60_u64, fault(), 0..8),
    ) {
        run(async {
            let script = Script::random(seed, Rates::default());
            check(&units, MemoryView::<Vec<Entry>>::new(), script, faults).await;
        });
    }
}

proptest! {
    #![proptest_config(proptest_config(20, "proptest-regressions/daemon_rebuild.txt"))]

    #[test]
    fn a_rebuild_in_sqlite_ends_in_the_fold_of_its_log_through_any_crash(
        units in units(),
        seed in any::<u64>(),
        faults in prop::collection::btree_map(1..60_u64, fault(), 0..8),
    ) {
        run(async {
            let directory = tempfile::tempdir().unwrap();
            let view = SqliteView::open(directory.path().join("view.db")).unwrap();
            let script = Script::random(seed, Rates::default());
            check(&units, view, script, faults).await;
        });
    }
}
