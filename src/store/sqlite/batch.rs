//! The content of one write transaction.

use rusqlite::{Connection, params};

use crate::clock::{Clock, Timestamp};
use crate::error::{Error, ErrorKind, Result};
use crate::hash::HashMap;
use crate::partition::PartitionId;
use crate::store::admission::{Admission, too_long};
use crate::store::heads::Heads;
use crate::store::rows::{KeptRow, RowKey};
use crate::store::sqlite::halt::Halt;
use crate::store::sqlite::index::live::Live;
use crate::store::sqlite::index::lookup;
use crate::store::sqlite::index::outline::{Head, Place};
use crate::store::sqlite::prepared::{Prepared, PreparedList};
use crate::store::sqlite::{row, rows, steps};
use crate::store::stream_key::StreamKey;
use crate::store::{AppendFailure, Committed, StoreProperties, UnitResult};
use crate::stream::{Position, Version};

const INSERT: &str = include_str!("sql/insert_unit.sql");

/// The versions of the first records of a unit's appends, and the rows that change with it.
type Admitted = (Vec<Version>, Vec<(RowKey, KeptRow)>);

/// What one transaction knows. All of it is speculative until the commit, and dies with a rollback.
pub(super) struct Batch<'a> {
    connection: &'a Connection,
    live: &'a Live,
    known: &'a Heads,
    properties: StoreProperties,
    clock: &'a dyn Clock,
    poisoned: &'a HashMap<(usize, usize), Error>,
    streams: HashMap<StreamKey, Version>,
    partitions: HashMap<PartitionId, Head>,
    row: u64,
    written: Vec<WrittenUnit>,
}

/// A unit that is written and not committed.
#[derive(Debug)]
pub(super) struct WrittenUnit {
    /// Its list, and its place in it.
    pub(super) at: (usize, usize),
    pub(super) partition: PartitionId,
    pub(super) place: Place,
    pub(super) recorded_at: Timestamp,
    /// The versions of the first records of its appends.
    pub(super) firsts: Vec<Version>,
}

impl<'a> Batch<'a> {
    pub(super) fn new(
        connection: &'a Connection,
        (live, known): (&'a Live, &'a Heads),
        properties: StoreProperties,
        clock: &'a dyn Clock,
        poisoned: &'a HashMap<(usize, usize), Error>,
    ) -> Self {
        let (streams, partitions, written) = (HashMap::default(), HashMap::default(), Vec::new());
        let row = live.last_row();
        Self { connection, live, known, properties, clock, poisoned, streams, partitions, row, written }
    }

    /// What was written, and how far the logs of its partitions go with it.
    pub(super) fn into_written(self) -> (Vec<WrittenUnit>, HashMap<PartitionId, Head>) {
        (self.written, self.partitions)
    }

    /// The results of one list: the rules that every store shares, with this store's heads.
    pub(super) fn list(&mut self, at: usize, list: &PreparedList) -> Result<Vec<UnitResult>, Halt> {
        if let Some(failure) = too_long(list.units.len()) {
            return Ok(list.units.iter().map(|_| Err(failure.clone())).collect());
        }
        let Some(head) = self.head(list.partition) else {
            let error = row::no_partition(list.partition, self.properties.partitions);
            let failure = AppendFailure::Refused(error);
            return Ok(list.units.iter().map(|_| Err(failure.clone())).collect());
        };
        self.partitions.insert(list.partition, head);
        let mut admission = Admission::default();
        let units = list.units.iter().enumerate();
        units.map(|(unit_at, unit)| self.unit(&mut admission, (at, unit_at), list.partition, unit)).collect()
    }

    fn head(&self, partition: PartitionId) -> Option<Head> {
        self.partitions.get(&partition).copied().or_else(|| self.live.head(partition))
    }

    /// Writes one unit, or says why not. Everything is checked before its first write, so a write that
    /// fails half way is the disk's or a page's fault and ends the whole transaction.
    fn unit(
        &mut self,
        admission: &mut Admission,
        at: (usize, usize),
        partition: PartitionId,
        prepared: &Prepared,
    ) -> Result<UnitResult, Halt> {
        let unit = &prepared.unit;
        if let Some(error) = self.poisoned.get(&at) {
            admission.fail(unit);
            return Ok(Err(AppendFailure::Refused(error.clone())));
        }
        let admitted = self.admit(admission, partition, prepared);
        if self.connection.is_autocommit() {
            // A read error inside a transaction can end it: what was written so far is gone.
            return Err(Halt::Refused(Error::new(
                ErrorKind::Unavailable,
                "sqlite: a read ended the transaction",
            )));
        }
        let admitted = match admitted {
            // SQLite refuses every write of a transaction in which it met a bad page, so the others begin anew.
            Err(AppendFailure::Refused(error)) if error.kind() == ErrorKind::Corrupt => {
                return Err(Halt::Poisoned { place: at, error });
            }
            Err(failure) => return Ok(Err(failure)),
            Ok(admitted) => admitted,
        };
        self.write(at, partition, prepared, admitted).map(Ok).map_err(|error| Halt::of_unit(at, unit, error))
    }

    fn admit(
        &mut self,
        admission: &mut Admission,
        partition: PartitionId,
        prepared: &Prepared,
    ) -> Result<Admitted, AppendFailure> {
        let unit = &prepared.unit;
        let mut firsts = Vec::with_capacity(unit.appends.len());
        let mut keys = prepared.outline.appends.iter().map(|append| append.key);
        admission.admit(unit, &prepared.checked, |stream| {
            let key = keys.next().unwrap_or_else(|| StreamKey::of(stream));
            let head = self.stream_head(&key).map_err(|error| error.in_stream(stream))?;
            firsts.push(head.next());
            Ok(head)
        })?;
        if unit.rows.is_empty() {
            return Ok((firsts, Vec::new()));
        }
        let found = |key: &RowKey| rows::found(self.connection, partition, key);
        Ok((firsts, admission.admit_rows(unit, self.clock.now(), found)?))
    }

    fn stream_head(&mut self, key: &StreamKey) -> Result<Version> {
        if let Some(head) = self.streams.get(key).copied().or_else(|| self.known.get(key)) {
            return Ok(head);
        }
        let last = match self.live.last_append(key) {
            Some(last) => Some(last),
            None => lookup::last_append(self.connection, &self.live.sealed(), key)?,
        };
        Ok(last.map_or(Version::EMPTY, |append| Version::new(append.last)))
    }

    fn write(
        &mut self,
        at: (usize, usize),
        partition: PartitionId,
        prepared: &Prepared,
        (firsts, changed): Admitted,
    ) -> rusqlite::Result<Committed> {
        changed.iter().try_for_each(|(key, row)| rows::put(self.connection, partition, key, row))?;
        let before = self.head(partition).unwrap_or(Head { position: Position::START, time: Timestamp::MIN });
        let time = before.time.max(self.clock.now());
        let records = prepared.outline.records;
        if records == 0 {
            return Ok(Committed { first: before.position, recorded_at: time });
        }
        self.partitions.insert(partition, Head { position: before.position.plus(records), time });
        let (row, first) = (self.row.saturating_add(1), before.position.next());
        prepared.with_body(&firsts, |body| {
            let parameters = params![
                row.cast_signed(),
                partition.get(),
                first.get().cast_signed(),
                time.as_micros(),
                body
            ];
            self.connection.prepare_cached(INSERT)?.execute(parameters).map(drop)
        })?;
        self.row = row;
        self.note_streams(partition, prepared, &firsts, time)?;
        let place = Place { row, position: first.get() };
        self.written.push(WrittenUnit { at, partition, place, recorded_at: time, firsts });
        Ok(Committed { first, recorded_at: time })
    }

    fn note_streams(
        &mut self,
        partition: PartitionId,
        prepared: &Prepared,
        firsts: &[Version],
        time: Timestamp,
    ) -> rusqlite::Result<()> {
        let appends = prepared.unit.appends.iter().zip(&prepared.outline.appends).zip(firsts);
        for ((append, outline), first) in appends.filter(|((append, _), _)| !append.records.is_empty()) {
            let last = first.get().saturating_sub(1).saturating_add(outline.records);
            self.streams.insert(outline.key, Version::new(last));
            let is_fresh = *first == Version::EMPTY.next();
            steps::note(self.connection, partition, append, is_fresh, time)?;
        }
        Ok(())
    }
}
