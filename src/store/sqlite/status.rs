//! How a store is doing, for health checks and metrics.

use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Error;

/// What is known about the database's pages after an unclean stop.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Integrity {
    /// There was no reason to check.
    #[default]
    NotChecked,
    /// The check runs in the background.
    Checking,
    /// Every page is as it should be. Contents have checksums of their own.
    Sound,
    /// What SQLite found, one line each. Streams without a bad page can still be read.
    Damaged(Vec<String>),
    /// The check could not be finished, for this reason.
    Unfinished(String),
}

/// How a store is doing.
#[derive(Debug, Clone, Default)]
pub struct Status {
    /// Transactions that wrote, or tried to, since the store was opened.
    pub commits: u64,
    /// Bytes in the write-ahead log, the header not counted.
    pub wal_bytes: u64,
    /// Checkpoints that failed. The WAL keeps what they did not move: nothing is lost, but it grows.
    pub checkpoint_failures: u64,
    /// Why the last checkpoint failed, if it did.
    pub checkpoint_error: Option<String>,
    /// Why the indexes could not be written the last time, if they could not. They stay in memory meanwhile.
    pub index_error: Option<String>,
    /// The writer's settings as SQLite reported them when the store was opened, by name.
    pub settings: Vec<(String, String)>,
    /// The state of the database's pages.
    pub integrity: Integrity,
    /// Why the store stopped writing for good, if it did.
    pub stopped: Option<Error>,
}

impl Status {
    /// Whether somebody should look.
    #[must_use]
    pub fn is_degraded(&self) -> bool {
        self.stopped.is_some()
            || self.checkpoint_error.is_some()
            || self.index_error.is_some()
            || matches!(self.integrity, Integrity::Damaged(_) | Integrity::Unfinished(_))
    }
}

/// A status that several threads write to.
#[derive(Debug, Clone, Default)]
pub(super) struct Shared(Arc<Mutex<Status>>);

impl Shared {
    pub(super) fn get(&self) -> Status {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts and tells a checkpoint that failed.
    pub(super) fn note_checkpoint_failure(&self, error: &rusqlite::Error) {
        tracing::warn!(%error, "sqlite: a checkpoint failed; the write-ahead log keeps what it did not move");
        self.change(|status| {
            status.checkpoint_failures = status.checkpoint_failures.saturating_add(1);
            status.checkpoint_error = Some(error.to_string());
        });
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Status)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
