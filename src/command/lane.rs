//! A lane: one per partition. It takes whatever commands wait, loads what they need in bulk, lets them
//! decide in turn against the state in memory, and commits them as one list.
//!
//! There is no timer: the next batch gathers while the last one commits.

use std::sync::Arc;

use quick_cache::unsync::Cache;
use tokio::sync::{mpsc, oneshot};

use crate::command::aggregate::Aggregate;
use crate::command::load;
use crate::command::reply::Reply;
use crate::command::round::Round;
use crate::command::settings::count;
use crate::command::shared::Shared;
use crate::command::stage::Stage;
use crate::command::task::{Purpose, Task};
use crate::decider::{Decider, guarded};
use crate::error::{Error, ErrorKind, Result};
use crate::hash::HashSet;
use crate::id::{Fingerprint, StepName};
use crate::partition::PartitionId;
use crate::protocol::{Action, Answer, Atomicity, Observation, Plan, Written};
use crate::store::{AppendFailure, UnitResult};
use crate::stream::{AggregateId, StreamName, Version};

/// What a query does with a state, once it is in hand.
pub(super) type Look<D> = Box<dyn FnOnce(Result<(&<D as Decider>::State, Version)>) + Send>;

/// Work for a lane.
pub(super) enum Job<D: Decider> {
    Task(Box<Task<D>>),
    Query(AggregateId, Look<D>),
}

pub(super) struct Lane<D: Decider> {
    shared: Arc<Shared<D>>,
    partition: PartitionId,
    tasks: Vec<Task<D>>,
    queries: Vec<(AggregateId, Look<D>)>,
    cache: Cache<AggregateId, Aggregate<D>>,
    /// Aggregates with lost history: nothing is decided on them until the process starts again.
    /// Bounded like the cache: one that falls out is stopped again by its next command.
    stopped: Cache<AggregateId, Error>,
}

impl<D: Decider> Lane<D> {
    pub(super) fn new(shared: Arc<Shared<D>>, partition: PartitionId) -> Self {
        let bound = shared.settings.limits.cached_aggregates.max(1);
        let (cache, stopped) = (Cache::new(bound), Cache::new(bound));
        let (tasks, queries) = (Vec::new(), Vec::new());
        Self { shared, partition, tasks, queries, cache, stopped }
    }

    /// Runs until every sender is gone and all that was asked is answered.
    pub(super) async fn run(mut self, mut jobs: mpsc::Receiver<Job<D>>) {
        while self.gather(&mut jobs).await {
            let mut round = self.begin_round();
            let turn = self.turn();
            round.read(&self.shared, &mut self.tasks, &turn).await;
            self.answer_queries(&mut round).await;
            self.drive_all(&turn, &mut round);
            self.commit(&mut round).await;
            self.end_round(round);
        }
    }

    /// Takes what waits, and waits where there is nothing to do.
    async fn gather(&mut self, jobs: &mut mpsc::Receiver<Job<D>>) -> bool {
        if self.tasks.is_empty() && self.queries.is_empty() {
            match jobs.recv().await {
                Some(job) => self.admit(job),
                None => return false,
            }
        }
        while self.tasks.len().saturating_add(self.queries.len()) < self.shared.settings.limits.lane_batch {
            let Ok(job) = jobs.try_recv() else { break };
            self.admit(job);
        }
        true
    }

    fn admit(&mut self, job: Job<D>) {
        match job {
            Job::Task(mut task) => match self.stopped.get(&task.aggregate) {
                Some(error) => task.fail(error.clone()),
                None => self.tasks.push(*task),
            },
            Job::Query(id, look) => match self.stopped.get(&id) {
                Some(error) => look(Err(error.clone())),
                None => self.queries.push((id, look)),
            },
        }
    }

    /// The tasks that may run in this round: on each aggregate those in front of the first that has to wait.
    /// A transaction's second command waits for its first; and where decisions rest on durable records only,
    /// so does an aggregate's.
    fn turn(&self) -> Vec<usize> {
        let batch = self.shared.properties.atomicity == Atomicity::Batch;
        let mut busy: HashSet<&StreamName> = HashSet::default();
        let mut waiting: HashSet<&StreamName> = HashSet::default();
        let mut turn = Vec::with_capacity(self.tasks.len());
        for (at, task) in self.tasks.iter().enumerate() {
            let key = if batch { &task.side_stream } else { &task.stream };
            if waiting.contains(&task.stream) || !busy.insert(key) {
                waiting.insert(&task.stream);
            } else {
                turn.push(at);
            }
        }
        turn
    }

    /// Moves the tasks on in turn. Behind one that needs another round, those of its aggregate wait: commands
    /// of one aggregate are decided in the order in which they came.
    fn drive_all(&mut self, turn: &[usize], round: &mut Round<D>) {
        let mut waiting: HashSet<StreamName> = HashSet::default();
        for at in turn.iter().copied() {
            let Some(stream) = self.tasks.get(at).map(|task| task.stream.clone()) else { continue };
            if waiting.contains(&stream) {
                continue;
            }
            self.drive(at, round);
            let moved = round.staged.last().is_some_and(|staged| staged.task == at);
            if !moved && self.tasks.get(at).is_some_and(|task| !task.is_finished()) {
                waiting.insert(stream);
            }
        }
    }

    /// Takes the aggregates that the round may need out of the cache. What is still valid at the end goes
    /// back; nothing that a failed list left behind does.
    fn begin_round(&mut self) -> Round<D> {
        let mut round = Round::new();
        let ids = self.tasks.iter().map(|task| &task.aggregate).chain(self.queries.iter().map(|(id, _)| id));
        for id in ids {
            if let Some((id, aggregate)) = self.cache.remove(id) {
                round.working.insert(id, aggregate);
            }
        }
        round
    }

    fn end_round(&mut self, round: Round<D>) {
        for (id, mut aggregate) in round.working {
            if aggregate.version == aggregate.committed {
                aggregate.fresh = false;
                self.cache.insert(id, aggregate);
            }
        }
        self.tasks.retain(|task| !task.is_finished());
    }

    /// Answers queries from states that are no older than this round.
    async fn answer_queries(&mut self, round: &mut Round<D>) {
        for (id, look) in std::mem::take(&mut self.queries) {
            let seen =
                fresh(&self.shared, &id, round).await.map(|aggregate| (&aggregate.state, aggregate.version));
            look(seen);
        }
    }

    /// Moves one task on, as far as it gets without reading.
    fn drive(&mut self, at: usize, round: &mut Round<D>) {
        while let Some(task) = self.tasks.get_mut(at).filter(|task| !task.is_finished()) {
            if let Some(error) = round.failed.get(&task.aggregate).filter(|_| needs_aggregate(task)) {
                return task.fail(error.clone());
            }
            match task.attempt.next() {
                Action::ReadSide => return,
                Action::Load => match round.working.get(&task.aggregate) {
                    Some(aggregate) => task.attempt.observe(loaded(aggregate)),
                    None => return,
                },
                Action::Scan { step, after } => {
                    if !scanned(task, round, &step, after) {
                        return;
                    }
                }
                Action::Decide { step, fingerprint, version } => {
                    if !decide(&self.shared, task, round, (&step, fingerprint), version) {
                        return task.lost(self.shared.settings.limits.attempts);
                    }
                }
                Action::Append(plan) => return self.stage(at, plan, round),
                Action::Reply(answer) => return self.finish(at, answer),
            }
        }
    }

    fn stage(&mut self, at: usize, plan: Plan, round: &mut Round<D>) {
        let Some(task) = self.tasks.get_mut(at) else { return };
        let id = task.aggregate.clone();
        let aggregate = round.working.get_mut(&id);
        match (Stage { shared: &self.shared, task, aggregate }).unit(at, plan) {
            Ok((unit, staged)) => {
                round.units.push(unit);
                round.staged.push(staged);
            }
            Err(error) => {
                // The state may have run ahead of a unit that will not be.
                round.working.remove(&id);
                if let Some(task) = self.tasks.get_mut(at) {
                    task.fail(error);
                }
            }
        }
    }

    /// Appends the round's list, and tells each task what became of its unit.
    async fn commit(&mut self, round: &mut Round<D>) {
        if round.units.is_empty() {
            return;
        }
        count(&self.shared.counters.appends, 1);
        let units = std::mem::take(&mut round.units);
        let mut results = self.shared.store.append(self.partition, units).await.into_iter();
        for staged in std::mem::take(&mut round.staged) {
            let result = results.next().unwrap_or_else(|| Err(unanswered()));
            if result.is_err()
                && let Some(id) = &staged.advanced
            {
                round.working.remove(id);
            }
            let at = staged.task;
            let Some(task) = self.tasks.get_mut(at) else { continue };
            let written = written(task, &result);
            if let Ok(committed) = result
                && let Some(step) = staged.committed(task, committed)
            {
                notify(&self.shared, task, &step);
            }
            self.appended(at, written, round);
        }
        for aggregate in round.working.values_mut() {
            aggregate.committed = aggregate.version;
        }
    }

    fn appended(&mut self, at: usize, written: Option<Written>, round: &mut Round<D>) {
        let Some(task) = self.tasks.get_mut(at) else { return };
        let Some(written) = written else { return };
        task.attempt.observe(Observation::Appended(written));
        if written != Written::Done {
            // The cached state may be what made it lose.
            round.working.remove(&task.aggregate);
            count(&self.shared.counters.restarts, 1);
            task.lost(self.shared.settings.limits.attempts);
        }
        if let Action::Reply(answer) = task.attempt.next() {
            self.finish(at, answer);
        }
    }

    /// Answers the caller. Everything that the answer rests on is durable.
    fn finish(&mut self, at: usize, answer: Answer) {
        let Some(task) = self.tasks.get_mut(at) else { return };
        let submitted = answer == Answer::Submitted;
        let ending = task.ending(&self.shared, answer);
        let mut follow_up = None;
        match &ending {
            Ok(_) if submitted => {
                let (nobody, _) = oneshot::channel();
                let (id, transaction) = (task.aggregate.clone(), task.transaction);
                follow_up = Some(Task::new(&self.shared, id, transaction, Purpose::Recover, nobody));
            }
            Err(error) if error.kind() == ErrorKind::LostHistory => {
                tracing::error!(%error, "an aggregate is stopped");
                self.stopped.insert(task.aggregate.clone(), error.clone());
            }
            _ => {}
        }
        task.end(ending);
        // A submitted step is settled by this process, unless it dies: then a recovery sweep does it.
        self.tasks.extend(follow_up);
    }
}

/// A state that is no older than this round.
async fn fresh<'r, D: Decider>(
    shared: &Shared<D>,
    id: &AggregateId,
    round: &'r mut Round<D>,
) -> Result<&'r Aggregate<D>> {
    let stream = D::CATEGORY.stream(id);
    // Taken out first: a state whose reading failed half way must not come back.
    let aggregate = match round.working.remove(id) {
        Some(aggregate) if aggregate.fresh => aggregate,
        Some(mut aggregate) => {
            let at = aggregate.version;
            shared.scan(&stream, &mut aggregate, at, &HashSet::default()).await?;
            aggregate
        }
        None => shared.load(&stream).await?,
    };
    Ok(round.working.entry(id.clone()).or_insert(aggregate))
}

/// Whether a task cannot go on without its aggregate.
fn needs_aggregate<D: Decider>(task: &Task<D>) -> bool {
    matches!(task.attempt.next(), Action::Load | Action::Scan { .. } | Action::Decide { .. })
}

fn loaded<D: Decider>(aggregate: &Aggregate<D>) -> Observation {
    let (committed, version, fresh) = (aggregate.committed, aggregate.version, aggregate.fresh);
    Observation::Loaded { committed, version, fresh }
}

/// Answers a scan from what the round has read; `false` where it has not.
fn scanned<D: Decider>(task: &mut Task<D>, round: &Round<D>, step: &StepName, after: Version) -> bool {
    let Some(aggregate) = round.working.get(&task.aggregate) else { return false };
    let Some(tail) = round.tails.get(&task.aggregate) else { return false };
    if !tail.covers(task.transaction, after) {
        return false;
    }
    task.found = tail.find(task.transaction, step, after).cloned();
    let found = task.found.as_ref().map(load::verdict);
    task.scanned = task.scanned.saturating_add(aggregate.committed.since(after.max(tail.floor)));
    task.attempt.observe(Observation::Scanned { end: aggregate.version, found, floor: tail.floor });
    true
}

/// Runs the rules on the state at `version`; `false` where the state in hand is another one.
fn decide<D: Decider>(
    shared: &Shared<D>,
    task: &mut Task<D>,
    round: &Round<D>,
    (step, fingerprint): (&StepName, Fingerprint),
    version: Version,
) -> bool {
    let in_hand = round.working.get(&task.aggregate).filter(|aggregate| aggregate.version == version);
    let Some(aggregate) = in_hand else {
        // Not what was asked for: the attempt begins again.
        task.attempt.observe(Observation::Appended(Written::Conflict));
        return false;
    };
    let decision = task.decide(shared, aggregate, step, fingerprint);
    task.attempt.observe(Observation::Decided(decision));
    true
}

/// What a unit's result is to the protocol; `None` where it ends the task.
fn written<D: Decider>(task: &mut Task<D>, result: &UnitResult) -> Option<Written> {
    match result {
        Ok(_) => Some(Written::Done),
        Err(AppendFailure::WrongVersion { .. } | AppendFailure::Superseded { .. }) => Some(Written::Conflict),
        Err(AppendFailure::Unknown(error)) => {
            task.unknown = Some(error.clone());
            Some(Written::Unknown)
        }
        Err(AppendFailure::Refused(error)) => {
            task.fail(error.clone());
            None
        }
    }
}

fn unanswered() -> AppendFailure {
    AppendFailure::Unknown(Error::new(ErrorKind::Unknown, "the store did not answer for every unit"))
}

/// Tells the requester of a submitted step that this task settled.
fn notify<D: Decider>(shared: &Shared<D>, task: &Task<D>, step: &StepName) {
    let (Some(replies), Some(settlement)) = (&shared.replies, &task.settlement) else { return };
    let Some(requester) = task.requester(step) else { return };
    let outcome = guarded("upcast_rejection", || settlement.outcome::<D>(&shared.codecs, false));
    let Ok(Ok(outcome)) = outcome else { return };
    let (aggregate, transaction, step) = (task.aggregate.clone(), task.transaction, step.clone());
    if replies.try_send(Reply { requester, aggregate, transaction, step, outcome }).is_err() {
        count(&shared.counters.replies_dropped, 1);
        tracing::warn!(%transaction, "too many replies wait; the requester was not told");
    }
}
