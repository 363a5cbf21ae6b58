//! Which units of a list may be committed: the rules that every store shares, pure.

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::hash::HashSet;
use crate::limits;
use crate::partition::PartitionId;
use crate::store::rows::{KeptRow, RowKey};
use crate::store::{AppendFailure, Atomicity, StoreProperties, Unit};
use crate::stream::{StreamName, Version};

/// The chain of a list: what shares a stream or a row with a failed unit fails with it, though the version it expects
/// may exist by then, taken by somebody else.
#[derive(Debug, Default)]
pub(super) struct Chain {
    streams: HashSet<StreamName>,
    rows: HashSet<RowKey>,
}

impl Chain {
    /// Marks a unit as failed.
    pub(super) fn fail(&mut self, unit: &Unit) {
        self.streams.extend(unit.appends.iter().map(|append| append.stream.clone()));
        self.rows.extend(unit.rows.iter().map(|write| write.key.clone()));
    }

    /// Why a unit falls with one before it, if it does.
    pub(super) fn breaks(&self, unit: &Unit) -> Option<AppendFailure> {
        if let Some(append) = unit.appends.iter().find(|append| self.streams.contains(&append.stream)) {
            return Some(AppendFailure::Superseded { stream: append.stream.clone() });
        }
        let write = unit.rows.iter().find(|write| self.rows.contains(&write.key))?;
        Some(AppendFailure::RowSuperseded { key: write.key.clone() })
    }
}

/// Admits the units of one list in order, and keeps the chain.
#[derive(Debug, Default)]
pub struct Admission {
    failed: Chain,
}

impl Admission {
    /// Whether `unit` may be committed now, where [`check`] said `checked` of it, with `head` telling where its
    /// streams are, earlier units of the list included. It is asked once for each append, in order.
    ///
    /// # Errors
    /// Why not. The unit has failed then, and its streams with it.
    pub fn admit(
        &mut self,
        unit: &Unit,
        checked: &Result<()>,
        head: impl FnMut(&StreamName) -> Result<Version>,
    ) -> Result<(), AppendFailure> {
        let admitted = self.judge(unit, checked, head);
        if admitted.is_err() {
            self.fail(unit);
        }
        admitted
    }

    /// Marks a unit as failed that was admitted and then could not be written.
    pub fn fail(&mut self, unit: &Unit) {
        self.failed.fail(unit);
    }

    /// What becomes of the rows of a unit that was [admitted](Self::admit) at `now`, with `found` telling what they
    /// are, earlier units of the list included: those that change, as they are then.
    ///
    /// # Errors
    /// The row that is not as expected. The unit has failed then.
    pub(super) fn admit_rows(
        &mut self,
        unit: &Unit,
        now: Timestamp,
        mut found: impl FnMut(&RowKey) -> Result<KeptRow>,
    ) -> Result<Vec<(RowKey, KeptRow)>, AppendFailure> {
        let mut changed = Vec::with_capacity(unit.rows.len());
        for write in &unit.rows {
            let row = found(&write.key).map_err(AppendFailure::Refused);
            let after = row.and_then(|row| row.after(write, now).map_err(AppendFailure::WrongRow));
            match after {
                Ok(row) => changed.extend(row.map(|row| (write.key.clone(), row))),
                Err(failure) => {
                    self.fail(unit);
                    return Err(failure);
                }
            }
        }
        Ok(changed)
    }

    fn judge(
        &self,
        unit: &Unit,
        checked: &Result<()>,
        mut head: impl FnMut(&StreamName) -> Result<Version>,
    ) -> Result<(), AppendFailure> {
        checked.clone().map_err(AppendFailure::Refused)?;
        if let Some(failure) = self.failed.breaks(unit) {
            return Err(failure);
        }
        for append in &unit.appends {
            let found = head(&append.stream).map_err(AppendFailure::Refused)?;
            if !append.expected.allows(found) {
                let (stream, expected) = (append.stream.clone(), append.expected);
                return Err(AppendFailure::WrongVersion { stream, expected, found });
            }
        }
        Ok(())
    }
}

/// Checks all of a unit that can be checked without the store's content.
///
/// # Errors
/// [`Invalid`](crate::ErrorKind::Invalid), naming the bound and the stream.
pub fn check(unit: &Unit, partition: PartitionId, properties: StoreProperties) -> Result<()> {
    if unit.len() > limits::UNIT_RECORDS {
        return Err(Error::invalid("a unit has too many records")
            .expected(format!("at most {}", limits::UNIT_RECORDS), unit.len()));
    }
    if unit.appends.len() > limits::UNIT_STREAMS {
        return Err(Error::invalid("a unit has too many streams")
            .expected(format!("at most {}", limits::UNIT_STREAMS), unit.appends.len()));
    }
    if properties.atomicity == Atomicity::Stream && !is_one_stream(unit) {
        return Err(Error::invalid("this store is atomic per stream only").expected(
            "one stream in a unit, or an aggregate's and that of its messages",
            unit.appends.len(),
        ));
    }
    check_rows(unit, properties)?;
    if payload_bytes(unit) > limits::UNIT_BYTES {
        return Err(Error::invalid("the payloads of a unit are too large together")
            .expected(format!("at most {} bytes", limits::UNIT_BYTES), payload_bytes(unit)));
    }
    // Streams of one unit share their cardinal id as a rule: it is hashed once.
    let mut in_partition = None;
    for (at, append) in unit.appends.iter().enumerate() {
        let cardinal = append.stream.cardinal();
        let of = if in_partition == Some(cardinal) { partition } else { properties.partitions.of(cardinal) };
        if of != partition {
            return Err(Error::invalid("a unit holds a stream of another partition")
                .in_stream(&append.stream)
                .expected(format!("partition {partition}"), of));
        }
        in_partition = Some(cardinal);
        if unit.appends.iter().take(at).any(|before| before.stream == append.stream) {
            return Err(Error::invalid("a unit names a stream twice").in_stream(&append.stream));
        }
        append
            .records
            .iter()
            .try_for_each(|record| record.check().map_err(|e| e.in_stream(&append.stream)))?;
    }
    Ok(())
}

/// Whether a store that is atomic per stream can commit it: an aggregate's messages lie with its events.
fn is_one_stream(unit: &Unit) -> bool {
    match &*unit.appends {
        [] | [_] => true,
        [aggregate, messages] => messages.stream.is_message_stream_of(&aggregate.stream),
        _ => false,
    }
}

fn check_rows(unit: &Unit, properties: StoreProperties) -> Result<()> {
    if unit.rows.len() > limits::UNIT_ROWS {
        return Err(Error::invalid("a unit has too many rows")
            .expected(format!("at most {}", limits::UNIT_ROWS), unit.rows.len()));
    }
    let mut named = HashSet::default();
    for write in &unit.rows {
        if !named.insert(&write.key) {
            return Err(Error::invalid(format!("a unit names the row {} twice", write.key)));
        }
        let bytes = write.change.value_bytes();
        if bytes > limits::ROW_VALUE_BYTES {
            return Err(Error::invalid(format!("the value of row {} is too large", write.key))
                .expected(format!("at most {} bytes", limits::ROW_VALUE_BYTES), bytes));
        }
    }
    let side = unit.appends.iter().find(|append| append.stream.is_side());
    match side.filter(|_| properties.atomicity == Atomicity::Stream && !unit.rows.is_empty()) {
        Some(append) => Err(Error::invalid("this store cannot commit rows together with a side stream")
            .in_stream(&append.stream)
            .advice("write the rows in a unit of their own, or with an aggregate's stream")),
        None => Ok(()),
    }
}

/// The bytes of all payloads of a unit, values of rows included.
#[must_use]
pub fn payload_bytes(unit: &Unit) -> usize {
    let records = unit.appends.iter().flat_map(|append| &append.records).map(|record| record.payload.len());
    let rows = unit.rows.iter().map(|write| write.change.value_bytes());
    records.chain(rows).fold(0, usize::saturating_add)
}

/// The answer to every unit of a list that is too long.
#[must_use]
pub fn too_long(units: usize) -> Option<AppendFailure> {
    (units > limits::LIST_UNITS).then(|| {
        let error = Error::invalid("a list has too many units");
        AppendFailure::Refused(error.expected(format!("at most {}", limits::LIST_UNITS), units))
    })
}
