//! Two stores that are made one, of any kind, and records for them.

use std::sync::Arc;

use bytes::Bytes;
use sidestream::clock::{Clock, ManualClock, SystemClock, Timestamp};
use sidestream::event::{CodecName, EventType, NewRecord, RecordKind};
use sidestream::partition::{PartitionCount, PartitionId};
use sidestream::store::memory::MemoryStore;
use sidestream::store::sqlite::SqliteStore;
use sidestream::store::{Atomicity, EventStore, StreamAppend, Unit, UnitResult};
use sidestream::stream::{StreamName, Version};

/// What one of the two is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Memory,
    Sqlite,
}

/// Two new stores, opened as often as needed. Those in memory live on; files are closed in between.
pub(crate) struct Several {
    kinds: [Kind; 2],
    memories: [MemoryStore; 2],
    folder: tempfile::TempDir,
    partitions: PartitionCount,
    pub(crate) clock: Arc<ManualClock>,
}

/// Ids of a manual clock count up from 1: stores of two such clocks would be taken for the same.
fn memories(partitions: PartitionCount, atomicity: Atomicity, clock: &Arc<dyn Clock>) -> [MemoryStore; 2] {
    [0, 1].map(|_| MemoryStore::with(partitions, atomicity, Arc::clone(clock)))
}

impl Several {
    pub(crate) fn new(kinds: [Kind; 2], partitions: u16, atomicity: Atomicity) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_000_000)));
        let partitions = PartitionCount::new(partitions).expect("a count");
        let of_stores: Arc<dyn Clock> = clock.clone();
        let memories = memories(partitions, atomicity, &of_stores);
        Self { kinds, memories, folder: tempfile::tempdir().expect("a folder"), partitions, clock }
    }

    pub(crate) fn on_the_machines_clock(kinds: [Kind; 2], partitions: u16) -> Self {
        let alike = Self::new(kinds, partitions, Atomicity::Batch);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        Self { memories: memories(alike.partitions, Atomicity::Batch, &clock), ..alike }
    }

    pub(crate) fn open(&self) -> [Arc<dyn EventStore>; 2] {
        [0, 1].map(|number| match self.kinds[number] {
            Kind::Memory => shared(self.memories[number].clone()),
            Kind::Sqlite => {
                let options = SqliteStore::builder(self.folder.path().join(format!("{number}.db")));
                let options = options.partitions(self.partitions).clock(self.clock.clone());
                shared(options.open().expect("opened"))
            }
        })
    }
}

fn shared(store: impl EventStore) -> Arc<dyn EventStore> {
    Arc::new(store)
}

/// An aggregate stream that lies in a partition.
pub(crate) fn stream_in(partition: PartitionId, count: PartitionCount) -> StreamName {
    let mut names = (0..).map(|number| format!("account-{number}"));
    let name = names.find(|name| count.of(&name["account-".len()..]) == partition).expect("endless");
    StreamName::parse(&name).expect("valid")
}

/// An event.
pub(crate) fn event(payload: &'static str) -> NewRecord {
    NewRecord {
        kind: RecordKind::Event,
        event_type: EventType::new("Noted").expect("valid"),
        schema: 1,
        codec: CodecName::new("text").expect("valid"),
        cause: None,
        requester: None,
        payload: Bytes::from_static(payload.as_bytes()),
    }
}

/// Appends to one stream at a version.
pub(crate) async fn append(
    store: &impl EventStore,
    stream: &StreamName,
    version: u64,
    records: Vec<NewRecord>,
) -> UnitResult {
    let append = StreamAppend { stream: stream.clone(), expected: Version::new(version).into(), records };
    let partition = store.properties().partitions.of(stream.cardinal());
    store.append(partition, vec![Unit::one(append)]).await.remove(0)
}
