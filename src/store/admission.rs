//! Which units of a list may be committed: the rules that every store shares, pure.

use crate::error::{Error, Result};
use crate::hash::HashSet;
use crate::limits;
use crate::partition::PartitionId;
use crate::store::{AppendFailure, Atomicity, StoreProperties, Unit};
use crate::stream::{StreamName, Version};

/// Admits the units of one list in order, and keeps the chain: what shares a stream with a failed unit
/// fails with it, though the version it expects may exist by then, taken by somebody else.
#[derive(Debug, Default)]
pub struct Admission {
    failed: HashSet<StreamName>,
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
        self.failed.extend(unit.appends.iter().map(|append| append.stream.clone()));
    }

    fn judge(
        &self,
        unit: &Unit,
        checked: &Result<()>,
        mut head: impl FnMut(&StreamName) -> Result<Version>,
    ) -> Result<(), AppendFailure> {
        checked.clone().map_err(AppendFailure::Refused)?;
        if let Some(append) = unit.appends.iter().find(|append| self.failed.contains(&append.stream)) {
            return Err(AppendFailure::Superseded { stream: append.stream.clone() });
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
    if properties.atomicity == Atomicity::Stream && unit.appends.len() > 1 {
        return Err(Error::invalid("this store is atomic per stream only")
            .expected("one stream in a unit", unit.appends.len()));
    }
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

/// The bytes of all payloads of a unit.
#[must_use]
pub fn payload_bytes(unit: &Unit) -> usize {
    let records = unit.appends.iter().flat_map(|append| &append.records);
    records.fold(0, |sum: usize, record| sum.saturating_add(record.payload.len()))
}

/// The answer to every unit of a list that is too long.
#[must_use]
pub fn too_long(units: usize) -> Option<AppendFailure> {
    (units > limits::LIST_UNITS).then(|| {
        let error = Error::invalid("a list has too many units");
        AppendFailure::Refused(error.expected(format!("at most {}", limits::LIST_UNITS), units))
    })
}
