//! One command on its way through the protocol: the attempt, and the values that it moves.

use crate::command::aggregate::Aggregate;
use crate::command::caller::{Caller, Ending, Finished};
use crate::command::outcome::{OVERRULED_SCHEMA, Settlement};
use crate::command::records::{self, Content};
use crate::command::shared::Shared;
use crate::decider::{Decider, guarded};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{AcceptedAt, NewRecord, Record, RecordKind};
use crate::id::{Cause, Fingerprint, StepName, TransactionId};
use crate::protocol::{Answer, Attempt, Decision, Goal, Observation};
use crate::side_stream::{SideStream, Verdict};
use crate::stream::{AggregateId, Position, StreamName, Version};

/// What a caller asks for.
pub(super) struct Ask<C> {
    pub(super) step: StepName,
    pub(super) fingerprint: Fingerprint,
    pub(super) command: C,
    pub(super) content: Content,
    pub(super) requester: Option<String>,
}

/// What a task is for.
pub(super) enum Purpose<C> {
    Handle(Ask<C>),
    Submit(Ask<C>),
    Recover,
    Overrule { step: StepName, reason: String },
}

/// A decision, encoded.
pub(super) enum Decided<E> {
    Events { events: Vec<E>, records: Vec<NewRecord>, messages: Vec<NewRecord>, transaction: Content },
    Nothing { messages: Vec<NewRecord>, transaction: Content },
    Rejected(NewRecord),
}

/// How an attempt knows its side stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SideIs {
    /// Not yet, and it may be presumed.
    Open,
    /// It is presumed to be empty.
    Presumed,
    /// It was read, or is to be.
    Read,
}

pub(super) struct Task<D: Decider> {
    /// The place of its aggregate in the round that it is in.
    pub(super) place: usize,
    pub(super) aggregate: AggregateId,
    pub(super) transaction: TransactionId,
    pub(super) stream: StreamName,
    pub(super) side_stream: StreamName,
    pub(super) purpose: Purpose<D::Command>,
    pub(super) attempt: Attempt,
    /// What the attempt rests on.
    pub(super) side_is: SideIs,
    /// The side stream as last read.
    pub(super) side: Vec<Record>,
    pub(super) decided: Option<Decided<D::Event>>,
    /// The record of the step that a scan found.
    pub(super) found: Option<Record>,
    /// Where its own effect lies, once that is durable.
    pub(super) effect: Option<(Version, Position)>,
    pub(super) settlement: Option<Settlement>,
    pub(super) scanned: u64,
    pub(super) restarts: u32,
    /// The last append whose outcome was not known.
    pub(super) unknown: Option<Error>,
    /// Why the rules could not be run.
    pub(super) failure: Option<Error>,
    /// Gone once the task has ended.
    pub(super) caller: Option<Caller<D>>,
}

impl<D: Decider> Task<D> {
    pub(super) fn new(
        shared: &Shared<D>,
        aggregate: AggregateId,
        transaction: TransactionId,
        purpose: Purpose<D::Command>,
        caller: Caller<D>,
    ) -> Self {
        Self {
            place: 0,
            stream: D::CATEGORY.stream(&aggregate),
            side_stream: D::CATEGORY.side_stream(&aggregate, transaction),
            attempt: Attempt::new(purpose.goal(), shared.properties.atomicity),
            side_is: SideIs::Open,
            aggregate,
            transaction,
            purpose,
            side: Vec::new(),
            decided: None,
            found: None,
            effect: None,
            settlement: None,
            scanned: 0,
            restarts: 0,
            unknown: None,
            failure: None,
            caller: Some(caller),
        }
    }

    pub(super) fn is_finished(&self) -> bool {
        self.caller.is_none()
    }

    /// Goes on as if the transaction were new.
    pub(super) fn presume_new(&mut self) {
        self.side_is = SideIs::Presumed;
        self.attempt.observe(Observation::Side(SideStream::default()));
    }

    /// Whether it is here for the first time, with a command that may be its transaction's first.
    pub(super) fn may_be_presumed(&self) -> bool {
        self.side_is == SideIs::Open && self.purpose.ask().is_some() && !self.is_finished()
    }

    pub(super) fn is_presumed(&self) -> bool {
        self.side_is == SideIs::Presumed
    }

    /// Begins again, with what the side stream says. Nothing may be told on a presumption: a transaction that is
    /// known has its answer, whatever keeps a new one from being handled now.
    pub(super) fn look_it_up(&mut self, shared: &Shared<D>) {
        self.side_is = SideIs::Read;
        self.attempt = Attempt::new(self.purpose.goal(), shared.properties.atomicity);
    }

    /// Ends the task with an error; one that no retry mends, only where the transaction is known to be new.
    pub(super) fn give_up(&mut self, error: Error, shared: &Shared<D>) {
        if self.is_presumed() && !error.kind().retry_may_help() {
            self.look_it_up(shared);
        } else {
            self.fail(error);
        }
    }

    /// Takes in the side stream. Contents of another schema version are compared as today's code would
    /// have recorded them.
    pub(super) fn saw_side(&mut self, records: Vec<Record>, shared: &Shared<D>) -> Result<()> {
        let mut side = SideStream::fold(&records)?;
        self.side_is = SideIs::Read;
        self.side = records;
        (self.decided, self.found, self.effect, self.settlement) = (None, None, None, None);
        let asked = self.purpose.ask().map(|ask| ask.step.clone());
        if let Some(asked) = asked
            && let Some(today) = self.fingerprint_today(&asked, shared)?
        {
            let settled = side.settled.iter_mut().filter(|settled| settled.step == asked);
            settled.for_each(|settled| settled.fingerprint = today);
            let open = side.open.iter_mut().filter(|open| open.step == asked);
            open.for_each(|open| open.fingerprint = today);
        }
        self.attempt.observe(Observation::Side(side));
        Ok(())
    }

    /// Today's fingerprint of a step that was requested under another schema version.
    fn fingerprint_today(&self, step: &StepName, shared: &Shared<D>) -> Result<Option<Fingerprint>> {
        let today = D::SCHEMAS.command;
        match self.requested(step) {
            Some(record) if record.data.schema != today => {
                let upcast = || Fingerprint::of(step, today, &shared.command(&record.data)?).map(Some);
                guarded("upcast_command", upcast).and_then(|fingerprint| fingerprint)
            }
            _ => Ok(None),
        }
    }

    fn requested(&self, step: &StepName) -> Option<&Record> {
        self.side.iter().rfind(|record| {
            matches!(record.data.kind, RecordKind::Requested { .. }) && step_of(record) == Some(step)
        })
    }

    /// What every record of a step carries: as it was requested, where it was.
    pub(super) fn cause(&self, step: &StepName, fingerprint: Fingerprint) -> Cause {
        let recorded = self.requested(step).and_then(|record| record.data.cause.clone());
        let transaction = self.transaction;
        recorded.unwrap_or_else(|| Cause { transaction, step: step.clone(), fingerprint })
    }

    /// Runs the rules and encodes what they say. Anything that keeps that from succeeding is kept as the
    /// failure: nothing of it has been written.
    pub(super) fn decide(
        &mut self,
        shared: &Shared<D>,
        aggregate: &Aggregate<D>,
        step: &StepName,
        fingerprint: Fingerprint,
    ) -> Decision {
        let cause = self.cause(step, fingerprint);
        let decided = guarded("event_type", || self.run_rules(shared, aggregate, &cause));
        match decided.and_then(|decided| decided) {
            Ok(decided) => {
                let decision = match &decided {
                    Decided::Events { .. } => Decision::Events,
                    Decided::Nothing { .. } => Decision::Nothing,
                    Decided::Rejected(_) => Decision::Rejected,
                };
                self.decided = Some(decided);
                decision
            }
            Err(error) => {
                self.failure = Some(error.in_stream(&self.stream));
                Decision::Failed
            }
        }
    }

    fn run_rules(
        &self,
        shared: &Shared<D>,
        aggregate: &Aggregate<D>,
        cause: &Cause,
    ) -> Result<Decided<D::Event>> {
        let mut transaction = self.transaction_state(shared)?;
        self.with_command(shared, &cause.step, |command| {
            let decide = || shared.decider.decide(&aggregate.state, &transaction, command);
            match guarded("decide", decide)? {
                Err(reason) => Ok(Decided::Rejected(shared.rejection(&reason, cause)?)),
                Ok(decided) => {
                    let (events, messages) = decided.into_parts();
                    let records = shared.events(&events, cause)?;
                    let messages = shared.messages(&messages, cause)?;
                    guarded("settle", || D::settle(&mut transaction, command))?;
                    let transaction = shared.transaction(&transaction)?;
                    Ok(if events.is_empty() {
                        Decided::Nothing { messages, transaction }
                    } else {
                        Decided::Events { events, records, messages, transaction }
                    })
                }
            }
        })
    }

    /// The messages of the decision, for the unit that its effect goes into.
    pub(super) fn take_messages(&mut self) -> Vec<NewRecord> {
        match &mut self.decided {
            Some(Decided::Events { messages, .. } | Decided::Nothing { messages, .. }) => {
                std::mem::take(messages)
            }
            Some(Decided::Rejected(_)) | None => Vec::new(),
        }
    }

    /// The transaction's new state once this step is accepted.
    fn settled_transaction(&self, shared: &Shared<D>, step: &StepName) -> Result<Content> {
        match &self.decided {
            Some(Decided::Events { transaction, .. } | Decided::Nothing { transaction, .. }) => {
                Ok(transaction.clone())
            }
            _ => {
                let mut transaction = self.transaction_state(shared)?;
                self.with_command(shared, step, |command| {
                    guarded("settle", || D::settle(&mut transaction, command))
                })?;
                shared.transaction(&transaction)
            }
        }
    }

    /// Folded from the accepted steps: each `Accepted` carries it whole, so the last one will do.
    fn transaction_state(&self, shared: &Shared<D>) -> Result<D::Transaction> {
        let accepted = |record: &&Record| matches!(record.data.kind, RecordKind::Accepted { .. });
        let Some(last) = self.side.iter().rfind(accepted) else { return Ok(D::Transaction::default()) };
        let encoded = shared.codecs.open(&last.data);
        let current = encoded.schema() == D::SCHEMAS.transaction;
        let state = if current { encoded.decode() } else { D::upcast_transaction(&encoded) };
        state.map_err(|error| error.in_stream(&self.side_stream))
    }

    /// The command of a step: the caller's own, or the one that stands in the side stream.
    fn with_command<T>(
        &self,
        shared: &Shared<D>,
        step: &StepName,
        run: impl FnOnce(&D::Command) -> Result<T>,
    ) -> Result<T> {
        if let Some(ask) = self.purpose.ask().filter(|ask| ask.step == *step) {
            return run(&ask.command);
        }
        let record = self.requested(step).ok_or_else(|| {
            Error::corrupt(format!("step {step} has no request")).in_stream(&self.side_stream)
        })?;
        run(&shared.command(&record.data)?)
    }

    /// The record that settles a step as accepted. `at` tells where its effect lies.
    pub(super) fn accepted(
        &self,
        shared: &Shared<D>,
        cause: &Cause,
        version: Version,
        at: AcceptedAt,
    ) -> Result<NewRecord> {
        let content = self.settled_transaction(shared, &cause.step)?;
        records::framework(RecordKind::Accepted { version, at }, cause, content)
    }

    /// What a refusal says: the rules' reason, the reason that a fence carries, or an operator's.
    pub(super) fn refusal(&self, cause: &Cause, kind: RecordKind) -> Result<NewRecord> {
        let content = match (&self.found, &self.decided, &self.purpose) {
            (Some(fence), _, _) => Content::of(&fence.data),
            (None, _, Purpose::Overrule { reason, .. }) => Content::text(OVERRULED_SCHEMA, reason),
            (None, Some(Decided::Rejected(record)), _) => Content::of(record),
            _ => return Err(Error::corrupt("a refusal without a reason").in_stream(&self.stream)),
        };
        records::framework(kind, cause, content)
    }

    /// Ends the task with an error. What it has written so far, whoever comes next will settle.
    pub(super) fn fail(&mut self, error: Error) {
        // An earlier append may have been done: then nothing better than that is known.
        let error = self.unknown.take().unwrap_or(error);
        self.end(Err(error));
    }

    /// Answers the caller, if it still listens.
    pub(super) fn end(&mut self, ending: Ending<D>) {
        if let Some(caller) = self.caller.take() {
            caller.hear(ending);
        }
    }

    /// Counts a lost race or an unknown outcome, and gives up after too many.
    pub(super) fn lost(&mut self, most: u32) {
        self.restarts = self.restarts.saturating_add(1);
        if self.restarts > most {
            let error = Error::new(ErrorKind::Contended, "others wrote first each time this was decided");
            let runs = format!("success within {most} runs");
            self.fail(error.in_stream(&self.stream).expected(runs, "a conflict in each"));
        }
    }

    /// Turns the attempt's answer into the caller's.
    pub(super) fn ending(&mut self, shared: &Shared<D>, answer: Answer) -> Ending<D> {
        let settled = match answer {
            Answer::Settled { step, verdict, replay } => {
                let settlement = self.settlement.take();
                let settlement = settlement.or_else(|| self.replayed(&step, verdict)).ok_or_else(|| {
                    Error::corrupt(format!("settled step {step} has no record")).in_stream(&self.side_stream)
                })?;
                let outcome = guarded("upcast_rejection", || settlement.outcome::<D>(&shared.codecs, replay));
                Some((step, outcome.and_then(|outcome| outcome)?))
            }
            Answer::Submitted | Answer::NothingOpen => None,
            other => return Err(self.refused(other)),
        };
        Ok(Finished { settled, scanned: self.scanned })
    }

    fn refused(&mut self, answer: Answer) -> Error {
        let error = match answer {
            Answer::Conflict { recorded } => {
                let asked = self.purpose.ask().map(|ask| ask.fingerprint.to_string()).unwrap_or_default();
                Error::new(ErrorKind::Conflict, "this step of the transaction is known with another content")
                    .expected(format!("content {recorded}"), asked)
            }
            Answer::InProgress { open } => {
                Error::new(ErrorKind::InProgress, format!("step {open} of the transaction is still open"))
            }
            Answer::LostHistory { known, head } => {
                Error::new(ErrorKind::LostHistory, "the aggregate's stream ends before what is known of it")
                    .expected(format!("version {known} or later"), head)
            }
            _ => {
                let failure = self.failure.take();
                return failure.unwrap_or_else(|| Error::invalid("the rules could not be run"));
            }
        };
        error.in_stream(&self.side_stream)
    }

    /// What the side stream says that a step came to.
    fn replayed(&self, step: &StepName, verdict: Verdict) -> Option<Settlement> {
        self.side.iter().find_map(|record| settlement(record, step)).filter(|settlement| {
            matches!(settlement, Settlement::Accepted { .. }) == (verdict == Verdict::Accepted)
        })
    }

    /// The address that a submitted step's reply goes to.
    pub(super) fn requester(&self, step: &StepName) -> Option<String> {
        self.requested(step).and_then(|record| record.data.requester.clone())
    }
}

fn step_of(record: &Record) -> Option<&StepName> {
    record.data.cause.as_ref().map(|cause| &cause.step)
}

/// What a record of a side stream settles `step` with, if it does.
pub(super) fn settlement(record: &Record, step: &StepName) -> Option<Settlement> {
    if step_of(record) != Some(step) {
        return None;
    }
    match record.data.kind {
        RecordKind::Accepted { version, at: AcceptedAt::At(position) } => {
            Some(Settlement::Accepted { version, position })
        }
        RecordKind::Accepted { version, at: AcceptedAt::Back(records) } => {
            let position = record.position.minus(u64::from(records));
            Some(Settlement::Accepted { version, position })
        }
        RecordKind::Rejected => Some(Settlement::Rejected(record.data.clone())),
        _ => None,
    }
}

impl<C> Purpose<C> {
    pub(super) fn ask(&self) -> Option<&Ask<C>> {
        match self {
            Self::Handle(ask) | Self::Submit(ask) => Some(ask),
            Self::Recover | Self::Overrule { .. } => None,
        }
    }

    fn goal(&self) -> Goal {
        match self {
            Self::Handle(ask) => Goal::Handle { step: ask.step.clone(), fingerprint: ask.fingerprint },
            Self::Submit(ask) => Goal::Submit { step: ask.step.clone(), fingerprint: ask.fingerprint },
            Self::Recover => Goal::Recover,
            Self::Overrule { step, .. } => Goal::Overrule { step: step.clone() },
        }
    }
}
