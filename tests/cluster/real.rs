//! Several services of one process share real stores and real views, in real time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sidestream::cluster::ClusterSettings;
use sidestream::event::{CodecName, EventType, NewRecord, RecordKind};
use sidestream::feed::{Pauses, Selection};
use sidestream::lease::LeaseTimes;
use sidestream::partition::{PartitionCount, PartitionId};
use sidestream::projection::{Definition, Event, MemoryView, Settings, SqliteRows, SqliteView, project_fn};
use sidestream::protocol::Atomicity;
use sidestream::runtime::{Runtime, RuntimeSettings};
use sidestream::store::memory::MemoryStore;
use sidestream::store::{EventStore, StreamAppend, Unit};
use sidestream::stream::ExpectedVersion;
use sidestream::testkit::{effort, run};
use sidestream::{AggregateId, Category, Position, SqliteStore, Timestamp};

const ACCOUNT: Category = Category::new("account");
pub const PARTITIONS: u16 = 8;

/// What a view holds: positions by partition, in the order in which they were applied.
pub type Seen = BTreeMap<u16, Vec<u64>>;

pub fn settings(name: String) -> RuntimeSettings {
    let lease = LeaseTimes { ttl: Duration::from_millis(900), margin: Duration::from_millis(150) };
    let pauses = Pauses { shortest_ms: 1, longest_ms: 10 };
    let cluster = ClusterSettings { name, lease, ..ClusterSettings::default() };
    let projection = Settings { polling: pauses, outage: pauses, ..Settings::default() };
    RuntimeSettings { cluster, projection, ..RuntimeSettings::default() }
}

fn record() -> NewRecord {
    NewRecord {
        kind: RecordKind::Event,
        event_type: EventType::new("Deposited").unwrap(),
        schema: 1,
        codec: CodecName::new("json").unwrap(),
        cause: None,
        requester: None,
        payload: Bytes::from_static(b"1"),
    }
}

pub async fn write(store: &dyn EventStore, events: u32) {
    for number in 0..events {
        let stream = ACCOUNT.stream(&AggregateId::new((number % 64).to_string()).unwrap());
        let partition = store.properties().partitions.of(stream.cardinal());
        let append = StreamAppend { stream, expected: ExpectedVersion::Any, records: vec![record()] };
        store.append(partition, vec![Unit::one(append)]).await.remove(0).expect("appended");
    }
}

pub async fn fold(store: &dyn EventStore) -> Seen {
    let mut seen = Seen::new();
    for partition in store.properties().partitions.all() {
        let (mut positions, mut after) = (Vec::new(), Position::START);
        loop {
            let page = store.read_log(partition, after, 4_096).await.expect("readable");
            positions.extend(page.records.iter().map(|record| record.position.get()));
            after = page.read_to;
            if page.read_to >= page.head {
                break;
            }
        }
        seen.insert(partition.get(), positions);
    }
    seen
}

fn in_memory() -> sidestream::Result<Definition<Vec<u64>>> {
    project_fn("seen", Selection::all(), |rows: &mut Vec<u64>, event: &Event<'_>| {
        rows.push(event.position().get());
        Ok(())
    })
}

pub fn in_sqlite() -> sidestream::Result<Definition<SqliteRows>> {
    project_fn("seen", Selection::all(), |rows: &mut SqliteRows, event: &Event<'_>| {
        rows.execute_all("CREATE TABLE IF NOT EXISTS seen (partition INTEGER, position INTEGER)")?;
        let at = (event.partition().get(), event.position().get().cast_signed());
        rows.execute("INSERT INTO seen VALUES (?1, ?2)", at)?;
        Ok(())
    })
}

/// What a view in SQLite holds.
pub async fn read_sqlite(view: &SqliteView) -> Seen {
    let rows = view.read(|connection| {
        let mut rows = connection.prepare("SELECT partition, position FROM seen ORDER BY rowid")?;
        let pair = |row: &sidestream::projection::sqlite::rusqlite::Row<'_>| {
            Ok((row.get::<_, u16>(0)?, row.get::<_, i64>(1)?.cast_unsigned()))
        };
        rows.query_map([], pair)?.collect::<Result<Vec<_>, _>>()
    });
    let mut seen: Seen = (0..PARTITIONS).map(|partition| (partition, Vec::new())).collect();
    for (partition, position) in rows.await.unwrap_or_default() {
        seen.entry(partition).or_default().push(position);
    }
    seen
}

/// Services come, go and die while events are written; in the end the view, which has so many places, is what the log
/// says.
pub async fn share(
    store: Arc<dyn EventStore>,
    places: u16,
    service: impl Fn(&Arc<dyn EventStore>, String) -> Runtime,
    read: impl AsyncFn() -> Seen,
) {
    let mut services = vec![service(&store, "first".to_owned())];
    for number in 0..effort::cases(6) {
        services.push(service(&store, format!("s{number}")));
        write(&*store, 200).await;
        tokio::time::sleep(Duration::from_millis(700)).await;
        let old = services.remove(0);
        // Every second one dies.
        if number % 2 == 0 {
            drop(old)
        } else {
            old.shutdown().await
        }
        write(&*store, 200).await;
    }
    let mut cluster = services[0].cluster();
    let all = cluster.wait_for(|status| status.held.len() == usize::from(places));
    drop(crate::in_time("all partitions", all).await.expect("it runs"));
    write(&*store, 100).await;
    let expected = fold(&*store).await;
    for _ in 0..600 {
        if read().await == expected {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(read().await, expected);
    let status = services[0].status();
    assert!(status.is_whole && status.cluster.unowned.is_empty(), "{status:?}");
    for service in services {
        service.shutdown().await;
    }
}

#[test]
fn services_on_a_store_in_memory_keep_one_view_right() {
    run(async {
        let count = PartitionCount::new(PARTITIONS).unwrap();
        let clock = Arc::new(sidestream::clock::SystemClock);
        let store: Arc<dyn EventStore> = Arc::new(MemoryStore::with(count, Atomicity::Batch, clock));
        let view = MemoryView::<Vec<u64>>::new();
        let start = |store: &Arc<dyn EventStore>, name| {
            let builder = Runtime::builder(Arc::clone(store)).settings(settings(name));
            builder.define(in_memory(), view.clone()).start().expect("started")
        };
        let read = async || {
            let mut seen: Seen = (0..PARTITIONS).map(|partition| (partition, Vec::new())).collect();
            view.for_each("seen", |partition: PartitionId, rows| {
                seen.insert(partition.get(), rows.clone());
            });
            seen
        };
        share(store, PARTITIONS, start, read).await;
    });
}

#[test]
fn services_on_sqlite_keep_one_view_right() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let count = PartitionCount::new(PARTITIONS).unwrap();
        let store = SqliteStore::builder(directory.path().join("log.db")).partitions(count).open().unwrap();
        let store: Arc<dyn EventStore> = Arc::new(store);
        let path = directory.path().join("view.db");
        let view = SqliteView::open(&path).unwrap();
        // Each opens the file for itself, as processes do.
        let start = |store: &Arc<dyn EventStore>, name| {
            let builder = Runtime::builder(Arc::clone(store)).settings(settings(name));
            builder.define(in_sqlite(), SqliteView::open(&path).unwrap()).start().expect("started")
        };
        let read = async || read_sqlite(&view).await;
        share(store, PARTITIONS, start, read).await;
    });
}

#[test]
fn a_join_has_one_place_in_all_services_and_its_view_is_right() {
    run(async {
        let count = PartitionCount::new(PARTITIONS).unwrap();
        let clock = Arc::new(sidestream::clock::SystemClock);
        let store: Arc<dyn EventStore> = Arc::new(MemoryStore::with(count, Atomicity::Batch, clock));
        // Time, partition and position of each event, in the order in which they were applied.
        let view = MemoryView::<Vec<(Timestamp, u16, u64)>>::new();
        let define = || {
            let apply = |rows: &mut Vec<(Timestamp, u16, u64)>, event: &Event<'_>| {
                rows.push((event.recorded_at(), event.partition().get(), event.position().get()));
                Ok(())
            };
            let selections =
                || Ok([Selection::all().category(ACCOUNT)?, Selection::all().types(["Deposited"])?]);
            project_fn("seen", Selection::all(), apply).and_then(|defined| Ok(defined.join(selections()?)))
        };
        let start = |store: &Arc<dyn EventStore>, name| {
            let builder = Runtime::builder(Arc::clone(store)).settings(settings(name));
            builder.define(define(), view.clone()).start().expect("started")
        };
        let read = async || {
            let mut seen: Seen = (0..PARTITIONS).map(|partition| (partition, Vec::new())).collect();
            view.for_each("seen", |_, rows| {
                assert!(rows.is_sorted(), "not in the order of their times");
                for (_, partition, position) in rows {
                    seen.entry(*partition).or_default().push(*position);
                }
            });
            seen
        };
        share(store, 1, start, read).await;
    });
}
