//! The runners of one projection in this process, by partition.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::partition::PartitionId;
use crate::projection::request::Requests;
use crate::projection::status::Status;

/// One projection in one partition, as it runs or ran last.
#[derive(Debug, Clone)]
pub(super) struct Running {
    pub(super) status: watch::Receiver<Status>,
    pub(super) requests: Requests,
}

/// Who runs where. A run that ended stays, with the status that it ended in, until the next one takes its seat.
#[derive(Debug, Default)]
pub(super) struct Seats {
    runs: Mutex<BTreeMap<PartitionId, Running>>,
    /// One run spans all partitions.
    spans: bool,
}

impl Seats {
    pub(super) fn new(spans: bool) -> Self {
        Self { runs: Mutex::default(), spans }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PartitionId, Running>> {
        // An entry is whole or not there, so a poisoned lock still guards whole entries.
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn take(&self, partition: PartitionId, running: Running) {
        self.lock().insert(partition, running);
    }

    pub(super) fn find(&self, partition: PartitionId) -> Option<Running> {
        let partition = if self.spans { PartitionId::new(0) } else { partition };
        self.lock().get(&partition).cloned()
    }

    pub(super) fn status(&self) -> Vec<Status> {
        self.lock().values().map(|running| running.status.borrow().clone()).collect()
    }
}
