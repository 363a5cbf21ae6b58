//! Units on their way to the writer: checked and encoded where they come from, so that the one thread that
//! writes has less to do.

use crate::error::Result;
use crate::partition::PartitionId;
use crate::store::admission;
use crate::store::sqlite::body;
use crate::store::sqlite::index::outline::Outline;
use crate::store::{StoreProperties, StreamAppend, Unit};
use crate::stream::{ExpectedVersion, Version};

/// Units of one partition, ready to be written.
#[derive(Debug)]
pub(super) struct PreparedList {
    pub(super) partition: PartitionId,
    pub(super) units: Vec<Prepared>,
}

/// A unit that is ready to be written.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) unit: Unit,
    /// Whether it keeps all bounds.
    pub(super) checked: Result<()>,
    pub(super) outline: Outline,
    /// Its row. None where the versions of its records are not known before it is written.
    body: Option<Vec<u8>>,
}

impl PreparedList {
    pub(super) fn new(partition: PartitionId, units: Vec<Unit>, properties: StoreProperties) -> Self {
        let prepare = |unit| Prepared::new(unit, partition, properties);
        Self { partition, units: units.into_iter().map(prepare).collect() }
    }

    /// The records of all units.
    pub(super) fn records(&self) -> usize {
        self.units.iter().fold(0, |sum, unit| sum.saturating_add(unit.unit.len()))
    }

    /// Bytes that it takes up until it is committed.
    pub(super) fn bytes(&self) -> usize {
        self.units.iter().fold(0, |sum, unit| sum.saturating_add(unit.bytes()))
    }
}

impl Prepared {
    fn new(unit: Unit, partition: PartitionId, properties: StoreProperties) -> Self {
        let checked = admission::check(&unit, partition, properties);
        let outline = Outline::of(&unit);
        let firsts: Option<Vec<Version>> = unit.appends.iter().map(first).collect();
        let body = firsts.filter(|_| checked.is_ok()).map(|firsts| body::encode(&unit, &firsts));
        Self { unit, checked, outline, body }
    }

    /// Its row, where the first records of its appends have these versions: those that it expects.
    pub(super) fn with_body<T>(&self, firsts: &[Version], write: impl FnOnce(&[u8]) -> T) -> T {
        match &self.body {
            Some(body) => write(body),
            None => write(&body::encode(&self.unit, firsts)),
        }
    }

    fn bytes(&self) -> usize {
        self.body.as_ref().map_or(0, Vec::len).max(admission::payload_bytes(&self.unit))
    }
}

/// The version of an append's first record, where the append demands one.
fn first(append: &StreamAppend) -> Option<Version> {
    match append.expected {
        ExpectedVersion::NoStream => Some(Version::EMPTY.next()),
        ExpectedVersion::Exact(version) => Some(version.next()),
        ExpectedVersion::Any => append.records.is_empty().then_some(Version::EMPTY),
    }
}
