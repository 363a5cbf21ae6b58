//! What is counted while commands are sent.

use serde::{Deserialize, Serialize};

/// What was counted since the beginning.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counts {
    /// Commands that repeated an earlier one.
    pub(super) repeated: u64,
    /// Commits, where the store counts them.
    pub(super) commits: Option<u64>,
    /// Records of accounts that were read.
    pub(super) rows: u64,
    pub(super) snapshots: u64,
    /// Commands that were sent again because others wrote first each time.
    pub(super) contended: u64,
    /// Commands that were sent again after another failure.
    pub(super) errors: u64,
    /// Most memory of the processes that sent.
    pub(super) peak_memory_bytes: Option<u64>,
}

impl Counts {
    pub(super) fn plus(self, other: &Self) -> Self {
        let sum = |one: Option<u64>, other: Option<u64>| {
            one.zip(other).map(|(one, other)| one.saturating_add(other))
        };
        Self {
            repeated: self.repeated.saturating_add(other.repeated),
            commits: sum(self.commits, other.commits),
            rows: self.rows.saturating_add(other.rows),
            snapshots: self.snapshots.saturating_add(other.snapshots),
            contended: self.contended.saturating_add(other.contended),
            errors: self.errors.saturating_add(other.errors),
            peak_memory_bytes: sum(self.peak_memory_bytes, other.peak_memory_bytes),
        }
    }
}
