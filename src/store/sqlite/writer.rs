//! The writer: a plain state machine that owns the one connection that writes.
//!
//! A thread drives it in a service; a simulation drives it inline. All that waits is committed by one
//! transaction, and each unit hears its own result.

use std::sync::Arc;

use rusqlite::Connection;

use crate::clock::{Clock, Timestamp};
use crate::error::{Error, ErrorKind, Result};
use crate::hash::HashMap;
use crate::partition::PartitionId;
use crate::store::heads::Heads;
use crate::store::sqlite::batch::{Batch, WrittenUnit};
use crate::store::sqlite::failure;
use crate::store::sqlite::halt::Halt;
use crate::store::sqlite::index::live::Live;
use crate::store::sqlite::index::outline::{Head, Written};
use crate::store::sqlite::index::work::Work;
use crate::store::sqlite::prepared::PreparedList;
use crate::store::sqlite::truncation;
use crate::store::stream_key::StreamKey;
use crate::store::transfer::Mark;
use crate::store::{AppendFailure, StoreProperties, Unit, UnitResult};
use crate::stream::{StreamName, Version};

const FENCE: &str = include_str!("sql/fence.sql");

/// Most units of one commit whose own pages or content keep them from being written. Their neighbours
/// are committed without them; with more, the whole commit is refused.
const POISONED_UNITS: usize = 16;

/// The results of each list's units; what was written; how far the logs go with it.
type Attempt = (Vec<Vec<UnitResult>>, (Vec<WrittenUnit>, HashMap<PartitionId, Head>));

/// Units of one partition.
pub type List = (PartitionId, Vec<Unit>);

/// The writer of a store. It commits lists of units, and settles what a failed commit leaves in doubt.
#[derive(Debug)]
pub(super) struct Writer {
    connection: Connection,
    properties: StoreProperties,
    clock: Arc<dyn Clock>,
    live: Arc<Live>,
    heads: Heads,
    stopped: Option<Error>,
    /// A batch in doubt could not be fenced off for want of room.
    fence_due: bool,
    /// What the store is in a move.
    mark: Mark,
}

impl Writer {
    pub(super) fn new(
        connection: Connection,
        properties: StoreProperties,
        clock: Arc<dyn Clock>,
        live: Arc<Live>,
    ) -> Self {
        let heads = Heads::default();
        Self { connection, properties, clock, live, heads, stopped: None, fence_due: false, mark: Mark::None }
    }

    /// Why this writer stopped for good, if it did: whether its last commit is on disk can then be told
    /// only by opening the store again.
    pub(super) fn stopped(&self) -> Option<&Error> {
        self.stopped.as_ref()
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(super) fn properties(&self) -> StoreProperties {
        self.properties
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn mark(&self) -> &Mark {
        &self.mark
    }

    /// Has the writer keep to the store's mark.
    pub(super) fn set_mark(&mut self, mark: Mark) {
        self.mark = mark;
    }

    /// Remembers the head of a stream that was written by other means than [`commit`](Self::commit).
    pub(super) fn note_head(&mut self, key: StreamKey, head: Version) {
        self.heads.put(key, head);
    }

    pub(super) fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// Commits lists of units in one transaction, and answers each unit of each list in order. What was committed
    /// is in the indexes, and so visible, before this returns.
    pub(super) fn commit(&mut self, lists: &mut [PreparedList]) -> Vec<Vec<UnitResult>> {
        if let Some(error) = self.mark.refuses_appends() {
            return answer_all(lists, &AppendFailure::Refused(error));
        }
        let mut poisoned = HashMap::default();
        loop {
            match self.attempt(lists, &poisoned) {
                Ok((results, written)) => {
                    self.publish(lists, written);
                    return results;
                }
                Err(Halt::Poisoned { place, error }) if poisoned.len() < POISONED_UNITS => {
                    poisoned.insert(place, error);
                }
                Err(halt) => return answer_all(lists, &halt.into_failure()),
            }
        }
    }

    fn attempt(
        &mut self,
        lists: &[PreparedList],
        poisoned: &HashMap<(usize, usize), Error>,
    ) -> Result<Attempt, Halt> {
        let (properties, clock) = (self.properties, Arc::clone(&self.clock));
        let (live, heads) = (Arc::clone(&self.live), std::mem::take(&mut self.heads));
        let result = self.transaction(|connection| {
            let mut batch = Batch::new(connection, (&live, &heads), properties, &*clock, poisoned);
            let results = lists.iter().enumerate().map(|(at, list)| batch.list(at, list));
            let results = results.collect::<Result<_, _>>()?;
            Ok((results, batch.into_written()))
        });
        self.heads = heads;
        result
    }

    fn publish(
        &mut self,
        lists: &mut [PreparedList],
        (written, heads): (Vec<WrittenUnit>, HashMap<PartitionId, Head>),
    ) {
        let mut units = Vec::with_capacity(written.len());
        for WrittenUnit { at, partition, place, recorded_at, firsts } in written {
            let unit = lists.get_mut(at.0).and_then(|list| list.units.get_mut(at.1));
            let Some(outline) = unit.map(|unit| std::mem::take(&mut unit.outline)) else { continue };
            let mut outline = outline;
            for (append, first) in outline.appends.iter_mut().zip(firsts) {
                append.first = first;
                let last = first.get().saturating_sub(1).saturating_add(append.records);
                self.heads.put(append.key, Version::new(last));
            }
            units.push(Written { partition, place, recorded_at, outline });
        }
        self.live.publish(&units, heads);
    }

    /// Writes a piece of the indexes, in a transaction of its own.
    ///
    /// # Errors
    /// As a failed commit.
    pub(super) fn apply(&mut self, work: &Work) -> Result<()> {
        let fail = |error| Halt::before_commit("writing the indexes", error);
        self.transaction(|connection| work.write(connection).map_err(fail)).map_err(into_error)
    }

    /// Removes some of a stream's records at and before `through`, and returns the floor that is reached:
    /// at `through` there are no more to remove.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) when `through` is above the stream's head; otherwise as a failed
    /// commit.
    pub(super) fn truncate(&mut self, stream: &StreamName, through: Version) -> Result<Version> {
        if let Some(error) = self.mark.refuses_removals() {
            return Err(error);
        }
        let live = Arc::clone(&self.live);
        self.transaction(|connection| truncation::slice(connection, &live, stream, through))
            .map_err(into_error)
    }

    /// Writes something in a transaction of its own.
    ///
    /// # Errors
    /// As a failed commit.
    pub(super) fn write<T>(&mut self, write: impl FnOnce(&Connection) -> Result<T, Halt>) -> Result<T> {
        self.transaction(write).map_err(into_error)
    }

    /// Runs `write` in one transaction. Whatever goes wrong, it is known afterwards that nothing of it
    /// was committed, or the writer has stopped.
    fn transaction<T>(&mut self, write: impl FnOnce(&Connection) -> Result<T, Halt>) -> Result<T, Halt> {
        if let Some(error) = &self.stopped {
            return Err(Halt::Refused(error.clone()));
        }
        self.fence_earlier()?;
        self.connection
            .execute_batch("BEGIN IMMEDIATE")
            .map_err(|e| Halt::before_commit("beginning a transaction", e))?;
        let written = write(&self.connection);
        let result = written
            .and_then(|value| self.connection.execute_batch("COMMIT").map(|()| value).map_err(Halt::Doubt));
        result.map_err(|halt| self.settle(halt))
    }

    /// Ends a failed transaction. A rollback is final where no commit was tried and the failure is one
    /// of room, lock or content. After anything else the disk may hold the commit, though SQLite says it
    /// does not: a later commit on the same connection takes its place in the WAL, so once that is
    /// durable the failed one is dead for ever.
    fn settle(&mut self, halt: Halt) -> Halt {
        let rolled_back =
            self.connection.is_autocommit() || self.connection.execute_batch("ROLLBACK").is_ok();
        match halt {
            Halt::Doubt(source) => self.fence(source, rolled_back),
            halt if rolled_back => halt,
            halt => self.fence(halt.source(), false),
        }
    }

    fn fence(&mut self, source: rusqlite::Error, rolled_back: bool) -> Halt {
        let fenced = if rolled_back { self.connection.execute_batch(FENCE) } else { Err(copy(&source)) };
        match fenced {
            Ok(()) => {
                tracing::warn!(error = %source, "sqlite: a commit failed; it was fenced off and nothing of it was written");
                Halt::Refused(failure::of("a commit", source).advice(
                    "nothing was written; look at the disk, back off, and retry with the same transaction id",
                ))
            }
            Err(again) if failure::is_full(&source) && failure::is_full(&again) => self.wait_for_room(source),
            Err(again) => self.stop(source, again),
        }
    }

    /// A disk that was full at COMMIT and is too full for the fence: no sync failed, so the store need not
    /// stop. Yet the batch stays in doubt, even where the write of its last frame was cut short: the old
    /// bytes behind the cut may be the very ones that were to be written. Nothing else is committed before
    /// the fence is.
    fn wait_for_room(&mut self, source: rusqlite::Error) -> Halt {
        self.fence_due = true;
        let error = Error::new(ErrorKind::Unknown, "sqlite: the disk was full at a commit");
        Halt::Unknown(error.caused_by(source).advice(
            "make room on the disk; then retry with the same transaction id to hear what became of it",
        ))
    }

    /// The fence that an earlier batch still waits for. Of the one that comes now nothing is written yet.
    fn fence_earlier(&mut self) -> Result<(), Halt> {
        if !self.fence_due {
            return Ok(());
        }
        match self.connection.execute_batch(FENCE) {
            Ok(()) => self.fence_due = false,
            Err(error) if failure::rollback_is_final(&error) => {
                return Err(Halt::BeforeCommit("the commit that fences off an earlier one", error));
            }
            Err(error) => {
                self.stop(copy(&error), error);
                return self.stopped.clone().map_or(Ok(()), |stopped| Err(Halt::Refused(stopped)));
            }
        }
        Ok(())
    }

    fn stop(&mut self, source: rusqlite::Error, again: rusqlite::Error) -> Halt {
        let what = format!("sqlite: a commit failed ({source}), and so did the one to fence it off");
        let error = Error::new(ErrorKind::Unknown, what).caused_by(again).advice(
            "end this process and check the disk; the next start finds out what was committed; \
             then retry with the same transaction id",
        );
        let stopped = Error::new(ErrorKind::Unavailable, "sqlite: the store has stopped writing")
            .advice("end this process, check the disk, and open the store again")
            .caused_by(error.clone());
        self.stopped = Some(stopped);
        Halt::Unknown(error)
    }
}

/// Opens an epoch: what an earlier writer may have left in flight cannot be committed any more.
pub(super) fn open_epoch(connection: &Connection) -> Result<()> {
    connection
        .execute_batch(FENCE)
        .map_err(|source| failure::of("the first commit after opening the store", source))
}

/// One failure for every unit of every list.
pub(super) fn answer_all(lists: &[PreparedList], failure: &AppendFailure) -> Vec<Vec<UnitResult>> {
    lists.iter().map(|list| list.units.iter().map(|_| Err(failure.clone())).collect()).collect()
}

fn into_error(halt: Halt) -> Error {
    match halt.into_failure() {
        AppendFailure::Refused(error) | AppendFailure::Unknown(error) => error,
        failure => Error::new(ErrorKind::Unavailable, failure.to_string()),
    }
}

/// The error that kept the rollback from being tried, told again: SQLite's errors cannot be cloned.
fn copy(error: &rusqlite::Error) -> rusqlite::Error {
    match error {
        rusqlite::Error::SqliteFailure(code, text) => rusqlite::Error::SqliteFailure(*code, text.clone()),
        other => rusqlite::Error::ToSqlConversionFailure(other.to_string().into()),
    }
}
