//! What a worker may choose: plain data.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::lease::LeaseTimes;
use crate::limits;

/// Settings of a worker. All workers of a store should have the same times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClusterSettings {
    /// The worker's name, for people; it need not be unique.
    pub name: String,
    /// How long leases last, and how much less they are trusted. A third of that trust is a round: leases are renewed and
    /// shares looked at once in each.
    pub lease: LeaseTimes,
    /// Most partitions that it holds, over all processors; without a number, as many as fall to it. Where all workers
    /// together may hold less than there is, the rest is unowned.
    pub most_partitions: Option<usize>,
}

impl Default for ClusterSettings {
    fn default() -> Self {
        Self { name: "worker".to_owned(), lease: LeaseTimes::default(), most_partitions: None }
    }
}

impl ClusterSettings {
    /// Checks the name's bound and the lease's times.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid), saying which.
    pub fn check(&self) -> Result<()> {
        self.lease.check()?;
        if (1..=limits::WORKER_NAME_BYTES).contains(&self.name.len()) {
            return Ok(());
        }
        Err(Error::invalid("a worker's name breaks its bound")
            .expected(format!("1 to {} bytes", limits::WORKER_NAME_BYTES), self.name.len()))
    }
}
