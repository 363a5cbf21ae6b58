//! The content of one write transaction.

use std::collections::HashMap;

use rusqlite::{Connection, params};

use crate::clock::{Clock, Timestamp};
use crate::error::{Error, ErrorKind, Result};
use crate::partition::PartitionId;
use crate::store::admission::Admission;
use crate::store::sqlite::key::StreamKey;
use crate::store::sqlite::names::Dictionary;
use crate::store::sqlite::row::{self, Slot};
use crate::store::sqlite::steps::Change;
use crate::store::sqlite::{failure, place, reader};
use crate::store::{AppendFailure, Committed, StoreProperties, StreamAppend, Unit, UnitResult};
use crate::stream::{Position, StreamName, Version};

const MOVE_PARTITION: &str = include_str!("sql/move_partition.sql");

/// Why a transaction came to nothing.
#[derive(Debug)]
pub(super) enum Halt {
    /// Nothing was written, and that is certain.
    Refused(Error),
    /// Nothing was written before COMMIT was tried; SQLite's reason.
    BeforeCommit(&'static str, rusqlite::Error),
    /// One unit (list, unit) is to blame; without it the others can go on.
    Poisoned { place: (usize, usize), error: Error },
    /// COMMIT, or a write before it, failed in a way that leaves its outcome open.
    Doubt(rusqlite::Error),
    /// It cannot be told any more whether it was committed.
    Unknown(Error),
}

impl Halt {
    /// Sorts an error that came before any attempt to commit.
    pub(super) fn before_commit(what: &'static str, error: rusqlite::Error) -> Self {
        let is_final = failure::rollback_is_final(&error) || failure::concerns_one_unit(&error);
        if is_final { Self::BeforeCommit(what, error) } else { Self::Doubt(error) }
    }

    fn of_unit(place: (usize, usize), unit: &Unit, error: rusqlite::Error) -> Self {
        if !failure::concerns_one_unit(&error) {
            return Self::before_commit("writing a unit", error);
        }
        let error = failure::of("writing a unit", error);
        let error = unit.appends.first().map_or(error.clone(), |append| error.in_stream(&append.stream));
        Self::Poisoned { place, error }
    }

    /// SQLite's reason, or what stands for it.
    pub(super) fn source(self) -> rusqlite::Error {
        match self {
            Self::BeforeCommit(_, error) | Self::Doubt(error) => error,
            Self::Refused(error) | Self::Unknown(error) | Self::Poisoned { error, .. } => {
                rusqlite::Error::ToSqlConversionFailure(Box::new(error))
            }
        }
    }

    /// What every unit of the transaction is answered.
    pub(super) fn into_failure(self) -> AppendFailure {
        match self {
            Self::Refused(error) | Self::Poisoned { error, .. } => AppendFailure::Refused(error),
            Self::BeforeCommit(what, error) => AppendFailure::Refused(failure::of(what, error)),
            Self::Doubt(error) => {
                let what = "sqlite: the outcome of a commit is open";
                AppendFailure::Unknown(Error::new(ErrorKind::Unknown, what).caused_by(error))
            }
            Self::Unknown(error) => AppendFailure::Unknown(error),
        }
    }
}

/// What one transaction knows. All of it is speculative until the commit, and dies with a rollback.
pub(super) struct Batch<'a> {
    connection: &'a Connection,
    names: &'a mut Dictionary,
    properties: StoreProperties,
    clock: &'a dyn Clock,
    poisoned: &'a HashMap<(usize, usize), Error>,
    heads: HashMap<StreamName, Version>,
    /// Of the list's partition.
    head: Position,
    time: Timestamp,
}

impl<'a> Batch<'a> {
    pub(super) fn new(
        connection: &'a Connection,
        names: &'a mut Dictionary,
        properties: StoreProperties,
        clock: &'a dyn Clock,
        poisoned: &'a HashMap<(usize, usize), Error>,
    ) -> Self {
        let (heads, head, time) = (HashMap::new(), Position::START, Timestamp::MIN);
        Self { connection, names, properties, clock, poisoned, heads, head, time }
    }

    pub(super) fn properties(&self) -> StoreProperties {
        self.properties
    }

    pub(super) fn begin_list(&mut self, partition: PartitionId) -> Result<(), Halt> {
        let found = reader::partition_row(self.connection, partition);
        (self.head, self.time) = found.map_err(|e| Halt::before_commit("reading a partition's head", e))?;
        Ok(())
    }

    pub(super) fn end_list(&mut self, partition: PartitionId) -> Result<(), Halt> {
        let head = self.head.get().cast_signed();
        let parameters = params![partition.get(), head, self.time.as_micros()];
        self.connection
            .prepare_cached(MOVE_PARTITION)
            .and_then(|mut statement| statement.execute(parameters))
            .map(drop)
            .map_err(|e| Halt::before_commit("moving a partition's head", e))
    }

    /// Writes one unit, or says why not. Everything is checked before its first write, so a write that
    /// fails half way is the disk's or a page's fault and ends the whole transaction.
    pub(super) fn unit(
        &mut self,
        admission: &mut Admission,
        at: (usize, usize),
        partition: PartitionId,
        unit: &Unit,
    ) -> Result<UnitResult, Halt> {
        if let Some(error) = self.poisoned.get(&at) {
            admission.fail(unit);
            return Ok(Err(AppendFailure::Refused(error.clone())));
        }
        let admitted = admission.admit(unit, |stream| self.stream_head(stream));
        if self.connection.is_autocommit() {
            // A read error inside a transaction can end it: what was written so far is gone.
            return Err(Halt::Refused(Error::new(
                ErrorKind::Unavailable,
                "sqlite: a read ended the transaction",
            )));
        }
        match admitted {
            // SQLite refuses every write of a transaction in which it met a bad page, so the others begin anew.
            Err(AppendFailure::Refused(error)) if error.kind() == ErrorKind::Corrupt => {
                return Err(Halt::Poisoned { place: at, error });
            }
            Err(failure) => return Ok(Err(failure)),
            Ok(()) => {}
        }
        if let Err(error) = place::of(partition, self.head.plus(records(unit))) {
            admission.fail(unit);
            return Ok(Err(AppendFailure::Refused(error)));
        }
        self.write(partition, unit).map(Ok).map_err(|error| Halt::of_unit(at, unit, error))
    }

    fn stream_head(&mut self, stream: &StreamName) -> Result<Version> {
        if let Some(head) = self.heads.get(stream) {
            return Ok(*head);
        }
        let (_, head) = reader::bounds(self.connection, &StreamKey::of(stream))
            .map_err(|error| error.in_stream(stream))?;
        self.heads.insert(stream.clone(), head);
        Ok(head)
    }

    fn write(&mut self, partition: PartitionId, unit: &Unit) -> rusqlite::Result<Committed> {
        self.time = self.time.max(self.clock.now());
        let first = if unit.is_empty() { self.head } else { self.head.plus(1) };
        for append in unit.appends.iter().filter(|append| !append.records.is_empty()) {
            self.append(partition, append)?;
        }
        Ok(Committed { first, recorded_at: self.time })
    }

    fn append(&mut self, partition: PartitionId, append: &StreamAppend) -> rusqlite::Result<()> {
        let (stream, key) = (&append.stream, StreamKey::of(&append.stream));
        let before = self.heads.get(stream).copied().unwrap_or_default();
        let (mut version, mut change) = (before, Change::default());
        for data in &append.records {
            (version, self.head) = (version.next(), self.head.plus(1));
            let slot = Slot { place: place::clamped(partition, self.head), version, recorded_at: self.time };
            row::insert(self.connection, self.names, (stream, &key), slot, data)?;
            change.take(self.connection, stream, data, self.time)?;
        }
        self.heads.insert(stream.clone(), version);
        change.write(self.connection, partition, stream, before == Version::EMPTY)
    }
}

fn records(unit: &Unit) -> u64 {
    u64::try_from(unit.len()).unwrap_or(u64::MAX)
}
