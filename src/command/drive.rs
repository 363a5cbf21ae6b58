//! How a round's tasks move on: each is asked for its next action, gets what the round has in hand, and stages a
//! unit; when the list has landed, it hears what became of it.

use crate::command::aggregate::Aggregate;
use crate::command::caller::Caller;
use crate::command::load;
use crate::command::reply::Reply;
use crate::command::round::{Place, Round};
use crate::command::settings::count;
use crate::command::shared::Shared;
use crate::command::stage::Stage;
use crate::command::task::{Purpose, SideIs, Task};
use crate::decider::{Decider, guarded};
use crate::error::{Error, ErrorKind};
use crate::id::{Fingerprint, StepName};
use crate::protocol::{Action, Answer, Observation, Plan, Written};
use crate::store::{AppendFailure, UnitResult};
use crate::stream::Version;

impl<D: Decider> Round<D> {
    /// Moves the tasks on in turn. Behind one that needs another round, those of its aggregate wait: commands
    /// of one aggregate are decided in the order in which they came.
    pub(super) fn drive_all(&mut self, shared: &Shared<D>) {
        for at in 0..self.tasks.len() {
            let Some(place) = self.tasks.get(at).map(|task| task.place) else { continue };
            if self.places.get(place).is_none_or(|place| place.is_held_up) {
                continue;
            }
            self.drive(shared, at);
            let moved = self.staged.last().is_some_and(|staged| staged.task == at);
            if !moved
                && self.tasks.get(at).is_some_and(|task| !task.is_finished())
                && let Some(place) = self.places.get_mut(place)
            {
                place.is_held_up = true;
            }
        }
    }

    /// Moves one task on, as far as it gets without reading.
    fn drive(&mut self, shared: &Shared<D>, at: usize) {
        while let Some(task) = self.tasks.get_mut(at).filter(|task| !task.is_finished()) {
            let Some(place) = self.places.get(task.place) else { return };
            let action = task.attempt.next();
            if let Some(error) = place.failed.as_ref().filter(|_| needs_aggregate(&action)) {
                return task.give_up(error.clone(), shared);
            }
            match action {
                Action::ReadSide => return,
                Action::Load => match &place.aggregate {
                    Some(aggregate) => task.attempt.observe(loaded(aggregate)),
                    None => return,
                },
                Action::Scan { step, after } => {
                    if !scanned(task, place, &step, after) {
                        return;
                    }
                }
                Action::Decide { step, fingerprint, version } => {
                    if !decide(shared, task, place, (&step, fingerprint), version) {
                        return task.lost(shared.settings.limits.attempts);
                    }
                }
                Action::Append(plan) => return self.stage(shared, at, plan),
                Action::Reply(_) if task.is_presumed() => return task.look_it_up(shared),
                Action::Reply(answer) => return self.finish(shared, at, answer),
            }
        }
    }

    fn stage(&mut self, shared: &Shared<D>, at: usize, plan: Plan) {
        let Some(task) = self.tasks.get_mut(at) else { return };
        let Some(place) = self.places.get_mut(task.place) else { return };
        match (Stage { shared, task, aggregate: place.aggregate.as_mut() }).unit(at, plan) {
            Ok((unit, staged)) => {
                self.units.push(unit);
                self.staged.push(staged);
            }
            Err(error) => {
                // The state may have run ahead of a unit that will not be.
                place.aggregate = None;
                task.give_up(error, shared);
            }
        }
    }

    /// Tells each task what became of its unit.
    pub(super) fn landed(&mut self, shared: &Shared<D>, results: Vec<UnitResult>) {
        let mut results = results.into_iter();
        for staged in std::mem::take(&mut self.staged) {
            let result = results.next().unwrap_or_else(|| Err(unanswered()));
            let at = staged.task;
            let Some(task) = self.tasks.get_mut(at) else { continue };
            let state = self.places.get(task.place).and_then(|place| place.aggregate.as_ref());
            if let Some(right) = was_current(task, state, (&result, staged.advanced)) {
                self.met_states.count(right);
            }
            if result.is_err()
                && staged.advanced
                && let Some(place) = self.places.get_mut(task.place)
            {
                place.aggregate = None;
            }
            let is_race = is_race(task, &result);
            if let Some(right) = presumed_right(task, &result) {
                self.met_transactions.count(right);
            }
            let written = written(shared, task, &result);
            if let Ok(committed) = result
                && let Some(step) = staged.committed(task, committed)
            {
                notify(shared, task, &step);
            }
            self.appended(shared, at, written, is_race);
        }
        for aggregate in self.places.iter_mut().filter_map(|place| place.aggregate.as_mut()) {
            aggregate.committed = aggregate.version;
        }
    }

    fn appended(&mut self, shared: &Shared<D>, at: usize, written: Option<Written>, is_race: bool) {
        let Some(task) = self.tasks.get_mut(at) else { return };
        let Some(written) = written else { return };
        task.side_is = SideIs::Read;
        task.attempt.observe(Observation::Appended(written));
        if written != Written::Done {
            // The cached state may be what made it lose.
            if let Some(place) = self.places.get_mut(task.place) {
                place.aggregate = None;
            }
            count(&shared.counters.restarts, 1);
            if is_race {
                task.lost(shared.settings.limits.attempts);
            }
        }
        if let Action::Reply(answer) = task.attempt.next() {
            self.finish(shared, at, answer);
        }
    }

    /// Answers the caller. Everything that the answer rests on is durable.
    fn finish(&mut self, shared: &Shared<D>, at: usize, answer: Answer) {
        let Some(task) = self.tasks.get_mut(at) else { return };
        let submitted = answer == Answer::Submitted;
        let ending = task.ending(shared, answer);
        match &ending {
            // A submitted step is settled by this process, unless it dies: then a recovery sweep does it.
            Ok(_) if submitted => {
                let (id, transaction) = (task.aggregate.clone(), task.transaction);
                let follow_up = Task::new(shared, id, transaction, Purpose::Recover, Caller::Nobody);
                self.follow_ups.push(Box::new(follow_up));
            }
            Err(error) if error.kind() == ErrorKind::LostHistory => {
                self.stopped.push((task.aggregate.clone(), error.clone()))
            }
            _ => {}
        }
        task.end(ending);
    }
}

/// Whether a task cannot go on without its aggregate.
fn needs_aggregate(action: &Action) -> bool {
    matches!(action, Action::Load | Action::Scan { .. } | Action::Decide { .. })
}

fn loaded<D: Decider>(aggregate: &Aggregate<D>) -> Observation {
    let (committed, version, fresh) = (aggregate.committed, aggregate.version, aggregate.fresh);
    Observation::Loaded { committed, version, fresh }
}

/// Answers a scan from what the round has read; `false` where it has not.
fn scanned<D: Decider>(task: &mut Task<D>, place: &Place<D>, step: &StepName, after: Version) -> bool {
    let (Some(aggregate), Some(tail)) = (&place.aggregate, &place.tail) else { return false };
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
    place: &Place<D>,
    (step, fingerprint): (&StepName, Fingerprint),
    version: Version,
) -> bool {
    let in_hand = place.aggregate.as_ref().filter(|aggregate| aggregate.version == version);
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
fn written<D: Decider>(shared: &Shared<D>, task: &mut Task<D>, result: &UnitResult) -> Option<Written> {
    match result {
        Ok(_) => Some(Written::Done),
        Err(
            AppendFailure::WrongVersion { .. }
            | AppendFailure::WrongRow(_)
            | AppendFailure::Superseded { .. }
            | AppendFailure::RowSuperseded { .. },
        ) => Some(Written::Conflict),
        Err(AppendFailure::Unknown(error)) => {
            task.unknown = Some(error.clone());
            Some(Written::Unknown)
        }
        Err(AppendFailure::Refused(error)) => {
            task.give_up(error.clone(), shared);
            None
        }
    }
}

/// Whether a transaction that was presumed to be new was; none where nothing was presumed, or is known now.
fn presumed_right<D: Decider>(task: &Task<D>, result: &UnitResult) -> Option<bool> {
    match result {
        _ if !task.is_presumed() => None,
        Ok(_) => Some(true),
        Err(AppendFailure::WrongVersion { stream, .. }) if *stream == task.side_stream => Some(false),
        Err(_) => None,
    }
}

/// Whether a state that was in memory was its stream's last; none where it was read in this round, or nothing tells.
fn was_current<D: Decider>(
    task: &Task<D>,
    state: Option<&Aggregate<D>>,
    (result, has_effect): (&UnitResult, bool),
) -> Option<bool> {
    match result {
        _ if state.is_none_or(|state| state.fresh) => None,
        Ok(_) => has_effect.then_some(true),
        Err(AppendFailure::WrongVersion { stream, .. }) if *stream == task.stream => Some(false),
        Err(_) => None,
    }
}

/// Whether a failed append has lost to others. One that presumed wrong, or fell with another of its list, has not.
fn is_race<D: Decider>(task: &Task<D>, result: &UnitResult) -> bool {
    !matches!(result, Err(AppendFailure::Superseded { .. })) && presumed_right(task, result) != Some(false)
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
