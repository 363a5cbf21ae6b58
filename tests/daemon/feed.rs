//! The feed: what is selected, what is missing, and waking up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use sidestream::event::{CodecName, EventType};
use sidestream::feed::{Cursor, Pauses, Selection, Wake};
use sidestream::partition::PartitionId;
use sidestream::store::memory::MemoryStore;
use sidestream::store::rows::{RowsPage, RowsRead};
use sidestream::store::sqlite::SqliteStore;
use sidestream::store::{
    EventStore, LogPage, OpenStep, OpenStepsRead, StoreProperties, StreamPage, StreamRead, Unit, UnitResult,
};
use sidestream::stream::{Position, StreamName, Version};
use sidestream::testkit::changed::{Changed, Changes};
use sidestream::testkit::run;
use sidestream::{Category, ErrorKind, Result, Timestamp};

use crate::support::*;

/// Counts the records that reads of logs return.
#[derive(Debug, Clone)]
struct Counted {
    store: MemoryStore,
    by_types: Arc<AtomicU64>,
    by_log: Arc<AtomicU64>,
}

impl Counted {
    fn new(store: MemoryStore) -> Self {
        Self { store, by_types: Arc::default(), by_log: Arc::default() }
    }
}

#[async_trait]
impl EventStore for Counted {
    fn properties(&self) -> StoreProperties {
        self.store.properties()
    }

    async fn append(&self, partition: PartitionId, units: Vec<Unit>) -> Vec<UnitResult> {
        self.store.append(partition, units).await
    }

    async fn read_streams(&self, reads: Vec<StreamRead>) -> Vec<Result<StreamPage>> {
        self.store.read_streams(reads).await
    }

    async fn read_log(&self, partition: PartitionId, after: Position, limit: usize) -> Result<LogPage> {
        let page = self.store.read_log(partition, after, limit).await?;
        self.by_log.fetch_add(page.records.len() as u64, Ordering::SeqCst);
        Ok(page)
    }

    async fn read_types(
        &self,
        partition: PartitionId,
        types: &[EventType],
        after: Position,
        limit: usize,
    ) -> Result<LogPage> {
        let page = self.store.read_types(partition, types, after, limit).await?;
        self.by_types.fetch_add(page.records.len() as u64, Ordering::SeqCst);
        Ok(page)
    }

    async fn open_steps(&self, read: OpenStepsRead) -> Result<Vec<OpenStep>> {
        self.store.open_steps(read).await
    }

    async fn truncate(&self, stream: &StreamName, through: Version) -> Result<Version> {
        self.store.truncate(stream, through).await
    }

    async fn rows(&self, read: RowsRead) -> Result<RowsPage> {
        self.store.rows(read).await
    }

    async fn close_partitions(
        &self,
        partitions: &[PartitionId],
        through: Timestamp,
    ) -> Result<Vec<Timestamp>> {
        self.store.close_partitions(partitions, through).await
    }
}

fn other(event_type: &'static str) -> sidestream::event::NewRecord {
    record(event_type, CodecName::new("json").unwrap(), bytes::Bytes::from_static(b"1"))
}

/// Reads until the head, and gives the positions and the number of pages.
async fn read_all(mut cursor: Cursor) -> Result<Vec<u64>> {
    let mut positions = Vec::new();
    loop {
        let page = cursor.next().await?;
        positions.extend(page.records.iter().map(|record| record.position.get()));
        if !page.has_more() {
            return Ok(positions);
        }
    }
}

fn cursor(store: &(impl EventStore + Clone), selection: Selection, after: u64) -> Cursor {
    Cursor::new(Arc::new(store.clone()), ONE, selection, Position::new(after)).page_records(7)
}

#[test]
fn three_rare_types_are_read_by_the_index_only() {
    run(async {
        let store = Counted::new(memory(1));
        for number in 0..300_u32 {
            let rare = ["Opened", "Closed", "Blocked"][number as usize % 3];
            let event_type = if number.is_multiple_of(60) { rare } else { "Common" };
            append(&store, &account(&(number % 5).to_string()), vec![other(event_type)]).await;
        }
        let selection = Selection::all().types(["Opened", "Closed", "Blocked"]).unwrap();
        let found = read_all(cursor(&store, selection, 0)).await.unwrap();
        assert_eq!(found, [1, 61, 121, 181, 241]);
        assert_eq!(store.by_types.load(Ordering::SeqCst), 5);
        assert_eq!(store.by_log.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn selections_narrow_by_kind_and_widen_within_one() {
    run(async {
        let store = memory(1);
        let card = Category::new("card").stream(&id("1"));
        append(&store, &account("1"), vec![deposit(1)]).await;
        append(&store, &card, vec![other("Issued"), other("Used")]).await;
        append(&store, &account("2"), vec![deposit(2)]).await;
        append(&store, &account("2"), vec![fence()]).await;
        let all = Selection::all;
        let cases = [
            (all(), vec![1, 2, 3, 4]),
            (all().framework_records(), vec![1, 2, 3, 4, 5]),
            (all().category(Category::new("card")).unwrap(), vec![2, 3]),
            (all().types(["Used", "Deposited"]).unwrap(), vec![1, 3, 4]),
            (all().types(["Used", "Deposited"]).unwrap().category(ACCOUNT).unwrap(), vec![1, 4]),
            (all().stream(account("2")).unwrap().stream(card).unwrap(), vec![2, 3, 4]),
        ];
        for (selection, expected) in cases {
            let found = read_all(cursor(&store, selection.clone(), 0)).await.unwrap();
            assert_eq!(found, expected, "{selection:?}");
        }
        assert_eq!(read_all(cursor(&store, all(), 2)).await.unwrap(), [3, 4]);
    });
}

fn fence() -> sidestream::event::NewRecord {
    let kind = sidestream::event::RecordKind::Fence;
    let event_type = kind.framework_type().unwrap();
    sidestream::event::NewRecord { kind, event_type, ..deposit(0) }
}

#[test]
fn a_selection_out_of_bounds_is_refused() {
    let none: [&str; 0] = [];
    let many = (0..1_000).map(|number| format!("T{number}"));
    for error in
        [Selection::all().types(none), Selection::all().types(many), Selection::all().types(["a\nb"])]
    {
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Invalid);
    }
}

/// Takes one position out of every page of the log.
#[derive(Clone, Copy)]
struct Without(u64);

impl Changes for Without {
    fn log(&self, page: &mut LogPage) {
        page.records.retain(|record| record.position.get() != self.0);
    }
}

/// Three accounts in turn, twelve events: position 5 is the second of account 1.
async fn twelve(store: &MemoryStore) {
    for number in 0..12_u32 {
        append(store, &account(&(number % 3).to_string()), vec![deposit(1)]).await;
    }
}

#[test]
fn a_store_that_drops_an_event_is_stopped_by_the_streams_name() {
    run(async {
        for (lost, version) in [(1, 1), (5, 2), (8, 3)] {
            let store = memory(1);
            twelve(&store).await;
            let store = Arc::new(Changed(store, Without(lost)));
            // From the beginning; again, as after a restart; and from a position just before.
            for after in [0, 0, lost - 1] {
                let error = read_all(cursor(&store, Selection::all(), after)).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Corrupt);
                let stream = account(&((lost - 1) % 3).to_string());
                assert_eq!(error.stream(), Some(stream.as_str()), "{error}");
                let told = error.to_string();
                assert!(told.contains(&format!("expected version {version}")) || after > 0, "{told}");
                assert!(told.contains(&format!("position {}", lost + 3)), "{told}");
            }
            // What was lost behind a saved position is nobody's loss.
            let rest = read_all(cursor(&store, Selection::all(), lost)).await.unwrap();
            assert_eq!(rest.len() as u64, 12 - lost);
        }
    });
}

#[test]
fn a_stream_that_was_cut_off_on_purpose_is_no_corruption() {
    run(async {
        let store = memory(1);
        twelve(&store).await;
        let mut half = cursor(&store, Selection::all(), 0);
        assert_eq!(half.next().await.unwrap().read_to, Position::new(7));
        // Read ahead or not: what is removed now may be missing in the next page.
        store.truncate(&account("1"), Version::new(3)).await.unwrap();
        store.truncate(&account("2"), Version::new(2)).await.unwrap();
        assert_eq!(read_all(half).await.unwrap().last(), Some(&12));
        let found = read_all(cursor(&store, Selection::all(), 0)).await.unwrap();
        assert_eq!(found, [1, 4, 7, 9, 10, 11, 12]);
        assert_eq!(read_all(cursor(&store, Selection::all(), 3)).await.unwrap(), [4, 7, 9, 10, 11, 12]);
    });
}

/// Alters one record.
struct Altered(u64);

impl Changes for Altered {
    fn log(&self, page: &mut LogPage) {
        for record in page.records.iter_mut().filter(|record| record.position.get() == self.0) {
            record.data.payload = bytes::Bytes::from_static(b"{\"Deposited\":{\"minor\":9}}");
        }
    }
}

#[test]
fn an_altered_record_is_not_handed_out() {
    run(async {
        let store = memory(1);
        twelve(&store).await;
        let store = Arc::new(Changed(store, Altered(9)));
        for selection in [Selection::all(), Selection::all().types(["Deposited"]).unwrap()] {
            let error = read_all(cursor(&store, selection, 0)).await.unwrap_err();
            assert_eq!((error.kind(), error.stream()), (ErrorKind::Corrupt, Some("account-2")));
        }
    });
}

#[test]
fn a_commit_wakes_whoever_waits() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let sqlite = SqliteStore::open(directory.path().join("events.db")).unwrap();
        let stores: [Arc<dyn EventStore>; 2] = [Arc::new(memory(1)), Arc::new(sqlite)];
        for store in stores {
            // Without the hint this would take an hour.
            let hour = Pauses { shortest_ms: 3_600_000, longest_ms: 3_600_000 };
            let partition = store.properties().partitions.of("1");
            let mut wake = Wake::new(hour);
            let stream = account("1");
            let (woken, written) = tokio::join!(
                in_time("the hint", wake.wait(&*store, partition, Position::START)),
                append(&*store, &stream, vec![deposit(1)]),
            );
            assert_eq!((woken, written), ((), Position::new(1)));
            // What came before anybody waited counts, too.
            in_time("the hint", wake.wait(&*store, partition, Position::START)).await;
        }
    });
}

#[test]
fn polling_alone_is_enough() {
    run(async {
        // This store gives no hints.
        let store = Counted::new(memory(1));
        let mut wake = Wake::new(Pauses { shortest_ms: 1, longest_ms: 4 });
        append(&store, &account("1"), vec![deposit(1)]).await;
        for _ in 0..5 {
            in_time("a look", wake.wait(&store, ONE, Position::new(1))).await;
        }
        let pauses = Pauses { shortest_ms: 5, longest_ms: 1_000 };
        let grown = [0, 1, 2, 7, 8, 63, 64, 1_000].map(|attempt| pauses.before(attempt));
        assert_eq!(grown, [5, 10, 20, 640, 1_000, 1_000, 1_000, 1_000].map(Duration::from_millis));
    });
}

/// A page that is read ahead holds no reader of the store for as long as nobody asks for it: others would wait for ever.
#[test]
fn cursors_that_rest_hold_nobody_up() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::builder(folder.path().join("events.db")).open().unwrap();
    on_threads(async {
        for number in 0..200 {
            append(&store, &account(&number.to_string()), vec![deposit(1); 20]).await;
        }
        let partitions: Vec<_> = store.properties().partitions.all().collect();
        for round in 0..20 {
            // Side by side: then what is read ahead has to wait for a reader, too.
            let mut resting = tokio::task::JoinSet::new();
            for partition in partitions.clone() {
                let store: Arc<dyn EventStore> = Arc::new(store.clone());
                let mut cursor =
                    Cursor::new(store, partition, Selection::all(), Position::START).page_records(5);
                resting.spawn(async move {
                    in_time("a page", cursor.next()).await.unwrap();
                    cursor
                });
            }
            let resting = resting.join_all().await;
            let all = partitions.iter().map(|partition| store.read_log(*partition, Position::START, 1));
            for read in all.collect::<Vec<_>>() {
                in_time(&format!("a read of round {round}"), read).await.unwrap();
            }
            drop(resting);
        }
    });
}

fn on_threads<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(work)
}
