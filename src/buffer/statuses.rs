//! How the runs of a processor are doing.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::partition::PartitionId;
use crate::processor::ProcessorStatus;

/// By partition; a run that ended stays, as it ended.
#[derive(Debug, Default)]
pub(super) struct Statuses(Mutex<BTreeMap<PartitionId, ProcessorStatus>>);

impl Statuses {
    pub(super) fn tell(&self, partition: PartitionId, status: ProcessorStatus) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(partition, status);
    }

    pub(super) fn of(&self, partition: PartitionId) -> Option<ProcessorStatus> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&partition).cloned()
    }
}
