//! What passes between an attempt and whoever drives it.

use crate::id::{Fingerprint, StepName};
use crate::side_stream::{SideStream, Verdict};
use crate::stream::Version;

/// What a store can commit at once. A property of the store that never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Atomicity {
    /// A unit may write to several streams of one partition.
    Batch,
    /// A unit writes to one stream only; an aggregate's messages count as part of its stream.
    Stream,
}

/// What an attempt is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Goal {
    /// Have this step settled, and hear its outcome.
    Handle {
        /// The step.
        step: StepName,
        /// What is asked.
        fingerprint: Fingerprint,
    },
    /// Have this step requested.
    Submit {
        /// The step.
        step: StepName,
        /// What is asked.
        fingerprint: Fingerprint,
    },
    /// Settle whatever step is open.
    Recover,
    /// Refuse this step if it is open, whatever the rules would say: an operator's word.
    Overrule {
        /// The step.
        step: StepName,
    },
}

impl Goal {
    pub(super) fn wanted(&self) -> Option<(&StepName, Fingerprint)> {
        match self {
            Self::Handle { step, fingerprint } | Self::Submit { step, fingerprint } => {
                Some((step, *fingerprint))
            }
            Self::Recover | Self::Overrule { .. } => None,
        }
    }
}

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Action {
    /// Read the side stream. Answered by [`Observation::Side`].
    ReadSide,
    /// Have the aggregate's state in hand, at any version; a cached one will do. Answered by
    /// [`Observation::Loaded`].
    Load,
    /// Look for a record of (transaction, `step`), by identity, in the aggregate stream after `after`, up to
    /// its head, and bring the state to that head. Answered by [`Observation::Scanned`].
    Scan {
        /// The step.
        step: StepName,
        /// Nothing at or before this version is read.
        after: Version,
    },
    /// Run the rules on the state at exactly `version`. Answered by [`Observation::Decided`].
    Decide {
        /// The step.
        step: StepName,
        /// Which command: the one that is recorded under this fingerprint, or is about to be.
        fingerprint: Fingerprint,
        /// The version of the state.
        version: Version,
    },
    /// Write. Answered by [`Observation::Appended`].
    Append(Plan),
    /// The end. The reply may be sent.
    Reply(Answer),
}

/// One unit to append. What its records hold beyond this is the driver's business.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Plan {
    /// The step that every record of the unit belongs to.
    pub step: StepName,
    /// What was asked, for every record too.
    pub fingerprint: Fingerprint,
    /// What the side stream gets, in order, and the version that it must be at.
    pub side: Option<(Version, Vec<SideWrite>)>,
    /// What the aggregate stream gets, and the version that it must be at.
    pub aggregate: Option<(Version, AggregateWrite)>,
}

/// A record for the side stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SideWrite {
    /// `Requested`, with the aggregate stream's version.
    Requested(Version),
    /// `Resumed`, with the version scanned to.
    Resumed(Version),
    /// `Accepted` or `Rejected`.
    Settled(Verdict),
}

/// What goes to the aggregate stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AggregateWrite {
    /// Nothing: the version is demanded and that is all.
    Assert,
    /// The decision's events, and a snapshot when one is due.
    Events,
    /// A marker: accepted without an event.
    Marker,
    /// The refusal, with its reason.
    Fence,
}

/// What was seen, in answer to an action.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Observation {
    /// The side stream as it stands.
    Side(SideStream),
    /// The state in hand.
    Loaded {
        /// The highest version at or below `version` that is committed; what a request may speak of.
        committed: Version,
        /// The version of the state. Above `committed` where the same list of units brings it there.
        version: Version,
        /// Whether it was read from the store after the command came in.
        fresh: bool,
    },
    /// The end of a scan.
    Scanned {
        /// The aggregate stream's version that was read to; the state is at it now.
        end: Version,
        /// What was found of the step, if anything.
        found: Option<Verdict>,
        /// Records at and before this version are gone.
        floor: Version,
    },
    /// What the rules said.
    Decided(Decision),
    /// What became of an append.
    Appended(Written),
}

/// What the rules said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Decision {
    /// Accepted, with events.
    Events,
    /// Accepted, without.
    Nothing,
    /// Refused.
    Rejected,
    /// The rules could not be run to their end.
    Failed,
}

/// What became of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Written {
    /// It is durable.
    Done,
    /// It definitely was not done, and never will be.
    Conflict,
    /// It may have been done, or may yet be.
    Unknown,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Answer {
    /// The step is settled.
    Settled {
        /// The step.
        step: StepName,
        /// What it came to.
        verdict: Verdict,
        /// Whether it was settled before this attempt came.
        replay: bool,
    },
    /// The step is requested, and open.
    Submitted,
    /// Nothing is open.
    NothingOpen,
    /// The step is known with another content.
    Conflict {
        /// The content that it is known with.
        recorded: Fingerprint,
    },
    /// Another step of the transaction is open and could not be settled first.
    InProgress {
        /// That step.
        open: StepName,
    },
    /// The aggregate stream ends before a version that the side stream knows.
    LostHistory {
        /// That version.
        known: Version,
        /// Where the aggregate stream ends.
        head: Version,
    },
    /// The rules could not be run to their end; nothing was written for it.
    Failed {
        /// The step.
        step: StepName,
    },
}
