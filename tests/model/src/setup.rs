//! What one exploration is bounded by: who takes part, and how much may go wrong.

use sidestream::protocol::{Atomicity, Decision, Goal};

/// The rules that lie outside the state machine, in whoever drives it. All hold in [`Habits::SOUND`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Habits {
    /// What shares a stream with a failed unit of its list fails with it.
    pub chain: bool,
    /// Nothing speculative outlives a failed list.
    pub drop_speculation: bool,
    /// A reply waits until what it rests on is durable.
    pub reply_when_durable: bool,
    /// An append that finds its own records in the aggregate stream is a conflict.
    pub own_is_conflict: bool,
    /// Truncation picks its target before it reads the open steps.
    pub target_first: bool,
    /// A decision sees which steps of its transaction are accepted, as read with the side stream.
    pub see_steps: bool,
}

impl Habits {
    /// As the crate does it.
    pub const SOUND: Self = Self {
        chain: true,
        drop_speculation: true,
        reply_when_durable: true,
        own_is_conflict: true,
        target_first: true,
        see_steps: true,
    };
}

/// How much of each may still happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Budget {
    /// Attempts that stop and begin again, knowing nothing.
    pub crashes: u8,
    /// Records of other transactions in the aggregate stream.
    pub foreign: u8,
    /// Appends whose outcome is not known.
    pub unknown: u8,
    /// Decisions that could not be made.
    pub failures: u8,
    /// Losses of the aggregate stream's tail.
    pub losses: u8,
    /// Removals of old records.
    pub truncations: u8,
}

/// The bounds of one exploration.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Who takes part, and how each writes. All write alike, but for one negative test.
    pub who: Vec<(Goal, Atomicity)>,
    /// What may go wrong.
    pub budget: Budget,
    /// What the rules may say, at any time: they change between deployments.
    pub decisions: Vec<Decision>,
    /// Whether a cached state may be older than the stream.
    pub stale: bool,
    /// Whether a state may run ahead of the stream by a unit earlier in the same list.
    pub speculative: bool,
    /// Whether the rules can never be run to their end.
    pub always_fails: bool,
    /// The rules outside the machine.
    pub habits: Habits,
}

impl Setup {
    /// Attempts on a store of this kind, with nothing that goes wrong.
    #[must_use]
    pub fn on(atomicity: Atomicity, goals: impl IntoIterator<Item = Goal>) -> Self {
        Self {
            who: goals.into_iter().map(|goal| (goal, atomicity)).collect(),
            budget: Budget::default(),
            decisions: vec![Decision::Events, Decision::Rejected],
            stale: false,
            speculative: false,
            always_fails: false,
            habits: Habits::SOUND,
        }
    }

    /// Attempts on a store that is atomic per stream.
    #[must_use]
    pub fn stream(goals: impl IntoIterator<Item = Goal>) -> Self {
        Self::on(Atomicity::Stream, goals)
    }

    /// Attempts on a store with atomic batches.
    #[must_use]
    pub fn batch(goals: impl IntoIterator<Item = Goal>) -> Self {
        Self::on(Atomicity::Batch, goals)
    }

    /// Adds an attempt that writes in another way.
    #[must_use]
    pub fn and(mut self, goal: Goal, atomicity: Atomicity) -> Self {
        self.who.push((goal, atomicity));
        self
    }

    /// So many crashes.
    #[must_use]
    pub const fn crashes(mut self, most: u8) -> Self {
        self.budget.crashes = most;
        self
    }

    /// So many writes of others.
    #[must_use]
    pub const fn foreign(mut self, most: u8) -> Self {
        self.budget.foreign = most;
        self
    }

    /// So many appends without an answer.
    #[must_use]
    pub const fn unknown(mut self, most: u8) -> Self {
        self.budget.unknown = most;
        self
    }

    /// So many failed decisions.
    #[must_use]
    pub const fn failures(mut self, most: u8) -> Self {
        self.budget.failures = most;
        self
    }

    /// So many losses of history.
    #[must_use]
    pub const fn losses(mut self, most: u8) -> Self {
        self.budget.losses = most;
        self
    }

    /// So many truncations.
    #[must_use]
    pub const fn truncations(mut self, most: u8) -> Self {
        self.budget.truncations = most;
        self
    }

    /// What the rules may say.
    #[must_use]
    pub fn decisions(mut self, decisions: impl IntoIterator<Item = Decision>) -> Self {
        self.decisions = decisions.into_iter().collect();
        self
    }

    /// States out of a cache.
    #[must_use]
    pub const fn stale(mut self) -> Self {
        self.stale = true;
        self
    }

    /// States that run ahead of the stream.
    #[must_use]
    pub const fn speculative(mut self) -> Self {
        self.speculative = true;
        self
    }

    /// Rules that can never be run to their end.
    #[must_use]
    pub const fn always_fails(mut self) -> Self {
        self.always_fails = true;
        self
    }

    /// Other habits than the sound ones.
    #[must_use]
    pub const fn habits(mut self, habits: Habits) -> Self {
        self.habits = habits;
        self
    }

    /// Where in `who` the first attempt like this one is: attempts that are alike are interchangeable.
    #[must_use]
    pub fn class(&self, who: usize) -> usize {
        self.who.iter().position(|other| *other == self.who[who]).unwrap_or(who)
    }
}
