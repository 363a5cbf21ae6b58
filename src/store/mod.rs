//! The contract of an event store: one way to write, bounded ways to read.
//!
//! [`EventStore`] is small on purpose; the meaning is in the sentences under *An implementation must*,
//! and the conformance suite of the `testkit` feature turns each of them into a test.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::event::{EventType, NewRecord, Record};
use crate::id::Cause;
use crate::partition::{PartitionCount, PartitionId};
pub use crate::protocol::Atomicity;
use crate::store::rows::{RowKey, RowWrite, RowsPage, RowsRead, WrongRow};
use crate::stream::{ExpectedVersion, Position, StreamName, Version};

pub mod admission;
mod changes;
mod closing;
mod dealt;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod heads;
pub(crate) mod json_rows;
pub mod memory;
pub mod placed;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod rows;
pub mod split;
#[cfg(feature = "sqlite")]
pub mod sqlite;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod stream_key;
pub mod transfer;

/// Which streams the log of a partition shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LogScope {
    /// All of the partition.
    AllStreams,
    /// All but side streams: they have a log of their own elsewhere, and positions of their own in it.
    Aggregates,
}

/// What a store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreProperties {
    /// The store's own id, made with it. A copy or restored backup keeps it.
    pub id: Uuid,
    /// How many partitions it has.
    pub partitions: PartitionCount,
    /// What it can commit at once.
    pub atomicity: Atomicity,
    /// What its logs show.
    pub log: LogScope,
}

impl StoreProperties {
    /// Whether the log of its partition shows this stream.
    #[must_use]
    pub fn shows(&self, stream: &StreamName) -> bool {
        self.log == LogScope::AllStreams || !(stream.is_side() || stream.is_reserved())
    }
}

/// Records for one stream, or, without records, the bare demand that the stream is at a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamAppend {
    /// The stream.
    pub stream: StreamName,
    /// What it must be at.
    pub expected: ExpectedVersion,
    /// What is appended, in order.
    pub records: Vec<NewRecord>,
}

/// All that happens together, or not at all. Its streams and rows share one partition, and none occurs twice.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unit {
    /// What is appended. The records get positions in this order.
    pub appends: Vec<StreamAppend>,
    /// What is demanded of rows, and what becomes of them: see [`rows`].
    pub rows: Vec<RowWrite>,
}

impl Unit {
    /// A unit of one append.
    #[must_use]
    pub fn one(append: StreamAppend) -> Self {
        Self::of(vec![append])
    }

    /// A unit of appends.
    #[must_use]
    pub fn of(appends: Vec<StreamAppend>) -> Self {
        Self { appends, rows: Vec::new() }
    }

    /// A unit of rows only. It has no position.
    #[must_use]
    pub fn of_rows(rows: Vec<RowWrite>) -> Self {
        Self { appends: Vec::new(), rows }
    }

    /// The records of all appends.
    #[must_use]
    pub fn len(&self) -> usize {
        self.appends.iter().map(|append| append.records.len()).sum()
    }

    /// Whether it has no records: it demands versions, or writes rows, at most.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The proof of a committed unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// The position of the unit's first record; its records follow without gaps. Without records, the
    /// partition's last position at that moment.
    pub first: Position,
    /// When it was recorded, by the store's clock. Without records, the store's time at that moment.
    pub recorded_at: Timestamp,
}

/// Why a unit was not committed, as far as is known.
#[derive(Debug, Clone)]
pub enum AppendFailure {
    /// Nothing was written: a stream is at another version.
    WrongVersion {
        /// The stream.
        stream: StreamName,
        /// What was demanded.
        expected: ExpectedVersion,
        /// Where it is.
        found: Version,
    },
    /// Nothing was written: a row is not as expected.
    WrongRow(Box<WrongRow>),
    /// Nothing was written: an earlier unit of the list that shares a stream with this one failed.
    Superseded {
        /// The stream.
        stream: StreamName,
    },
    /// Nothing was written: an earlier unit of the list that shares a row with this one failed.
    RowSuperseded {
        /// The row.
        key: RowKey,
    },
    /// Nothing was written, for another reason.
    Refused(Error),
    /// It may have been written, or may yet be. Only a later conditional append tells.
    Unknown(Error),
}

impl fmt::Display for AppendFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongVersion { stream, expected, found } => {
                write!(f, "stream {stream}: expected {expected}, found version {found}")
            }
            Self::WrongRow(wrong) => wrong.fmt(f),
            Self::Superseded { stream } => write!(f, "stream {stream}: an earlier unit of the list failed"),
            Self::RowSuperseded { key } => write!(f, "row {key}: an earlier unit of the list failed"),
            Self::Refused(error) => write!(f, "refused: {error}"),
            Self::Unknown(error) => write!(f, "outcome unknown: {error}"),
        }
    }
}

/// What became of one unit.
pub type UnitResult = Result<Committed, AppendFailure>;

/// Where a read of a stream starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReadFrom {
    /// After this version.
    After(Version),
    /// At the latest snapshot before this version, which comes apart, and then after it; without one,
    /// after the stream's floor.
    SnapshotBefore(Version),
}

/// A read of one stream.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StreamRead {
    /// The stream.
    pub stream: StreamName,
    /// Where the read starts.
    pub from: ReadFrom,
    /// Most records to return, the snapshot not counted; at most 4,096 are returned in any case.
    pub limit: usize,
}

/// A part of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamPage {
    /// Records at and before this version were removed. Empty where nothing was.
    pub floor: Version,
    /// The version of the stream's last record, removed ones included.
    pub head: Version,
    /// The snapshot that the read started at, where it asked for one and there is one.
    pub snapshot: Option<Record>,
    /// The records, by version without gaps.
    pub records: Vec<Record>,
}

impl StreamPage {
    /// A stream without records.
    #[must_use]
    pub fn empty() -> Self {
        Self { floor: Version::EMPTY, head: Version::EMPTY, snapshot: None, records: Vec::new() }
    }

    /// Whether records follow this page.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.records.last().is_some_and(|last| last.version < self.head)
    }
}

/// A part of a partition's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPage {
    /// The records, by position.
    pub records: Vec<Record>,
    /// How far the log was read: every matching record at or before it was returned, now or earlier.
    pub read_to: Position,
    /// The partition's last position when the page was read.
    pub head: Position,
}

/// A step that was requested and is not settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenStep {
    /// Its side stream.
    pub stream: StreamName,
    /// Transaction, step and fingerprint.
    pub cause: Cause,
    /// The version in its `Requested`.
    pub aggregate_version: Version,
    /// The highest version that a `Resumed` of it scanned to; else the version in its `Requested`.
    pub scanned_to: Version,
    /// How often it was resumed.
    pub resumed: u32,
    /// When it was requested.
    pub requested_at: Timestamp,
    /// When its last record was written.
    pub touched_at: Timestamp,
}

/// A read of open steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenStepsRead {
    /// The partition.
    pub partition: PartitionId,
    /// The category of the side streams, as [`Category::side`](crate::Category::side) gives it.
    pub category: String,
    /// Only steps whose last record is at least so old, by the store's clock. Zero asks for every step: a
    /// clock that was set back must hide none from whoever is about to remove records.
    pub older_than: Duration,
    /// Continue after this step of the page before.
    pub after: Option<(Timestamp, StreamName)>,
    /// Most steps to return, at most 4,096.
    pub limit: usize,
}

/// A durable, partitioned log of streams.
///
/// Streams exist from their first record on; reading one that does not exist gives an empty page. Every
/// call may fail with [`Unavailable`](crate::ErrorKind::Unavailable) when the store cannot be reached.
/// Dropping a future that a method returned is allowed at any point: what it would have written is then
/// either committed or not.
#[async_trait]
pub trait EventStore: fmt::Debug + Send + Sync + 'static {
    /// What this store is.
    ///
    /// An implementation must
    /// - answer the same for as long as the store exists, on every instance of it.
    fn properties(&self) -> StoreProperties;

    /// Commits a list of units, all of one partition, and answers each, in the order given. The only way
    /// to write.
    ///
    /// An implementation must
    /// - commit each unit whole or not at all;
    /// - answer `Ok` only when the unit is durable;
    /// - commit a unit only when every stream of it is at the expected version at that moment, and answer
    ///   [`WrongVersion`](AppendFailure::WrongVersion) with the stream and the version found otherwise;
    /// - treat units that share a stream as a chain: when one is not committed, no later unit of the list
    ///   that shares a stream with it is ([`Superseded`](AppendFailure::Superseded));
    /// - commit a unit only when every row of it is as expected at that moment, and answer
    ///   [`WrongRow`](AppendFailure::WrongRow) with the row found otherwise;
    /// - treat units that share a row as a chain, too ([`RowSuperseded`](AppendFailure::RowSuperseded));
    /// - let units that share no stream and no row succeed and fail apart;
    /// - give records versions without gaps from 1 in each stream, and positions without gaps from 1 in
    ///   each partition, in commit order, a unit's records next to each other in the order given;
    /// - stamp a unit with a time that never goes back within a partition;
    /// - give a row a revision one higher with every change and an epoch one higher with every claim, removed rows
    ///   and those put back included, so that neither number is used twice, and begin both anew for a row that was
    ///   forgotten;
    /// - tell the expiry of rows by its own clock, and let units of rows only wait for nobody who writes records;
    /// - answer [`Unknown`](AppendFailure::Unknown), and nothing else, where the outcome is not certain;
    /// - refuse a unit that breaks a bound of [`limits`](crate::limits), names a stream twice, a stream of
    ///   another partition, or, where it is atomic per stream only, more than one stream, with
    ///   [`Invalid`](crate::ErrorKind::Invalid), as one that failed;
    /// - take an aggregate's stream and, behind it, the stream of its messages as one where it is atomic per stream
    ///   only;
    /// - refuse a unit that names a row twice, or writes, where it is atomic per stream only, rows beside a side
    ///   stream, with [`Invalid`](crate::ErrorKind::Invalid), as one that failed;
    /// - refuse every unit of a list with more units than [`limits`](crate::limits) allow;
    /// - store each record's checksum and every field as given.
    async fn append(&self, partition: PartitionId, units: Vec<Unit>) -> Vec<UnitResult>;

    /// Reads parts of several streams and answers each, in the order given.
    ///
    /// An implementation must
    /// - show every unit whose append was answered `Ok` before the call, whole;
    /// - show no unit that is not durable;
    /// - return records by version, without gaps, at most `limit` and 4,096, with the stream's head;
    /// - return the latest snapshot before the version asked for, and what follows it;
    /// - return records as they are stored, altered ones too: the reader checks them;
    /// - fail only the reads of streams that cannot be read, and leave the others alone.
    async fn read_streams(&self, reads: Vec<StreamRead>) -> Vec<Result<StreamPage>>;

    /// Reads a partition's log after a position.
    ///
    /// An implementation must
    /// - return records by position, at most `limit` and 4,096;
    /// - show all records of the streams that its [`LogScope`] names, and no others: side streams that are not
    ///   shown have positions of their own, and a record that a store keeps for itself leaves a hole, as
    ///   removed ones do;
    /// - never show a record while one with a lower position may still appear.
    async fn read_log(&self, partition: PartitionId, after: Position, limit: usize) -> Result<LogPage>;

    /// Reads the records of some event types in a partition's log after a position.
    ///
    /// An implementation must
    /// - return what filtering [`read_log`](Self::read_log) would, by an index over the types;
    /// - move `read_to` on to the head when no further record matches.
    async fn read_types(
        &self,
        partition: PartitionId,
        types: &[EventType],
        after: Position,
        limit: usize,
    ) -> Result<LogPage>;

    /// Lists open steps, the longest untouched first.
    ///
    /// An implementation must
    /// - list a step from the commit of its `Requested` to the commit that settles it, and not when
    ///   one unit does both;
    /// - list every open step where `older_than` is zero, whatever the clock says by now;
    /// - carry the numbers of its `Requested` and of its latest `Resumed`;
    /// - return pages in a fixed order that `after` continues, without scanning settled steps.
    async fn open_steps(&self, read: OpenStepsRead) -> Result<Vec<OpenStep>>;

    /// Removes the records of a stream at and before `through`, for good, and returns the new floor.
    /// Whoever calls it makes sure first that no open step needs them and that a snapshot stands for them:
    /// see [`compact`](crate::CommandHandler::compact).
    ///
    /// An implementation must
    /// - never remove records after `through`, nor any when `through` is above the stream's head
    ///   ([`Invalid`](crate::ErrorKind::Invalid));
    /// - leave head, versions and positions of everything else as they are, and show the floor in every
    ///   page of the stream;
    /// - never lower a floor.
    async fn truncate(&self, stream: &StreamName, through: Version) -> Result<Version>;

    /// Reads rows of a space.
    ///
    /// An implementation must
    /// - show every row as the last unit left it that was answered `Ok` before the call, and nothing that is not
    ///   durable;
    /// - leave removed rows out, and return the others by key, expired ones too, at most 256;
    /// - return, of those whose keys begin with the prefix, what follows `after`;
    /// - tell its own time at the read;
    /// - refuse a read that breaks a bound of [`limits`](crate::limits) with
    ///   [`Invalid`](crate::ErrorKind::Invalid).
    async fn rows(&self, read: RowsRead) -> Result<RowsPage>;

    /// Closes partitions at a time and answers it for each, in the order given: nothing will be recorded at or
    /// before it any more. So whoever merges partitions by time knows what can be merged, idle ones included, and
    /// waits for nobody. `through` is the time that is asked for; where a partition's own records have passed it,
    /// nothing is written.
    ///
    /// An implementation must
    /// - show, to reads that begin after the call, every record that was or will be recorded in a partition's log at
    ///   or before its time;
    /// - stamp every later unit of that log after that time, on every instance, after every opening, and whatever the clock
    ///   says;
    /// - answer no time before one that it answered earlier for the partition;
    /// - answer `through` or a later time, or, where its clock is not there yet, its time now or a later one;
    /// - answer only when that is durable, and refuse a partition that does not exist with
    ///   [`Invalid`](crate::ErrorKind::Invalid).
    async fn close_partitions(
        &self,
        partitions: &[PartitionId],
        through: Timestamp,
    ) -> Result<Vec<Timestamp>>;

    /// Keeps every other process from writing to a partition until the returned value is used or dropped, so that a
    /// decision that lost to others again and again can be made on what stays as it is. Without it, a decision is
    /// only ever checked by the versions it expects. `None`, the default, where nobody else writes.
    ///
    /// An implementation must
    /// - show, to reads that begin while a partition is held, all that was committed to it;
    /// - let go of a partition when what holds it is dropped.
    async fn hold(&self, _partition: PartitionId) -> Result<Option<Box<dyn HeldPartition>>> {
        Ok(None)
    }

    /// Returns once the partition's log may have got past `after`: a hint that saves a reader some polling, and no
    /// more. It may return early and without cause, and may miss what other processes write: whoever waits for it polls
    /// besides. The default never returns.
    async fn changed(&self, _partition: PartitionId, _after: Position) {
        std::future::pending().await
    }
}

/// A partition that nobody else writes to.
#[async_trait]
pub trait HeldPartition: Send {
    /// Does what [`append`](EventStore::append) does, and lets go of the partition.
    async fn append(self: Box<Self>, units: Vec<Unit>) -> Vec<UnitResult>;
}

#[async_trait]
impl<S: EventStore + ?Sized> EventStore for std::sync::Arc<S> {
    fn properties(&self) -> StoreProperties {
        (**self).properties()
    }

    async fn append(&self, partition: PartitionId, units: Vec<Unit>) -> Vec<UnitResult> {
        (**self).append(partition, units).await
    }

    async fn read_streams(&self, reads: Vec<StreamRead>) -> Vec<Result<StreamPage>> {
        (**self).read_streams(reads).await
    }

    async fn read_log(&self, partition: PartitionId, after: Position, limit: usize) -> Result<LogPage> {
        (**self).read_log(partition, after, limit).await
    }

    async fn read_types(
        &self,
        partition: PartitionId,
        types: &[EventType],
        after: Position,
        limit: usize,
    ) -> Result<LogPage> {
        (**self).read_types(partition, types, after, limit).await
    }

    async fn open_steps(&self, read: OpenStepsRead) -> Result<Vec<OpenStep>> {
        (**self).open_steps(read).await
    }

    async fn truncate(&self, stream: &StreamName, through: Version) -> Result<Version> {
        (**self).truncate(stream, through).await
    }

    async fn rows(&self, read: RowsRead) -> Result<RowsPage> {
        (**self).rows(read).await
    }

    async fn close_partitions(
        &self,
        partitions: &[PartitionId],
        through: Timestamp,
    ) -> Result<Vec<Timestamp>> {
        (**self).close_partitions(partitions, through).await
    }

    async fn hold(&self, partition: PartitionId) -> Result<Option<Box<dyn HeldPartition>>> {
        (**self).hold(partition).await
    }

    async fn changed(&self, partition: PartitionId, after: Position) {
        (**self).changed(partition, after).await
    }
}
