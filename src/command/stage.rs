//! From a plan to a unit: the records that a task appends, and what its commit means to it.

use crate::command::aggregate::Aggregate;
use crate::command::outcome::Settlement;
use crate::command::records::{self, Content};
use crate::command::settings::count;
use crate::command::shared::Shared;
use crate::command::task::{Decided, Purpose, Task};
use crate::decider::{Decider, guarded};
use crate::error::{Error, Result};
use crate::event::{AcceptedAt, NewRecord, RecordKind};
use crate::id::{Cause, StepName};
use crate::limits;
use crate::protocol::{AggregateWrite, Plan, SideWrite};
use crate::side_stream::Verdict;
use crate::snapshot;
use crate::store::{Committed, StreamAppend, Unit};
use crate::stream::{ExpectedVersion, Version};

/// A unit that waits for its commit.
pub(super) struct Staged {
    /// Whose it is.
    pub(super) task: usize,
    /// Whether the aggregate's state ran ahead with it.
    pub(super) advanced: bool,
    /// Its last event or marker: the version, and the record's place in the unit.
    effect: Option<(Version, u64)>,
    /// The step that it settles, and with what.
    settles: Option<(StepName, Settles)>,
}

/// What the step is settled with once the unit is committed.
enum Settles {
    /// With the effect in this very unit.
    WithEffect,
    With(Settlement),
}

impl Staged {
    /// Takes in that the unit is durable. Returns the step that it settled.
    pub(super) fn committed<D: Decider>(self, task: &mut Task<D>, committed: Committed) -> Option<StepName> {
        if let Some((version, place)) = self.effect {
            task.effect = Some((version, committed.first.plus(place)));
        }
        let (step, settles) = self.settles?;
        task.settlement = match (settles, task.effect) {
            (Settles::WithEffect, effect) => {
                effect.map(|(version, position)| Settlement::Accepted { version, position })
            }
            (Settles::With(settlement), _) => Some(settlement),
        };
        Some(step)
    }
}

/// Builds a unit. The aggregate's append comes first, so that the distance from `Accepted` back to the
/// effect is known before positions are.
pub(super) struct Stage<'a, D: Decider> {
    pub(super) shared: &'a Shared<D>,
    pub(super) task: &'a mut Task<D>,
    pub(super) aggregate: Option<&'a mut Aggregate<D>>,
}

impl<D: Decider> Stage<'_, D> {
    /// Turns `plan` into a unit, and lets the state in memory run ahead with it.
    pub(super) fn unit(self, at: usize, plan: Plan) -> Result<(Unit, Staged)> {
        guarded("upcast_transaction", || self.build(at, plan)).and_then(|unit| unit)
    }

    fn build(mut self, at: usize, plan: Plan) -> Result<(Unit, Staged)> {
        let cause = self.task.cause(&plan.step, plan.fingerprint);
        let mut staged = Staged { task: at, advanced: false, effect: None, settles: None };
        let mut unit = Unit::default();
        if let Some((expected, write)) = plan.aggregate {
            let records = self.aggregate_records(&cause, expected, write, &mut staged)?;
            staged.advanced = !records.is_empty();
            let stream = self.task.stream.clone();
            unit.appends.push(StreamAppend { stream, expected: expected.into(), records });
            unit.appends.extend(self.messages(write));
        }
        if let Some((expected, writes)) = plan.side {
            bounded(expected, &writes).map_err(|error| error.in_stream(&self.task.side_stream))?;
            let mut records = Vec::with_capacity(writes.len());
            for write in writes {
                let before = u64::try_from(unit.len().saturating_add(records.len())).unwrap_or(u64::MAX);
                records.push(self.side_record(&cause, write, before, &mut staged)?);
            }
            let stream = self.task.side_stream.clone();
            unit.appends.push(StreamAppend { stream, expected: expected.into(), records });
        }
        Ok((unit, staged))
    }

    fn aggregate_records(
        &mut self,
        cause: &Cause,
        expected: Version,
        write: AggregateWrite,
        staged: &mut Staged,
    ) -> Result<Vec<NewRecord>> {
        let mut records = match write {
            AggregateWrite::Assert => return Ok(Vec::new()),
            AggregateWrite::Events => self.evolve()?,
            AggregateWrite::Marker => vec![records::framework(RecordKind::Marker, cause, Content::none())?],
            AggregateWrite::Fence => vec![self.task.refusal(cause, RecordKind::Fence)?],
        };
        let written = u64::try_from(records.len()).unwrap_or(u64::MAX);
        if write != AggregateWrite::Fence {
            staged.effect = Some((expected.plus(written), written.saturating_sub(1)));
        }
        let aggregate = self.aggregate.as_deref_mut().ok_or_else(not_in_hand)?;
        aggregate.version = expected.plus(written);
        aggregate.since_snapshot = aggregate.since_snapshot.saturating_add(written);
        records.extend(due_snapshot(self.shared, aggregate)?);
        Ok(records)
    }

    /// The messages go with the effect: what the aggregate's expected version lets through, once, lets them through. So
    /// nothing need be expected of their own stream.
    fn messages(&mut self, write: AggregateWrite) -> Option<StreamAppend> {
        let records = match write {
            AggregateWrite::Events | AggregateWrite::Marker => self.task.take_messages(),
            AggregateWrite::Assert | AggregateWrite::Fence => Vec::new(),
        };
        let stream = D::CATEGORY.message_stream(&self.task.aggregate);
        (!records.is_empty()).then_some(StreamAppend { stream, expected: ExpectedVersion::Any, records })
    }

    /// Applies the decision's events to the state in memory. Should that panic, the unit is not appended.
    fn evolve(&mut self) -> Result<Vec<NewRecord>> {
        let aggregate = self.aggregate.as_deref_mut().ok_or_else(not_in_hand)?;
        let Some(Decided::Events { events, records, .. }) = &mut self.task.decided else {
            return Err(Error::corrupt("events without a decision"));
        };
        guarded("evolve", || events.iter().for_each(|event| D::evolve(&mut aggregate.state, event)))?;
        Ok(std::mem::take(records))
    }

    fn side_record(
        &self,
        cause: &Cause,
        write: SideWrite,
        before: u64,
        staged: &mut Staged,
    ) -> Result<NewRecord> {
        match write {
            SideWrite::Requested(version) => self.requested(cause, version),
            SideWrite::Resumed(scanned_to) => {
                records::framework(RecordKind::Resumed { scanned_to }, cause, Content::none())
            }
            SideWrite::Settled(Verdict::Rejected) => {
                let record = self.task.refusal(cause, RecordKind::Rejected)?;
                let settlement = Settlement::Rejected(record.clone());
                staged.settles = Some((cause.step.clone(), Settles::With(settlement)));
                Ok(record)
            }
            SideWrite::Settled(Verdict::Accepted) => {
                let (version, at, settles) = self.effect(before, staged)?;
                staged.settles = Some((cause.step.clone(), settles));
                self.task.accepted(self.shared, cause, version, at)
            }
        }
    }

    fn requested(&self, cause: &Cause, aggregate_version: Version) -> Result<NewRecord> {
        let (Purpose::Handle(ask) | Purpose::Submit(ask)) = &self.task.purpose else {
            return Err(Error::corrupt("a request without a command"));
        };
        let kind = RecordKind::Requested { aggregate_version };
        let record = records::framework(kind, cause, ask.content.clone())?;
        Ok(NewRecord { requester: ask.requester.clone(), ..record })
    }

    /// Where the effect of the step lies: in this unit, in an earlier one of this task, or where a scan
    /// found it.
    fn effect(&self, before: u64, staged: &Staged) -> Result<(Version, AcceptedAt, Settles)> {
        if let Some((version, place)) = staged.effect {
            let back = u32::try_from(before.saturating_sub(place)).unwrap_or(u32::MAX);
            return Ok((version, AcceptedAt::Back(back), Settles::WithEffect));
        }
        let found = self.task.found.as_ref().map(|record| (record.version, record.position));
        let (version, position) =
            self.task.effect.or(found).ok_or_else(|| Error::corrupt("an accept without an effect"))?;
        let settlement = Settlement::Accepted { version, position };
        Ok((version, AcceptedAt::At(position), Settles::With(settlement)))
    }
}

/// A step is requested only where there is room for it to be settled, however often it is resumed.
fn bounded(version: Version, writes: &[SideWrite]) -> Result<()> {
    let requests = writes.iter().any(|write| matches!(write, SideWrite::Requested(_)));
    if requests && version.get() >= limits::SIDE_STREAM_RECORDS {
        return Err(Error::invalid("the transaction has too many steps; use a new one")
            .expected(format!("below {} records", limits::SIDE_STREAM_RECORDS), version));
    }
    Ok(())
}

fn not_in_hand() -> Error {
    Error::corrupt("an append to an aggregate whose state is not in hand")
}

/// The snapshot that goes with the records just added, when one is due.
fn due_snapshot<D: Decider>(shared: &Shared<D>, aggregate: &mut Aggregate<D>) -> Result<Option<NewRecord>> {
    if !shared.settings.snapshots.is_due(aggregate.since_snapshot) {
        return Ok(None);
    }
    let most = shared.settings.limits.snapshot_bytes;
    let snapshot = snapshot::write::<D>(&aggregate.state, &shared.codecs, most)?;
    // Counted from here either way: a state that is too large is not encoded again for each command.
    aggregate.since_snapshot = 0;
    match &snapshot {
        Some(_) => {
            aggregate.version = aggregate.version.next();
            count(&shared.counters.snapshots, 1);
        }
        None => {
            count(&shared.counters.snapshots_too_large, 1);
            tracing::warn!(
                most,
                "a state is too large for a snapshot; loads of this aggregate grow with its age"
            );
        }
    }
    Ok(snapshot)
}
