//! What a store has to offer to be moved, and to be moved into.

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::error::Result;
use crate::partition::PartitionId;
use crate::store::rows::{KeptRow, RowKey};
use crate::store::transfer::mark::Mark;
use crate::store::transfer::page::ImportPage;
use crate::store::{EventStore, OpenStep};
use crate::stream::{Position, StreamName, Version};

/// How far a partition's log goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogHead {
    /// Its last position.
    pub position: Position,
    /// The last time that was stamped, or one behind the time at which the partition was closed: the next stamp is
    /// not below it.
    pub recorded_at: Timestamp,
}

/// A stream whose beginning was removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Floor {
    /// The stream.
    pub stream: StreamName,
    /// Its records at and before this version are gone.
    pub floor: Version,
    /// The version of its last record. At the floor, nothing is left of it.
    pub head: Version,
}

/// Where a row is.
pub type RowPlace = (PartitionId, RowKey);

/// A store that can be moved, and moved into.
///
/// Imports are for stores with the mark [`Copying`](Mark::Copying), and are refused by all others.
#[async_trait]
pub trait Transfer: EventStore {
    /// The store's mark.
    async fn mark(&self) -> Result<Mark>;

    /// Marks the store.
    ///
    /// An implementation must
    /// - answer only when the mark is durable, and no append or removal that it refuses can be committed any more,
    ///   whoever makes it.
    async fn set_mark(&self, mark: Mark) -> Result<()>;

    /// How far the log of each partition goes, from partition 0 on.
    async fn log_heads(&self) -> Result<Vec<LogHead>>;

    /// The streams whose beginnings were removed, by name, after one, at most `limit`; of all partitions.
    async fn floors(&self, after: Option<StreamName>, limit: usize) -> Result<Vec<Floor>>;

    /// The open steps by the names of their streams, after one, at most `limit`; of all partitions.
    async fn steps_by_name(&self, after: Option<StreamName>, limit: usize) -> Result<Vec<OpenStep>>;

    /// Takes in floors, before any record.
    async fn import_floors(&self, floors: Vec<Floor>) -> Result<()>;

    /// Takes in the next records of a partition's log, in one transaction.
    ///
    /// An implementation must
    /// - refuse a page that does not begin where its copy of the partition ends;
    /// - refuse records whose versions do not continue their streams, where a stream may begin behind its floor;
    /// - keep versions, positions, times and checksums.
    async fn import(&self, partition: PartitionId, page: ImportPage) -> Result<()>;

    /// Takes in open steps. The first ones replace all that are there.
    async fn import_steps(&self, is_first: bool, steps: Vec<OpenStep>) -> Result<()>;

    /// What is kept of rows, removed ones too, by partition, space and key, after one, at most `limit`.
    async fn kept_rows(&self, after: Option<RowPlace>, limit: usize) -> Result<Vec<(RowPlace, KeptRow)>>;

    /// Takes in rows, in place of those that are there.
    async fn import_rows(&self, rows: Vec<(RowPlace, KeptRow)>) -> Result<()>;

    /// Has the next stamps of the partitions, from partition 0 on, not be below these times.
    async fn raise_times(&self, times: Vec<Timestamp>) -> Result<()>;
}
