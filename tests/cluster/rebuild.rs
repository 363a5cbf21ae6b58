//! Workers that share a rebuild as they share everything else.

use std::sync::Arc;
use std::time::Duration;

use sidestream::partition::PartitionCount;
use sidestream::processor::ProcessorId;
use sidestream::projection::{Demands, Generational, Rebuild, SqliteContent, SqliteView};
use sidestream::protocol::Atomicity;
use sidestream::runtime::Runtime;
use sidestream::store::EventStore;
use sidestream::store::memory::MemoryStore;
use sidestream::testkit::run;

use crate::in_time;
use crate::real::{PARTITIONS, fold, in_sqlite, read_sqlite, settings, write};

/// A process: the live projection, and its share of the rebuild.
async fn process(
    store: &Arc<dyn EventStore>,
    path: &std::path::Path,
    name: &str,
) -> (Runtime, Rebuild<SqliteView>) {
    let view = SqliteView::open(path).unwrap();
    let mut rebuild = Rebuild::begin(Arc::clone(store), &view).await.unwrap();
    let processor = rebuild.define(in_sqlite().unwrap()).unwrap();
    let builder = Runtime::builder(Arc::clone(store)).settings(settings(name.to_owned()));
    (builder.define(in_sqlite(), view).processor(processor).start().unwrap(), rebuild)
}

fn held(service: &Runtime, processor: &ProcessorId) -> usize {
    let held = service.status().cluster.held;
    held.iter().filter(|held| held.is_running && held.assignment.processor == *processor).count()
}

#[test]
fn two_workers_share_a_rebuild_and_one_that_dies_leaves_its_share_to_the_other() {
    run(async {
        let count = PartitionCount::new(PARTITIONS).unwrap();
        let clock = Arc::new(sidestream::clock::SystemClock);
        let store: Arc<dyn EventStore> = Arc::new(MemoryStore::with(count, Atomicity::Batch, clock));
        write(&*store, 2_000).await;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("view.db");
        let (first, rebuild) = process(&store, &path, "first").await;
        let (second, _) = process(&store, &path, "second").await;
        let processor = ProcessorId::new("seen v1 rebuild 2").unwrap();
        let shared = async {
            while (held(&first, &processor), held(&second, &processor)) != (4, 4) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        in_time("four partitions each", shared).await;
        // It dies in the middle; what it built stays.
        drop(second);
        write(&*store, 500).await;
        let near = async {
            while rebuild.progress().await.unwrap().to_do > 0 || rebuild.caught_up().await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        in_time("all places", near).await;
        let all = Demands::same(SqliteContent::queries(["SELECT * FROM seen ORDER BY partition, position"]));
        let switched = in_time("a switch", rebuild.switch(all)).await.unwrap();
        assert_eq!((switched.from, switched.to, switched.stands.len()), (1, 2, usize::from(PARTITIONS)));
        write(&*store, 300).await;
        let view = SqliteView::open(&path).unwrap();
        let expected = fold(&*store).await;
        let whole = async {
            while read_sqlite(&view).await != expected {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        in_time("all events", whole).await;
        assert_eq!(view.generations().await.unwrap().live, 2);
        assert_eq!(view.drop_former().await.unwrap(), 1);
        assert_eq!(read_sqlite(&view).await, expected);
        in_time("its end", first.shutdown()).await;
    });
}
