//! What workers run: processors, one partition at a time.
//!
//! A projection is one, and so is whatever else follows the log partition by partition. Whoever runs it knows its name,
//! starts it in a partition under an epoch, tells it to stop, and asks how it is doing; nothing else.

use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::limits;
use crate::partition::PartitionId;
use crate::stream::Position;

/// A processor's durable name, version included: workers of different versions run beside each other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProcessorId(String);

impl ProcessorId {
    /// Checks and takes a name: 1 to 96 bytes without control characters.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when the name is another one.
    pub fn new(name: impl Into<String>) -> Result<Self> {
        let name = name.into();
        let fits = (1..=limits::PROCESSOR_NAME_BYTES).contains(&name.len());
        if fits && !name.chars().any(char::is_control) {
            return Ok(Self(name));
        }
        Err(Error::invalid("a processor's name breaks its bound").expected(
            format!("1 to {} bytes without control characters", limits::PROCESSOR_NAME_BYTES),
            format!("{} bytes", name.len()),
        ))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProcessorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for ProcessorId {
    type Error = Error;

    fn try_from(name: String) -> Result<Self> {
        Self::new(name)
    }
}

impl From<ProcessorId> for String {
    fn from(id: ProcessorId) -> Self {
        id.0
    }
}

/// How a processor is doing in one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessorStatus {
    /// What it does now, or why it does nothing, for people.
    pub state: String,
    /// How far it came; `None` before that is known.
    pub checkpoint: Option<Position>,
    /// The log's last position when it was last looked at.
    pub head: Position,
    /// When the oldest event was recorded that was read and has not taken effect.
    pub oldest: Option<Timestamp>,
    /// How many aggregates are parked.
    pub parked: usize,
}

impl ProcessorStatus {
    /// How many records of the log lie between the checkpoint and the head, selected or not.
    #[must_use]
    pub fn lag_records(&self) -> u64 {
        self.head.get().saturating_sub(self.checkpoint.map_or(0, Position::get))
    }

    /// How long the oldest event has waited that was read and has not taken effect, by `now`. Zero at the head.
    #[must_use]
    pub fn lag(&self, now: Timestamp) -> Duration {
        self.oldest.map_or(Duration::ZERO, |oldest| now.since(oldest))
    }
}

/// One run of a processor in a partition.
pub type Run = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// What follows the log, partition by partition.
///
/// An implementation must
/// - let no effect take place under an epoch, once one under a higher epoch of the same partition began;
/// - begin where its last effect ended, whichever process that was in;
/// - end soon after `stop` turns true, and leave nothing half done when its run is dropped at an await.
pub trait Processor: fmt::Debug + Send + Sync + 'static {
    /// Its name.
    fn id(&self) -> &ProcessorId;

    /// A run in a partition under an epoch, to be driven by the caller. [`status`](Self::status) knows of it from this call
    /// on. It ends well when it is told to stop. At most one run of a partition is driven at a time in a process; others
    /// may be driven elsewhere, under other epochs.
    ///
    /// The run's error is [`Fenced`](crate::ErrorKind::Fenced) when somebody else has the partition,
    /// [`Corrupt`](crate::ErrorKind::Corrupt) or [`LostHistory`](crate::ErrorKind::LostHistory) when somebody has to look
    /// first; after others it is started again.
    fn run(&self, partition: PartitionId, epoch: u64, stop: watch::Receiver<bool>) -> Run;

    /// Whether one run spans all partitions. Then it is run in the first one only, whose lease stands for the whole; if
    /// nothing is said, each partition has a run of its own.
    fn spans_partitions(&self) -> bool {
        false
    }

    /// How its last run in a partition is doing; `None` where it never ran in this process.
    fn status(&self, partition: PartitionId) -> Option<ProcessorStatus>;
}

/// Waits for `work`; `None` when it panicked. One partition, or one message, fails then, and not the others.
pub(crate) async fn caught<T>(work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context)));
        polled.map_or(Poll::Ready(None), |polled| polled.map(Some))
    })
    .await
}
