//! Each event takes effect exactly once and in order, while others write and across clean restarts.

use std::sync::Arc;

use proptest::prelude::*;
use sidestream::partition::PartitionCount;
use sidestream::projection::{Daemon, MemoryView, SqliteView, View};
use sidestream::store::EventStore;
use sidestream::store::sqlite::SqliteStore;
use sidestream::stream::Position;
use sidestream::testkit::effort::proptest_config;
use sidestream::testkit::run;

use crate::journal::{Journal, Readable};
use crate::support::*;

/// Units of up to three deposits, and restarts of the daemon in between.
#[derive(Debug, Clone)]
pub enum Step {
    Commit(u8, Vec<i64>),
    Restart,
    Yield(u8),
}

pub fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..9_u8, prop::collection::vec(1..99_i64, 1..4)).prop_map(|(to, amounts)| Step::Commit(to, amounts)),
        1 => Just(Step::Restart),
        2 => (1..20_u8).prop_map(Step::Yield),
    ]
}

pub async fn check<V: View + Clone + Readable>(store: Arc<dyn EventStore>, view: V, steps: Vec<Step>)
where
    Journal: sidestream::projection::Projection<V::Rows>,
{
    let start = || {
        let settings = sidestream::projection::Settings { batch_records: 5, ..hurried() };
        let daemon = Daemon::builder(Arc::clone(&store)).settings(settings);
        daemon.project(Journal::default(), view.clone()).start().expect("started")
    };
    let mut daemon = start();
    for step in steps {
        match step {
            Step::Commit(to, amounts) => {
                let records = amounts.into_iter().map(deposit).collect();
                append(&*store, &account(&to.to_string()), records).await;
            }
            Step::Restart => {
                in_time("the end of a daemon", daemon.shutdown()).await;
                daemon = start();
            }
            Step::Yield(turns) => {
                for _ in 0..turns {
                    tokio::task::yield_now().await;
                }
            }
        }
    }
    let mut heads = Vec::new();
    for partition in store.properties().partitions.all() {
        heads.push(store.read_log(partition, Position::START, 1).await.expect("readable").head);
    }
    let is_there = |daemon: &Daemon| {
        daemon.status().iter().zip(&heads).all(|(status, head)| status.checkpoint == Some(*head))
    };
    let wait = async {
        while !is_there(&daemon) {
            sidestream::clock::sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    in_time("the head", wait).await;
    in_time("the end of a daemon", daemon.shutdown()).await;
    for partition in store.properties().partitions.all() {
        assert_eq!(view.journal(&*store, partition).await, fold(&*store, partition).await, "{partition}");
    }
}

proptest! {
    #![proptest_config(proptest_config(100, "proptest-regressions/daemon_exactly_once.txt"))]

    #[test]
    fn each_event_takes_effect_once_and_in_order_in_memory(steps in prop::collection::vec(step(), 1..60)) {
        run(check(Arc::new(memory(3)), MemoryView::new(), steps));
    }
}

proptest! {
    #![proptest_config(proptest_config(12, "proptest-regressions/daemon_exactly_once.txt"))]

    #[test]
    fn each_event_takes_effect_once_and_in_order_on_sqlite(steps in prop::collection::vec(step(), 1..60)) {
        run(async {
            let directory = tempfile::tempdir().unwrap();
            let count = PartitionCount::new(3).unwrap();
            let store = SqliteStore::builder(directory.path().join("events.db")).partitions(count).open().unwrap();
            let view = SqliteView::open(directory.path().join("view.db")).unwrap();
            check(Arc::new(store), view, steps).await;
        });
    }
}
