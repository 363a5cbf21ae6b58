//! A destination as a processor: one run for each partition.

use std::fmt;
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use crate::buffer::destination::Destination;
use crate::buffer::ground::Ground;
use crate::buffer::publishing::Publishing;
use crate::buffer::statuses::Statuses;
use crate::clock::{Clock, Stopwatch};
use crate::error::Result;
use crate::feed::Selection;
use crate::partition::PartitionId;
use crate::processor::{Processor, ProcessorId, ProcessorStatus, Run};
use crate::store::EventStore;

/// Sends a destination its messages, partition by partition: for each key in order, keys side by side, each at least
/// once.
///
/// How far it came is a guarded row of the log's own store, written by whoever has the partition under the highest epoch.
/// A run that was thought dead may still be sending when the next one begins: then messages come twice, with the same ids.
pub struct Publisher {
    id: ProcessorId,
    ground: Arc<Ground>,
    status: Arc<Statuses>,
}

impl Publisher {
    /// A publisher of the messages that `selection` names.
    pub(super) fn new(
        store: Arc<dyn EventStore>,
        selection: Selection,
        destination: Destination,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let id = ProcessorId::new(format!("deliver {}", destination.name))?;
        let ground = Ground {
            store,
            selection,
            destination,
            breaker: Mutex::default(),
            since: Stopwatch::start(),
            clock,
        };
        Ok(Self { id, ground: Arc::new(ground), status: Arc::default() })
    }
}

impl Processor for Publisher {
    fn id(&self) -> &ProcessorId {
        &self.id
    }

    fn run(&self, partition: PartitionId, epoch: u64, stop: watch::Receiver<bool>) -> Run {
        let publishing =
            Publishing::new(Arc::clone(&self.ground), partition, epoch, (Arc::clone(&self.status), stop));
        Box::pin(publishing.keep())
    }

    fn status(&self, partition: PartitionId) -> Option<ProcessorStatus> {
        self.status.of(partition)
    }
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").field("id", &self.id).finish_non_exhaustive()
    }
}
