//! Threads for the handlers of several places at once.

use std::sync::{Mutex, PoisonError};

use crate::projection::worker::Worker;

/// Workers that wait for a job. There are as many jobs at once as there are connections.
#[derive(Debug)]
pub(super) struct Workers(Mutex<Vec<Worker>>);

impl Workers {
    pub(super) fn new(count: usize) -> Self {
        Self(Mutex::new(Worker::several(count)))
    }

    /// A worker that nobody else has.
    pub(super) fn take(&self) -> Taken<'_> {
        let worker = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Taken { workers: self, worker }
    }
}

/// A worker that goes back when it is dropped.
pub(super) struct Taken<'a> {
    workers: &'a Workers,
    worker: Option<Worker>,
}

impl Taken<'_> {
    pub(super) fn worker(&self) -> Option<&Worker> {
        self.worker.as_ref()
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if let Some(worker) = self.worker.take() {
            self.workers.0.lock().unwrap_or_else(PoisonError::into_inner).push(worker);
        }
    }
}
