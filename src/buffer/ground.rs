//! What all runs of a destination share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::buffer::breaker::Breaker;
use crate::buffer::destination::Destination;
use crate::clock::{Clock, Stopwatch};
use crate::feed::Selection;
use crate::store::EventStore;

/// What all runs of a destination stand on.
pub(super) struct Ground {
    pub(super) store: Arc<dyn EventStore>,
    pub(super) selection: Selection,
    pub(super) destination: Destination,
    pub(super) breaker: Mutex<Breaker>,
    /// What the breaker's times are counted by.
    pub(super) since: Stopwatch,
    pub(super) clock: Arc<dyn Clock>,
}

impl Ground {
    pub(super) fn breaker(&self) -> MutexGuard<'_, Breaker> {
        // Each change of it is whole, so a poisoned lock still guards a whole one.
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A message that probes, until its answer was taken in. Where its run ends before, another one may probe.
pub(super) struct Probe(pub(super) Arc<Ground>);

impl Drop for Probe {
    fn drop(&mut self) {
        self.0.breaker().given_up();
    }
}
