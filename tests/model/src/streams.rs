//! The two streams of one transaction, as a store holds them.

use sidestream::event::{AcceptedAt, RecordKind};
use sidestream::id::Fingerprint;
use sidestream::protocol::{AggregateWrite, Plan, SideWrite};
use sidestream::side_stream::{SideStream, Verdict};
use sidestream::stream::{Position, Version};

use crate::fault::Fault;
use crate::words::Step;

/// A record of the aggregate stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Entry {
    /// The step's event.
    Effect(Step, Fingerprint),
    /// The step was accepted without an event.
    Marker(Step, Fingerprint),
    /// The step was refused.
    Fence(Step, Fingerprint),
    /// Another transaction's. Units that lead a list have numbers of their own; all others are alike.
    Foreign(u8),
}

impl Entry {
    /// The step, the content, and what the record means for the step.
    #[must_use]
    pub const fn about(self) -> Option<(Step, Fingerprint, Verdict)> {
        match self {
            Self::Effect(step, content) | Self::Marker(step, content) => {
                Some((step, content, Verdict::Accepted))
            }
            Self::Fence(step, content) => Some((step, content, Verdict::Rejected)),
            Self::Foreign(_) => None,
        }
    }
}

/// A side stream and its aggregate's stream. The side stream is kept as the crate's own code folds it:
/// nothing else of it can make a difference later.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Streams {
    /// The side stream.
    pub side: SideStream,
    /// The aggregate stream, removed records included, which only the properties look at.
    pub aggregate: Vec<Entry>,
    /// Records at and before this version are removed.
    pub floor: Version,
}

impl Streams {
    /// The aggregate stream's version.
    #[must_use]
    pub fn head(&self) -> Version {
        Version::new(self.aggregate.len() as u64)
    }

    /// What a scan after `after` finds of a step.
    #[must_use]
    pub fn find(&self, step: Step, after: Version) -> Option<Verdict> {
        let from = after.max(self.floor).get() as usize;
        let tail = self.aggregate.iter().skip(from);
        tail.rev().find_map(|entry| entry.about().filter(|about| about.0 == step).map(|about| about.2))
    }

    /// Whether both streams are where `plan` demands.
    #[must_use]
    pub fn allow(&self, plan: &Plan) -> bool {
        let side = plan.side.as_ref().is_none_or(|(expected, _)| *expected == self.side.version);
        let aggregate = plan.aggregate.as_ref().is_none_or(|(expected, _)| *expected == self.head());
        side && aggregate
    }

    /// Writes what `plan` says, the aggregate's part first.
    ///
    /// # Errors
    /// What that breaks.
    pub fn write(&mut self, plan: &Plan) -> Result<(), Fault> {
        let step = Step::of(&plan.step);
        if let Some((_, write)) = plan.aggregate {
            self.aggregate.extend(entry(step, plan.fingerprint, write));
        }
        for write in plan.side.iter().flat_map(|(_, writes)| writes) {
            self.write_side(step, plan, *write)?;
        }
        Ok(())
    }

    fn write_side(&mut self, step: Step, plan: &Plan, write: SideWrite) -> Result<(), Fault> {
        let before = self.side.settled.clone();
        let kind = self.kind(step, write);
        if !self.side.push(kind, &plan.step, plan.fingerprint) {
            return Err(Fault::OffThePath);
        }
        if self.side.settled.starts_with(&before) { Ok(()) } else { Err(Fault::SettledChanged) }
    }

    fn kind(&self, step: Step, write: SideWrite) -> RecordKind {
        match write {
            SideWrite::Requested(aggregate_version) => RecordKind::Requested { aggregate_version },
            SideWrite::Resumed(scanned_to) => RecordKind::Resumed { scanned_to },
            SideWrite::Settled(Verdict::Rejected) => RecordKind::Rejected,
            SideWrite::Settled(Verdict::Accepted) => {
                RecordKind::Accepted { version: self.effect_of(step), at: AcceptedAt::At(Position::START) }
            }
        }
    }

    fn effect_of(&self, step: Step) -> Version {
        let accepted = |entry: &Entry| {
            entry.about().is_some_and(|(of, _, verdict)| of == step && verdict == Verdict::Accepted)
        };
        let place = self.aggregate.iter().rposition(accepted);
        place.map_or(Version::EMPTY, |place| Version::new(place as u64 + 1))
    }

    /// What is wrong with the streams as they stand.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        let both = self.has_effect(Step::Capture) && self.has_effect(Step::Release);
        let each = Step::ALL.into_iter().find_map(|step| self.fault_of(step));
        each.or(both.then_some(Fault::BothOfTwo))
    }

    fn has_effect(&self, step: Step) -> bool {
        self.count(step, Verdict::Accepted) > 0
    }

    fn count(&self, step: Step, verdict: Verdict) -> usize {
        let about = self.aggregate.iter().filter_map(|entry| entry.about());
        about.filter(|about| (about.0, about.2) == (step, verdict)).count()
    }

    fn fault_of(&self, step: Step) -> Option<Fault> {
        let (effects, fences) = (self.count(step, Verdict::Accepted), self.count(step, Verdict::Rejected));
        if effects > 1 {
            return Some(Fault::EffectTwice);
        }
        if effects + fences > 1 {
            return Some(Fault::EffectAndFence);
        }
        let settled = self.side.settled(&step.name());
        let content = settled.map(|settled| settled.fingerprint).or(self.open_content(step));
        match settled.map(|settled| settled.verdict) {
            Some(Verdict::Accepted) if effects == 0 => Some(Fault::AcceptedWithoutEffect),
            Some(Verdict::Rejected) if effects > 0 => Some(Fault::RejectedWithEffect),
            _ => self.fault_in_content(step, content),
        }
    }

    fn open_content(&self, step: Step) -> Option<Fingerprint> {
        self.side.open.as_ref().filter(|open| open.step == step.name()).map(|open| open.fingerprint)
    }

    fn fault_in_content(&self, step: Step, asked: Option<Fingerprint>) -> Option<Fault> {
        let written =
            self.aggregate.iter().filter_map(|entry| entry.about()).find(|about| about.0 == step)?;
        match asked {
            None => Some(Fault::EffectWithoutRequest),
            Some(asked) if asked != written.1 => Some(Fault::OtherContent),
            Some(_) => None,
        }
    }
}

fn entry(step: Step, content: Fingerprint, write: AggregateWrite) -> Option<Entry> {
    match write {
        AggregateWrite::Assert => None,
        AggregateWrite::Events => Some(Entry::Effect(step, content)),
        AggregateWrite::Marker => Some(Entry::Marker(step, content)),
        AggregateWrite::Fence => Some(Entry::Fence(step, content)),
    }
}
