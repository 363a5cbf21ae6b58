//! What a service may choose: plain data, to be put into its own configuration.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use crate::limits::Limits;
use crate::snapshot::SnapshotPolicy;

/// Settings of a command handler.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// When snapshots are written.
    pub snapshots: SnapshotPolicy,
    /// Bounds.
    pub limits: Limits,
}

/// What a command handler counted since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Snapshots written.
    pub snapshots: u64,
    /// Snapshots that were due and not written because the state is larger than
    /// [`Limits::snapshot_bytes`]. Loads grow with the aggregate's age while this rises.
    pub snapshots_too_large: u64,
    /// Snapshots that a load stepped over because they were altered, of another schema, or unreadable.
    pub snapshots_unusable: u64,
    /// Runs of the protocol that began again after a lost race or an unknown outcome.
    pub restarts: u64,
    /// Lists of units handed to the store.
    pub appends: u64,
    /// Records that loads of aggregates folded, snapshots not counted.
    pub loaded: u64,
    /// Records that scans of aggregates' tails read.
    pub scanned: u64,
    /// Replies that found no room to wait in.
    pub replies_dropped: u64,
}

/// The counters behind [`Stats`].
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) snapshots: AtomicU64,
    pub(super) snapshots_too_large: AtomicU64,
    pub(super) snapshots_unusable: AtomicU64,
    pub(super) restarts: AtomicU64,
    pub(super) appends: AtomicU64,
    pub(super) loaded: AtomicU64,
    pub(super) scanned: AtomicU64,
    pub(super) replies_dropped: AtomicU64,
}

impl Counters {
    pub(super) fn read(&self) -> Stats {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            snapshots: of(&self.snapshots),
            snapshots_too_large: of(&self.snapshots_too_large),
            snapshots_unusable: of(&self.snapshots_unusable),
            restarts: of(&self.restarts),
            appends: of(&self.appends),
            loaded: of(&self.loaded),
            scanned: of(&self.scanned),
            replies_dropped: of(&self.replies_dropped),
        }
    }
}

/// Adds to a counter.
pub(super) fn count(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}
