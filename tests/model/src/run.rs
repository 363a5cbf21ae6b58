//! One attempt and what its driver holds for it.

use sidestream::protocol::{Action, Attempt, Observation, Plan, Rules};
use sidestream::side_stream::Verdict;
use sidestream::stream::Version;

use crate::setup::Setup;
use crate::streams::Streams;
use crate::words::Step;

/// A unit of another transaction that goes before this attempt's in one list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lead {
    /// The version that it expects.
    pub after: Version,
    /// Which record it writes.
    pub number: u8,
}

/// A list on its way to the store.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Sent {
    /// What goes first.
    pub lead: Option<Lead>,
    /// The attempt's own unit.
    pub plan: Plan,
    /// The record that the state in hand ran ahead with.
    pub basis: Option<Lead>,
    /// Decided on a state that is older than the command.
    pub too_old: bool,
    /// Decided on another version than the append demands.
    pub other_version: bool,
    /// The attempt read the side stream after history was lost.
    pub after_loss: bool,
}

/// One attempt and what its driver holds for it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Run<R: Rules> {
    /// Its place in the setup, the same for attempts that are alike.
    pub class: usize,
    /// The machine.
    pub attempt: Attempt<R>,
    /// It has replied.
    pub over: bool,
    /// The head when its command came in; before its first action, nothing.
    pub began: Option<Version>,
    /// The accepted steps, as the side stream said when it was read last.
    pub accepted: [bool; 3],
    /// How far the aggregate is known to hold nothing of the open step, as read last.
    pub clear_to: Version,
    /// The version of the state of its last decision.
    pub decided_on: Option<Version>,
    /// The unit that goes before its next.
    pub lead: Option<Lead>,
    /// The record that the state in hand ran ahead with.
    pub basis: Option<Lead>,
    /// What a failed list left behind in a cache: only where that rule is taken out.
    pub leftover: Option<Lead>,
    /// It read the side stream after history was lost.
    pub after_loss: bool,
}

impl<R: Rules> Run<R> {
    /// An attempt before its first action.
    #[must_use]
    pub fn waiting(setup: &Setup, class: usize) -> Self {
        let (goal, atomicity) = setup.who[class].clone();
        Self {
            class,
            attempt: Attempt::under(goal, atomicity),
            over: false,
            began: None,
            accepted: [false; 3],
            clear_to: Version::EMPTY,
            decided_on: None,
            lead: None,
            basis: None,
            leftover: None,
            after_loss: false,
        }
    }

    /// An attempt after its last.
    #[must_use]
    pub fn finished(setup: &Setup, class: usize) -> Self {
        Self { over: true, ..Self::waiting(setup, class) }
    }

    /// Reads the side stream.
    pub fn read(&mut self, streams: &Streams, lost: bool) {
        self.began = self.began.or(Some(streams.head()));
        let accepted = |step: Step| {
            streams.side.settled(&step.name()).is_some_and(|settled| settled.verdict == Verdict::Accepted)
        };
        self.accepted = Step::ALL.map(accepted);
        self.clear_to = streams.side.open.as_ref().map_or(Version::EMPTY, |open| open.clear_to);
        self.after_loss = lost;
        (self.decided_on, self.lead, self.basis) = (None, None, None);
        self.attempt.observe(Observation::Side(streams.side.clone()));
    }

    /// Whether a step may be accepted by what this attempt has read of its transaction.
    #[must_use]
    pub const fn may_accept(&self, step: Step) -> bool {
        match step {
            Step::Hold => true,
            Step::Capture => !self.accepted[Step::Release as usize],
            Step::Release => !self.accepted[Step::Capture as usize],
        }
    }

    /// The list that it sends next, if it does.
    #[must_use]
    pub fn send(&self) -> Option<Sent> {
        let Action::Append(plan) = self.attempt.next() else { return None };
        let demanded = plan.aggregate.as_ref().map(|(expected, _)| *expected);
        Some(Sent {
            lead: self.lead,
            basis: self.basis.filter(|_| demanded.is_some()),
            too_old: self.decided_on.is_some_and(|on| self.began.is_some_and(|began| on < began)),
            other_version: demanded.is_some() && self.decided_on.is_some() && demanded != self.decided_on,
            after_loss: self.after_loss,
            plan,
        })
    }
}
