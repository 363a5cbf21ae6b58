//! A store whose answers are changed on their way to the caller: damage that no real store makes on demand.

use std::fmt;

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::error::Result;
use crate::event::EventType;
use crate::partition::PartitionId;
use crate::store::rows::{RowsPage, RowsRead};
use crate::store::{
    EventStore, LogPage, OpenStep, OpenStepsRead, StoreProperties, StreamPage, StreamRead, Unit, UnitResult,
};
use crate::stream::{Position, StreamName, Version};

/// What is changed. A function that changes a page of a stream is one, too.
pub trait Changes: Send + Sync + 'static {
    /// Changes the answers to a list of units.
    fn results(&self, _results: &mut [UnitResult]) {}

    /// Changes the answers to reads of streams.
    fn streams(&self, _reads: &[StreamRead], _pages: &mut [Result<StreamPage>]) {}

    /// Changes a page of a partition's log.
    fn log(&self, _page: &mut LogPage) {}
}

impl<F: Fn(&mut StreamPage) + Send + Sync + 'static> Changes for F {
    fn streams(&self, _reads: &[StreamRead], pages: &mut [Result<StreamPage>]) {
        pages.iter_mut().flatten().for_each(self);
    }
}

/// A store, and what is changed of its answers.
pub struct Changed<S, C>(pub S, pub C);

impl<S: EventStore, C> fmt::Debug for Changed<S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[async_trait]
impl<S: EventStore, C: Changes> EventStore for Changed<S, C> {
    fn properties(&self) -> StoreProperties {
        self.0.properties()
    }

    async fn append(&self, partition: PartitionId, units: Vec<Unit>) -> Vec<UnitResult> {
        let mut results = self.0.append(partition, units).await;
        self.1.results(&mut results);
        results
    }

    async fn read_streams(&self, reads: Vec<StreamRead>) -> Vec<Result<StreamPage>> {
        let mut pages = self.0.read_streams(reads.clone()).await;
        self.1.streams(&reads, &mut pages);
        pages
    }

    async fn read_log(&self, partition: PartitionId, after: Position, limit: usize) -> Result<LogPage> {
        let mut page = self.0.read_log(partition, after, limit).await?;
        self.1.log(&mut page);
        Ok(page)
    }

    async fn read_types(
        &self,
        partition: PartitionId,
        types: &[EventType],
        after: Position,
        limit: usize,
    ) -> Result<LogPage> {
        let mut page = self.0.read_types(partition, types, after, limit).await?;
        self.1.log(&mut page);
        Ok(page)
    }

    async fn open_steps(&self, read: OpenStepsRead) -> Result<Vec<OpenStep>> {
        self.0.open_steps(read).await
    }

    async fn truncate(&self, stream: &StreamName, through: Version) -> Result<Version> {
        self.0.truncate(stream, through).await
    }

    async fn rows(&self, read: RowsRead) -> Result<RowsPage> {
        self.0.rows(read).await
    }

    async fn close_partitions(
        &self,
        partitions: &[PartitionId],
        through: Timestamp,
    ) -> Result<Vec<Timestamp>> {
        self.0.close_partitions(partitions, through).await
    }

    async fn changed(&self, partition: PartitionId, after: Position) {
        self.0.changed(partition, after).await
    }
}
