//! How far handlers have come, seen from another thread.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// The value while no handler runs.
const NONE: usize = 0;
/// The value once all have returned.
const ALL: usize = usize::MAX;

/// Which handler of a batch runs now. Whoever watches it sees one that does not return, and may call it off.
#[derive(Debug, Default)]
pub struct Progress {
    /// The number of the handler that runs, from 1.
    at: AtomicUsize,
    called_off: Notify,
}

impl Progress {
    /// The next handler begins.
    pub(super) fn begin_next(&self) {
        // One thread counts.
        self.at.store(self.at.load(Ordering::Relaxed).saturating_add(1), Ordering::Relaxed);
    }

    /// No handler runs any more.
    pub(super) fn end(&self) {
        self.at.store(ALL, Ordering::Relaxed);
    }

    /// The handler that runs, from 0; `None` while none does.
    pub(super) fn running(&self) -> Option<usize> {
        match self.at.load(Ordering::Relaxed) {
            NONE | ALL => None,
            at => at.checked_sub(1),
        }
    }

    /// Wakes whoever waits in [`called_off`](Self::called_off).
    pub(super) fn call_off(&self) {
        self.called_off.notify_one();
    }

    /// Returns when the batch was called off.
    pub(super) async fn called_off(&self) {
        self.called_off.notified().await;
    }
}
