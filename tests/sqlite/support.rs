//! Streams, records and units for these tests.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use sidestream::clock::ManualClock;
use sidestream::event::{CodecName, EventType, NewRecord, RecordKind};
use sidestream::id::{Cause, Fingerprint, StepName};
use sidestream::partition::{PartitionCount, PartitionId};
use sidestream::store::sqlite::{FatalHandler, Options, SqliteStore};
use sidestream::store::{ReadFrom, StreamAppend, StreamPage, StreamRead, Unit, UnitResult};
use sidestream::stream::{ExpectedVersion, Position, StreamName, Version};
use sidestream::{AggregateId, Category, Error, EventStore, Timestamp, TransactionId};
use tempfile::TempDir;

pub const ACCOUNT: Category = Category::new("account");
const HOLD: StepName = StepName::new("hold");

/// Does nothing but remember.
#[derive(Debug, Default)]
pub struct Recording(pub Mutex<Vec<String>>);

impl FatalHandler for Recording {
    fn fatal(&self, error: &Error) {
        self.0.lock().unwrap().push(error.to_string());
    }
}

/// A directory with a store in it.
pub struct Place {
    pub directory: TempDir,
    pub clock: Arc<ManualClock>,
    pub fatal: Arc<Recording>,
}

impl Place {
    pub fn new() -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_000_000)));
        Self { directory: tempfile::tempdir().unwrap(), clock, fatal: Arc::default() }
    }

    pub fn path(&self) -> PathBuf {
        self.directory.path().join("events.db")
    }

    pub fn wal(&self) -> PathBuf {
        self.directory.path().join("events.db-wal")
    }

    pub fn options(&self) -> Options {
        SqliteStore::builder(self.path()).clock(self.clock.clone()).fatal(self.fatal.clone())
    }

    pub fn open(&self) -> SqliteStore {
        self.options().open().unwrap()
    }

    /// A store of one partition, where all accounts are neighbours.
    pub fn open_one(&self) -> SqliteStore {
        self.options().partitions(PartitionCount::new(1).unwrap()).open().unwrap()
    }
}

pub fn account(id: &str) -> StreamName {
    ACCOUNT.stream(&AggregateId::new(id).unwrap())
}

pub fn side(id: &str, transaction: TransactionId) -> StreamName {
    ACCOUNT.side_stream(&AggregateId::new(id).unwrap(), transaction)
}

pub fn event(event_type: &'static str, payload: &[u8]) -> NewRecord {
    record(RecordKind::Event, EventType::new(event_type).unwrap(), payload)
}

pub fn framework(kind: RecordKind, cause: Option<Cause>) -> NewRecord {
    NewRecord { cause, ..record(kind, kind.framework_type().unwrap(), b"x") }
}

pub fn record(kind: RecordKind, event_type: EventType, payload: &[u8]) -> NewRecord {
    NewRecord {
        kind,
        event_type,
        schema: 3,
        codec: CodecName::new("json").unwrap(),
        cause: None,
        requester: None,
        payload: Bytes::copy_from_slice(payload),
    }
}

pub fn cause(transaction: TransactionId) -> Cause {
    Cause { transaction, step: HOLD, fingerprint: Fingerprint::from_bytes([7; 16]) }
}

pub fn append(
    stream: &StreamName,
    expected: impl Into<ExpectedVersion>,
    records: Vec<NewRecord>,
) -> StreamAppend {
    StreamAppend { stream: stream.clone(), expected: expected.into(), records }
}

pub fn unit(stream: &StreamName, expected: u64, payload: &[u8]) -> Unit {
    Unit::one(append(stream, Version::new(expected), vec![event("Deposited", payload)]))
}

pub fn partition_of(store: &SqliteStore, stream: &StreamName) -> PartitionId {
    store.properties().partitions.of(stream.cardinal())
}

pub async fn put(store: &SqliteStore, stream: &StreamName, expected: u64, payload: &[u8]) -> UnitResult {
    put_unit(store, unit(stream, expected, payload)).await
}

pub async fn put_unit(store: &SqliteStore, unit: Unit) -> UnitResult {
    let partition = partition_of(store, &unit.appends[0].stream);
    store.append(partition, vec![unit]).await.remove(0)
}

pub async fn read(store: &SqliteStore, stream: &StreamName, after: u64) -> sidestream::Result<StreamPage> {
    let from = ReadFrom::After(Version::new(after));
    store.read_streams(vec![StreamRead { stream: stream.clone(), from, limit: 4_096 }]).await.remove(0)
}

pub async fn payloads(store: &SqliteStore, stream: &StreamName) -> Vec<Vec<u8>> {
    let page = read(store, stream, 0).await.unwrap();
    page.records.iter().map(|record| record.data.payload.to_vec()).collect()
}

/// Every record of a partition's log is there once, in order, and intact.
pub async fn check_log(store: &SqliteStore, partition: PartitionId) -> u64 {
    let mut after = Position::START;
    loop {
        let page = store.read_log(partition, after, 4_096).await.unwrap();
        for record in &page.records {
            assert_eq!(record.position, after.plus(1), "positions have no gaps");
            record.verify().unwrap();
            after = record.position;
        }
        if page.records.is_empty() {
            assert_eq!(page.head, after);
            return after.get();
        }
    }
}
