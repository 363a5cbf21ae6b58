//! Partitions: which one a cardinal id belongs to.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::limits;

/// One of a store's partitions, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PartitionId(u16);

impl PartitionId {
    /// A partition from its number.
    #[must_use]
    pub const fn new(number: u16) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How many partitions a store has, 1 to 1,024. Fixed when the store is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct PartitionCount(u16);

impl PartitionCount {
    /// Checks and takes a count.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for 0 and above 1,024.
    pub fn new(count: u16) -> Result<Self> {
        if (1..=limits::PARTITIONS).contains(&count) {
            return Ok(Self(count));
        }
        Err(Error::invalid(format!("a store cannot have {count} partitions"))
            .expected(format!("1 to {}", limits::PARTITIONS), count))
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// The partition of a cardinal id: the first eight bytes of its BLAKE3 hash, as a little-endian
    /// number, modulo the count. This never changes: streams would be looked for in the wrong log.
    #[must_use]
    pub fn of(self, cardinal: &str) -> PartitionId {
        let hash = blake3::hash(cardinal.as_bytes());
        let mut first = [0; 8];
        first.iter_mut().zip(hash.as_bytes()).for_each(|(to, from)| *to = *from);
        let number = u64::from_le_bytes(first).checked_rem(u64::from(self.0)).unwrap_or(0);
        PartitionId(u16::try_from(number).unwrap_or(0))
    }

    /// All partitions.
    pub fn all(self) -> impl Iterator<Item = PartitionId> {
        (0..self.0).map(PartitionId)
    }
}

impl Default for PartitionCount {
    fn default() -> Self {
        Self(limits::DEFAULT_PARTITIONS)
    }
}

impl TryFrom<u16> for PartitionCount {
    type Error = Error;

    fn try_from(count: u16) -> Result<Self> {
        Self::new(count)
    }
}

impl From<PartitionCount> for u16 {
    fn from(count: PartitionCount) -> Self {
        count.0
    }
}

impl fmt::Display for PartitionCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
