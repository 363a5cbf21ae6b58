//! Aggregates whose events wait, and what operators did about them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::limits;
pub(super) use crate::limits::kept_text as kept;
use crate::stream::Position;

/// An aggregate that a projection could not go on with. Its events wait; all others go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    /// Its cardinal id.
    pub cardinal: String,
    /// The position of the first event that waits.
    pub position: Position,
    /// The type of the event that failed.
    pub event_type: String,
    /// What its handler said last.
    pub error: String,
    /// How often it was tried.
    pub attempts: u32,
    /// Since when it has been parked, by this process's clock.
    pub since: Timestamp,
    /// How many events wait.
    pub waiting: u64,
}

/// Who does something, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operator {
    /// Who: a person's or a tool's name.
    pub who: String,
    /// Why.
    pub why: String,
}

impl Operator {
    /// Checks and takes both: neither may be empty, nor longer than [`limits::KEPT_TEXT_BYTES`].
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) otherwise.
    pub fn new(who: impl Into<String>, why: impl Into<String>) -> Result<Self> {
        let (who, why) = (who.into(), why.into());
        for (what, text) in [("who does it", &who), ("why", &why)] {
            if !(1..=limits::KEPT_TEXT_BYTES).contains(&text.trim().len()) {
                return Err(Error::invalid(format!("{what} must be said"))
                    .expected(format!("1 to {} bytes", limits::KEPT_TEXT_BYTES), text.len()));
            }
        }
        Ok(Self { who, why })
    }
}

/// What was done to an aggregate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It was parked.
    Parked,
    /// An operator had it tried again.
    Retried,
    /// An operator left one event out.
    Skipped,
}

impl Action {
    /// Its durable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Parked => "parked",
            Self::Retried => "retried",
            Self::Skipped => "skipped",
        }
    }

    /// The action of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Parked, Self::Retried, Self::Skipped].into_iter().find(|action| action.name() == name)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Something that was done, kept for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audited {
    /// What.
    pub action: Action,
    /// To which aggregate, by cardinal id.
    pub cardinal: String,
    /// The position of the event that it was about.
    pub position: Position,
    /// By whom, and why; parking is done by the runner, because of the error that it tells.
    pub by: Operator,
    /// When, by that process's clock.
    pub at: Timestamp,
}

/// What became of a retry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Repaired {
    /// How many events were applied.
    pub applied: u64,
    /// The aggregate, where it is still parked: an event failed again.
    pub parked: Option<Parked>,
}
