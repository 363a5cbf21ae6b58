//! The store itself: every call goes where its partition is placed.

use std::sync::Arc;

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::event::EventType;
use crate::partition::PartitionId;
use crate::store::dealt::{Answers, Part, deal, side_by_side};
use crate::store::rows::{RowsPage, RowsRead};
use crate::store::{
    AppendFailure, EventStore, HeldPartition, LogPage, OpenStep, OpenStepsRead, StoreProperties, StreamPage,
    StreamRead, Unit, UnitResult,
};
use crate::stream::{Position, StreamName, Version};

/// Partitions on several stores, of any kind. Cheap to clone.
///
/// Reads of many streams are split by store and run side by side.
///
/// # Errors
/// Those of the store that a partition is placed on. [`Invalid`](crate::ErrorKind::Invalid) for a partition
/// that does not exist.
///
/// ```
/// use sidestream::partition::PartitionId;
/// use sidestream::store::memory::MemoryStore;
/// use sidestream::store::placed::PlacedStore;
///
/// # sidestream::testkit::run(async {
/// let (east, west) = (MemoryStore::new(), MemoryStore::new()); // of 16 partitions each
/// let placed = PlacedStore::builder()
///     .place((0..8).map(PartitionId::new), east)
///     .place((8..16).map(PartitionId::new), west)
///     .open()
///     .await?;
/// # drop(placed);
/// # Ok::<(), sidestream::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct PlacedStore {
    properties: StoreProperties,
    stores: Arc<[Arc<dyn EventStore>]>,
    /// The number of each partition's store.
    places: Arc<[usize]>,
}

impl PlacedStore {
    pub(super) fn new(
        properties: StoreProperties,
        stores: Vec<Arc<dyn EventStore>>,
        places: Vec<usize>,
    ) -> Self {
        Self { properties, stores: stores.into(), places: places.into() }
    }

    /// The store that a partition is placed on.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when there is no such partition.
    pub fn store_of(&self, partition: PartitionId) -> Result<&Arc<dyn EventStore>> {
        let store = self.places.get(usize::from(partition.get())).and_then(|place| self.stores.get(*place));
        store.ok_or_else(|| {
            Error::invalid(format!("partition {partition} does not exist"))
                .expected(format!("below {}", self.properties.partitions), partition)
        })
    }

    fn partition_of(&self, stream: &StreamName) -> PartitionId {
        self.properties.partitions.of(stream.cardinal())
    }

    fn place_of(&self, read: &StreamRead) -> usize {
        self.place(self.partition_of(&read.stream))
    }

    fn place(&self, partition: PartitionId) -> usize {
        self.places.get(usize::from(partition.get())).copied().unwrap_or(usize::MAX)
    }

    async fn read_part(&self, part: Part<StreamRead>) -> (Vec<usize>, Vec<Result<StreamPage>>) {
        let pages = match self.stores.get(part.store) {
            Some(store) => store.read_streams(part.items).await,
            None => Vec::new(),
        };
        (part.places, pages)
    }

    async fn close_part(
        &self,
        part: Part<PartitionId>,
        through: Timestamp,
    ) -> (Vec<usize>, Result<Vec<Timestamp>>) {
        let closed = match self.stores.get(part.store) {
            Some(store) => store.close_partitions(&part.items, through).await,
            None => Ok(Vec::new()),
        };
        (part.places, closed)
    }
}

#[async_trait]
impl EventStore for PlacedStore {
    fn properties(&self) -> StoreProperties {
        self.properties
    }

    async fn append(&self, partition: PartitionId, units: Vec<Unit>) -> Vec<UnitResult> {
        match self.store_of(partition) {
            Ok(store) => store.append(partition, units).await,
            Err(error) => units.iter().map(|_| Err(AppendFailure::Refused(error.clone()))).collect(),
        }
    }

    async fn read_streams(&self, reads: Vec<StreamRead>) -> Vec<Result<StreamPage>> {
        let mut answers = Answers::new(reads.len());
        let parts = deal(reads.into_iter().enumerate(), |read| self.place_of(read));
        for (places, pages) in side_by_side(parts.map(|part| self.read_part(part))).await {
            answers.put_all(places, pages);
        }
        answers.all(Err)
    }

    async fn read_log(&self, partition: PartitionId, after: Position, limit: usize) -> Result<LogPage> {
        self.store_of(partition)?.read_log(partition, after, limit).await
    }

    async fn read_types(
        &self,
        partition: PartitionId,
        types: &[EventType],
        after: Position,
        limit: usize,
    ) -> Result<LogPage> {
        self.store_of(partition)?.read_types(partition, types, after, limit).await
    }

    async fn open_steps(&self, read: OpenStepsRead) -> Result<Vec<OpenStep>> {
        self.store_of(read.partition)?.open_steps(read).await
    }

    async fn truncate(&self, stream: &StreamName, through: Version) -> Result<Version> {
        self.store_of(self.partition_of(stream))?.truncate(stream, through).await
    }

    async fn rows(&self, read: RowsRead) -> Result<RowsPage> {
        self.store_of(read.partition)?.rows(read).await
    }

    async fn close_partitions(
        &self,
        partitions: &[PartitionId],
        through: Timestamp,
    ) -> Result<Vec<Timestamp>> {
        partitions.iter().try_for_each(|partition| self.store_of(*partition).map(drop))?;
        let mut answers = Answers::new(partitions.len());
        let parts = deal(partitions.iter().copied().enumerate(), |partition| self.place(*partition));
        for (places, closed) in side_by_side(parts.map(|part| self.close_part(part, through))).await {
            answers.put_all(places, closed?.into_iter().map(Ok).collect());
        }
        answers.all(Err).into_iter().collect()
    }

    async fn hold(&self, partition: PartitionId) -> Result<Option<Box<dyn HeldPartition>>> {
        self.store_of(partition)?.hold(partition).await
    }

    async fn changed(&self, partition: PartitionId, after: Position) {
        match self.store_of(partition) {
            Ok(store) => store.changed(partition, after).await,
            Err(_) => std::future::pending().await,
        }
    }
}
