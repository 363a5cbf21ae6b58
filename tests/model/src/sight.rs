//! What an exploration came across.

use sidestream::protocol::{AggregateWrite, Answer, Plan, SideWrite};
use sidestream::side_stream::Verdict;

/// What an exploration came across. One that never saw what it is for proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Sight {
    Accepted,
    Rejected,
    Resumed,
    Fence,
    Marker,
    Arrived,
    LostRace,
    Conflict,
    InProgress,
    Submitted,
    LostHistory,
    Failed,
    Removed,
    LostWithLead,
}

impl Sight {
    /// What a reply shows.
    #[must_use]
    pub const fn of_answer(answer: &Answer) -> Option<Self> {
        Some(match answer {
            Answer::Settled { verdict: Verdict::Accepted, .. } => Self::Accepted,
            Answer::Settled { verdict: Verdict::Rejected, .. } => Self::Rejected,
            Answer::Submitted => Self::Submitted,
            Answer::NothingOpen => return None,
            Answer::Conflict { .. } => Self::Conflict,
            Answer::InProgress { .. } => Self::InProgress,
            Answer::LostHistory { .. } => Self::LostHistory,
            Answer::Failed { .. } => Self::Failed,
        })
    }

    /// What a unit that was written shows.
    #[must_use]
    pub fn of_plan(plan: &Plan) -> Option<Self> {
        let side = plan.side.as_ref().and_then(|(_, writes)| writes.first());
        match (&plan.aggregate, side) {
            (Some((_, AggregateWrite::Fence)), _) => Some(Self::Fence),
            (Some((_, AggregateWrite::Marker)), _) => Some(Self::Marker),
            (_, Some(SideWrite::Resumed(_))) => Some(Self::Resumed),
            _ => None,
        }
    }
}

/// A set of sights.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sights(u32);

impl Sights {
    /// A set from its bits.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// Both together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether a sight is in it.
    #[must_use]
    pub const fn have(self, sight: Sight) -> bool {
        self.0 & (1 << sight as u32) != 0
    }
}
