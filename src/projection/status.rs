//! How a projection is doing in a partition: always known, from memory.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::error::Error;
use crate::feed::JoinPositions;
use crate::partition::PartitionId;
use crate::projection::parked::Parked;
use crate::projection::place::ProjectionId;
use crate::stream::Position;

/// What a runner does now, or why it does nothing.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum State {
    /// The place is being opened.
    Starting,
    /// It applies events.
    Running,
    /// It stands at the log's head.
    CaughtUp,
    /// A database is down: what it was about, and what it said.
    Waiting(Error),
    /// An event failed and is tried again.
    Retrying {
        /// Its aggregate's cardinal id.
        cardinal: String,
        /// Its position.
        position: Position,
        /// How often it was tried.
        attempt: u32,
        /// What its handler said.
        error: String,
    },
    /// As many aggregates are parked as may be, and another event fails: it is tried again until one of the two
    /// changes.
    Full {
        /// The cardinal id that would be parked.
        cardinal: String,
        /// The event's position.
        position: Position,
        /// What its handler said.
        error: String,
    },
    /// An operator's request is carried out.
    Repairing(String),
    /// It failed, and will start again.
    Failed(Error),
    /// It stopped, and does not start again.
    Stopped(Option<Error>),
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => f.write_str("starting"),
            Self::Running => f.write_str("running"),
            Self::CaughtUp => f.write_str("caught up"),
            Self::Waiting(error) => write!(f, "waiting for a database: {error}"),
            Self::Retrying { cardinal, position, attempt, error } => {
                write!(f, "trying {cardinal} at position {position} again after {attempt} attempts: {error}")
            }
            Self::Full { cardinal, position, error } => write!(
                f,
                "stopped because too many aggregates are parked to park {cardinal} at position {position}, too: {error}"
            ),
            Self::Repairing(cardinal) => write!(f, "applying what waits of {cardinal}"),
            Self::Failed(error) => write!(f, "starting again after: {error}"),
            Self::Stopped(None) => f.write_str("stopped"),
            Self::Stopped(Some(error)) => write!(f, "stopped because {error}"),
        }
    }
}

/// How a projection is doing in one partition.
#[derive(Debug, Clone)]
pub struct Status {
    /// The projection.
    pub projection: ProjectionId,
    /// The partition; of a join the first one, which stands for all.
    pub partition: PartitionId,
    /// What it does.
    pub state: State,
    /// Everything selected up to here has taken effect or is parked; `None` before the place was opened. Of a join, the
    /// number of events that were handed out.
    pub checkpoint: Option<Position>,
    /// Of a join, up to where each partition has taken effect or is parked.
    pub joined: Option<Arc<JoinPositions>>,
    /// The log's last position when it was last looked at. Of a join, the checkpoint and how many records lie behind it in
    /// the logs, selected or not.
    pub head: Position,
    /// When the oldest event was recorded that was read and has not taken effect.
    pub oldest: Option<Timestamp>,
    /// What is parked, by cardinal id.
    pub parked: Arc<BTreeMap<String, Parked>>,
}

impl Status {
    pub(super) fn new(projection: ProjectionId, partition: PartitionId) -> Self {
        Self {
            projection,
            partition,
            state: State::Starting,
            checkpoint: None,
            joined: None,
            head: Position::START,
            oldest: None,
            parked: Arc::default(),
        }
    }

    /// Whether everything selected has taken effect, or is parked, up to a position of a partition's log.
    #[must_use]
    pub fn has_reached(&self, partition: PartitionId, position: Position) -> bool {
        match &self.joined {
            Some(joined) => joined.in_partition(partition) >= position,
            None => self.checkpoint.is_some_and(|checkpoint| checkpoint >= position),
        }
    }

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
