//! A state of the model: two streams, the attempts, and what is under way between them.

use std::hash::{DefaultHasher, Hash, Hasher};

use sidestream::protocol::{AggregateWrite, Answer, Atomicity, Goal, Rules, SideWrite, Written};
use sidestream::side_stream::Verdict;
use sidestream::stream::Version;

use crate::fault::Fault;
use crate::run::{Run, Sent};
use crate::setup::{Budget, Setup};
use crate::streams::{Entry, Streams};
use crate::words::Step;

/// How far a removal of old records is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Truncation {
    /// None is under way.
    Idle,
    /// The first of its two numbers is known: the head, or, where that rule is taken out, the lowest open step.
    Began(Version),
    /// It is known how far it may go.
    Bounded(Version),
}

/// A state of the model.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World<R: Rules> {
    /// What the store holds.
    pub streams: Streams,
    /// The attempts.
    pub runs: Vec<Run<R>>,
    /// Lists without an answer, which may arrive later or never.
    pub ghosts: Vec<Sent>,
    /// What may still go wrong.
    pub budget: Budget,
    /// The removal of old records.
    pub truncation: Truncation,
    /// What clients were told of each step.
    pub told: [Option<Verdict>; 3],
    /// The aggregate stream has lost its tail.
    pub lost: bool,
    /// What was wrong with the last transition.
    pub fault: Option<Fault>,
}

impl<R: Rules> World<R> {
    /// Empty streams, and every attempt before its first action.
    #[must_use]
    pub fn new(setup: &Setup) -> Self {
        Self {
            streams: Streams::default(),
            runs: (0..setup.who.len()).map(|who| Run::waiting(setup, setup.class(who))).collect(),
            ghosts: Vec::new(),
            budget: setup.budget,
            truncation: Truncation::Idle,
            told: [None; 3],
            lost: false,
            fault: None,
        }
    }

    /// Gives states that differ only in the order of equals one form.
    pub fn normalise(&mut self) {
        self.runs.sort_by_key(|run| (run.class, hash(run)));
        let (version, head) = (self.streams.side.version, self.streams.head());
        let may_lose = self.budget.losses > 0;
        self.ghosts.retain(|sent| {
            let side = sent.plan.side.as_ref().is_none_or(|(expected, _)| *expected >= version);
            let aggregate = sent.plan.aggregate.as_ref().is_none_or(|(expected, _)| *expected >= head);
            side && (aggregate || may_lose)
        });
        self.ghosts.sort_by_key(hash);
    }

    /// A list arrives at the store. What goes first may be refused for reasons of its own.
    pub fn deliver(&mut self, setup: &Setup, sent: &Sent, with_lead: bool) -> Written {
        let led = sent.lead.is_none_or(|lead| with_lead && lead.after == self.streams.head());
        if let Some(lead) = sent.lead.filter(|_| led) {
            self.streams.aggregate.push(Entry::Foreign(lead.number));
        }
        let superseded = !led && setup.habits.chain && sent.plan.aggregate.is_some();
        if superseded || !self.streams.allow(&sent.plan) {
            return Written::Conflict;
        }
        let before = self.fault_before(sent);
        let written = self.streams.write(&sent.plan).err();
        self.note(before.or(written).or_else(|| self.fault_after(sent)));
        Written::Done
    }

    /// Keeps the first thing that is wrong.
    pub fn note(&mut self, fault: Option<Fault>) {
        self.fault = self.fault.or(fault);
    }

    fn fault_before(&self, sent: &Sent) -> Option<Fault> {
        let writes = sent.plan.aggregate.as_ref().is_some_and(|(_, write)| *write != AggregateWrite::Assert);
        let lost = sent.after_loss && writes && self.streams.side.known > self.streams.head();
        let entry = |lead: crate::run::Lead| self.streams.aggregate.get(lead.after.get() as usize).copied();
        let other = sent.basis.is_some_and(|lead| entry(lead) != Some(Entry::Foreign(lead.number)));
        let other = other || sent.other_version;
        lost.then_some(Fault::WroteAfterLoss).or(other.then_some(Fault::OtherBasis))
    }

    /// A refusal without a fence rests on a state that is no older than the command.
    fn fault_after(&self, sent: &Sent) -> Option<Fault> {
        let rejects = |write: &SideWrite| *write == SideWrite::Settled(Verdict::Rejected);
        let refuses = sent.plan.side.as_ref().is_some_and(|(_, writes)| writes.iter().any(rejects));
        let step = Step::of(&sent.plan.step);
        let fenced =
            self.streams.aggregate.iter().any(|entry| matches!(entry, Entry::Fence(of, _) if *of == step));
        (refuses && !fenced && sent.too_old && !self.lost).then_some(Fault::RefusalTooOld)
    }

    /// P12: on a store that is atomic per stream, which the first attempt knows, every unit is for one stream.
    pub fn note_two_streams(&mut self, setup: &Setup) {
        let two = |sent: Sent| sent.plan.side.is_some() && sent.plan.aggregate.is_some();
        let per_stream = setup.who[0].1 == Atomicity::Stream;
        let broken = per_stream && self.runs.iter().filter_map(Run::send).any(two);
        self.note(broken.then_some(Fault::TwoStreams));
    }

    /// A client is told something.
    pub fn tell(&mut self, step: Step, verdict: Verdict) {
        let told = &mut self.told[step as usize];
        let changed = told.is_some_and(|before| before != verdict);
        *told = Some(verdict);
        self.note(changed.then_some(Fault::ToldOtherwise));
    }

    /// Holds an attempt's reply against the streams.
    pub fn hear(&mut self, goal: &Goal, answer: &Answer) {
        let fault = match answer {
            Answer::Settled { step, verdict, .. } => {
                self.tell(Step::of(step), *verdict);
                self.fault_in_outcome(goal, Step::of(step), *verdict)
            }
            Answer::Conflict { recorded } => {
                let asked = wanted(goal).map(|(_, asked)| asked);
                (asked == Some(*recorded)).then_some(Fault::ContentIgnored)
            }
            Answer::Submitted => {
                let there = wanted(goal).is_some_and(|(step, _)| self.is_requested(step));
                (!there).then_some(Fault::ToldOtherwise)
            }
            Answer::LostHistory { .. } => (!self.lost).then_some(Fault::FalseAlarm),
            Answer::NothingOpen | Answer::InProgress { .. } | Answer::Failed { .. } => None,
        };
        self.note(fault);
    }

    fn fault_in_outcome(&self, goal: &Goal, step: Step, verdict: Verdict) -> Option<Fault> {
        let Some(settled) = self.streams.side.settled(&step.name()) else {
            return Some(Fault::ToldOtherwise);
        };
        let asked = wanted(goal).filter(|(of, _)| *of == step).map(|(_, asked)| asked);
        let other = asked.is_some_and(|asked| asked != settled.fingerprint);
        let changed = settled.verdict != verdict;
        changed.then_some(Fault::ToldOtherwise).or(other.then_some(Fault::ContentIgnored))
    }

    fn is_requested(&self, step: Step) -> bool {
        let open = self.streams.side.open.as_ref().is_some_and(|open| open.step == step.name());
        open || self.streams.side.settled(&step.name()).is_some()
    }

    /// What is wrong with this state, recovery left aside.
    #[must_use]
    pub fn fault(&self, setup: &Setup) -> Option<Fault> {
        let resumed = self.streams.side.open.as_ref().is_some_and(|open| open.resumed > 0);
        let in_vain = (setup.always_fails && resumed).then_some(Fault::ResumedInVain);
        let streams = || if self.lost { None } else { self.streams.fault() };
        self.fault.or_else(streams).or_else(|| self.contradiction()).or(in_vain)
    }

    /// A client was told one thing, and the step was settled as the other.
    fn contradiction(&self) -> Option<Fault> {
        let contradicts = |step: &Step| {
            let settled = self.streams.side.settled(&step.name()).map(|settled| settled.verdict);
            self.told[*step as usize].is_some_and(|told| settled.is_some_and(|settled| settled != told))
        };
        Step::ALL.iter().any(contradicts).then_some(Fault::ToldOtherwise)
    }
}

/// The step and content that a client asks for.
fn wanted(goal: &Goal) -> Option<(Step, sidestream::id::Fingerprint)> {
    match goal {
        Goal::Handle { step, fingerprint } | Goal::Submit { step, fingerprint } => {
            Some((Step::of(step), *fingerprint))
        }
        Goal::Recover | Goal::Overrule { .. } => None,
    }
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
