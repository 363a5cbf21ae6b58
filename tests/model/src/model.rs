//! The model that the checker explores: what can happen next, and what comes of it.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use sidestream::protocol::{Action, Answer, Atomicity, Decision, Observation, Rules, Written};
use sidestream::stream::Version;
use stateright::{Model, Property};

use crate::fault::Fault;
use crate::run::{Lead, Run, Sent};
use crate::setup::Setup;
use crate::sight::{Sight, Sights};
use crate::solo;
use crate::streams::{Entry, Streams};
use crate::words::Step;
use crate::world::{Truncation, World};

/// The name of the one property: a state has no [`Fault`].
pub const SOUND: &str = "every property holds";

/// What can happen next. The number is the attempt's place in the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Move {
    /// It reads the side stream.
    Read(usize),
    /// It has a state in hand.
    Load(usize, Loading),
    /// It scans the aggregate stream to its head; perhaps a unit of the same list runs ahead of that.
    Scan(usize, Option<Lead>),
    /// Its rules say something.
    Decide(usize, Decision),
    /// Its list arrives, and it hears what came of it.
    Append(usize),
    /// The same, but the unit that goes first is refused for reasons of its own.
    AppendWithoutLead(usize),
    /// Its list is under way, and it does not hear what came of it.
    Unanswered(usize),
    /// It stops, and begins again knowing nothing.
    Crash(usize),
    /// A list without an answer arrives, with or without what goes first.
    Arrive(usize, bool),
    /// Another transaction writes.
    Foreign,
    /// Old records are removed, one step further.
    Truncate,
    /// The aggregate stream loses everything after a version.
    Lose(Version),
}

/// Which state an attempt has in hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loading {
    /// Read just now.
    Fresh,
    /// Out of a cache.
    Cached(Version),
    /// Ahead of the stream by another's unit, earlier in the same list.
    Ahead(Lead),
    /// What a failed list left behind: only where that rule is taken out.
    Leftover(Lead),
}

/// The model.
pub struct Protocol<R> {
    /// Its bounds.
    pub setup: Setup,
    recovered: Mutex<HashMap<Streams, bool>>,
    sights: AtomicU32,
    rules: PhantomData<fn() -> R>,
}

impl<R: Rules> Protocol<R> {
    /// A model within these bounds.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        Self { setup, recovered: Mutex::default(), sights: AtomicU32::new(0), rules: PhantomData }
    }

    /// What the exploration came across so far.
    #[must_use]
    pub fn sights(&self) -> Sights {
        Sights::from_bits(self.sights.load(Ordering::Relaxed))
    }

    fn see(&self, sight: Sight) {
        self.sights.fetch_or(1 << sight as u32, Ordering::Relaxed);
    }

    /// What is wrong with a state.
    #[must_use]
    pub fn fault(&self, world: &World<R>) -> Option<Fault> {
        world.fault(&self.setup).or_else(|| (!self.is_recoverable(world)).then_some(Fault::NotRecovered))
    }

    /// P5. Where history is lost, recovery stops, as it must.
    fn is_recoverable(&self, world: &World<R>) -> bool {
        let streams = &world.streams;
        let stopped = world.lost && streams.side.known > streams.head();
        if streams.side.open.is_none() || stopped {
            return true;
        }
        let mut recovered = self.recovered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = recovered.get(streams) {
            return *known;
        }
        let (_, atomicity) = self.setup.who[0];
        let settles = solo::settles::<R>(streams, atomicity, &self.setup.decisions);
        recovered.insert(streams.clone(), settles);
        settles
    }

    fn moves_of(&self, world: &World<R>, who: usize, moves: &mut Vec<Move>) {
        let run = &world.runs[who];
        if run.over {
            return;
        }
        match run.attempt.next() {
            Action::ReadSide => moves.push(Move::Read(who)),
            Action::Load => self.loads(world, who, moves),
            Action::Scan { .. } => {
                moves.push(Move::Scan(who, None));
                moves.extend(self.lead(world, who).map(|lead| Move::Scan(who, Some(lead))));
            }
            Action::Append(_) => {
                moves.push(Move::Append(who));
                moves.extend(run.lead.map(|_| Move::AppendWithoutLead(who)));
                if world.budget.unknown > 0 {
                    moves.push(Move::Unanswered(who));
                }
            }
            Action::Decide { .. } | Action::Reply(_) => {}
        }
        if world.budget.crashes > 0 && run.began.is_some() {
            moves.push(Move::Crash(who));
        }
    }

    fn loads(&self, world: &World<R>, who: usize, moves: &mut Vec<Move>) {
        let head = world.streams.head();
        moves.push(Move::Load(who, Loading::Fresh));
        let oldest = if self.setup.stale { 0 } else { head.get() };
        let cached = (oldest..=head.get()).map(|version| Loading::Cached(Version::new(version)));
        let ahead = self.lead(world, who).map(Loading::Ahead);
        let leftover = world.runs[who].leftover.map(Loading::Leftover);
        moves.extend(cached.chain(ahead).chain(leftover).map(|loading| Move::Load(who, loading)));
    }

    /// A unit of another transaction that may go before this attempt's, on a store with atomic batches.
    fn lead(&self, world: &World<R>, who: usize) -> Option<Lead> {
        let (_, atomicity) = self.setup.who[world.runs[who].class];
        let may = self.setup.speculative && atomicity == Atomicity::Batch && world.budget.foreign > 0;
        may.then(|| Lead { after: world.streams.head(), number: world.budget.foreign })
    }

    /// What the rules may say: all of it, as far as the transaction's earlier steps allow.
    fn decisions(&self, world: &World<R>, who: usize, moves: &mut Vec<Move>) {
        let Action::Decide { step, .. } = world.runs[who].attempt.next() else { return };
        let may_accept = !self.setup.habits.see_steps || world.runs[who].may_accept(Step::of(&step));
        let free = self
            .setup
            .decisions
            .iter()
            .filter(|decision| may_accept || matches!(decision, Decision::Rejected | Decision::Failed));
        let failed = (self.setup.always_fails || world.budget.failures > 0).then_some(&Decision::Failed);
        let free = free.filter(|_| !self.setup.always_fails);
        moves.extend(free.chain(failed).map(|decision| Move::Decide(who, *decision)));
    }

    fn perform(&self, world: &mut World<R>, action: Move) {
        match action {
            Move::Read(who) => world.runs[who].read(&world.streams, world.lost),
            Move::Load(who, loading) => self.load(world, who, loading),
            Move::Scan(who, lead) => self.scan(world, who, lead),
            Move::Decide(who, decision) => self.decide(world, who, decision),
            Move::Append(who) => self.append(world, who, true),
            Move::AppendWithoutLead(who) => self.append(world, who, false),
            Move::Unanswered(who) => self.send_without_answer(world, who),
            Move::Crash(who) => {
                world.budget.crashes -= 1;
                world.runs[who] = Run::waiting(&self.setup, world.runs[who].class);
            }
            Move::Arrive(at, lead) => {
                let sent = world.ghosts.remove(at);
                if world.deliver(&self.setup, &sent, lead) == Written::Done {
                    self.see(Sight::Arrived);
                }
            }
            Move::Foreign => {
                world.budget.foreign -= 1;
                world.streams.aggregate.push(Entry::Foreign(0));
            }
            Move::Truncate => self.truncate(world),
            Move::Lose(through) => {
                world.budget.losses -= 1;
                world.lost = true;
                world.streams.aggregate.truncate(through.get() as usize);
            }
        }
    }

    fn load(&self, world: &mut World<R>, who: usize, loading: Loading) {
        let head = world.streams.head();
        let run = &mut world.runs[who];
        let (committed, version, fresh) = match loading {
            Loading::Fresh => (head, head, true),
            Loading::Cached(version) => (version, version, false),
            Loading::Ahead(lead) => (lead.after, lead.after.next(), false),
            // A cache that forgot that the list failed takes it for committed.
            Loading::Leftover(lead) => (lead.after.next(), lead.after.next(), false),
        };
        (run.lead, run.basis) = match loading {
            Loading::Fresh | Loading::Cached(_) => (None, None),
            Loading::Ahead(lead) => (Some(lead), Some(lead)),
            Loading::Leftover(lead) => (None, Some(lead)),
        };
        if let Loading::Ahead(_) = loading {
            world.budget.foreign -= 1;
        }
        run.attempt.observe(Observation::Loaded { committed, version, fresh });
    }

    fn scan(&self, world: &mut World<R>, who: usize, lead: Option<Lead>) {
        let run = &mut world.runs[who];
        let Action::Scan { step, after } = run.attempt.next() else { return };
        let early = after < run.clear_to;
        let found = world.streams.find(Step::of(&step), after);
        let end = lead.map_or(world.streams.head(), |lead| lead.after.next());
        (run.lead, run.basis) = (lead, lead);
        run.attempt.observe(Observation::Scanned { end, found, floor: world.streams.floor });
        world.budget.foreign -= u8::from(lead.is_some());
        world.note(early.then_some(Fault::ScanTooFar));
    }

    fn decide(&self, world: &mut World<R>, who: usize, decision: Decision) {
        let run = &mut world.runs[who];
        let Action::Decide { version, .. } = run.attempt.next() else { return };
        run.decided_on = Some(version);
        run.attempt.observe(Observation::Decided(decision));
        if decision == Decision::Failed {
            world.budget.failures = world.budget.failures.saturating_sub(1);
        }
    }

    fn append(&self, world: &mut World<R>, who: usize, lead: bool) {
        let Some(sent) = world.runs[who].send() else { return };
        self.reply_early(world, who, &sent);
        let mut written = world.deliver(&self.setup, &sent, lead);
        if written == Written::Conflict {
            self.see(if sent.lead.is_some() { Sight::LostWithLead } else { Sight::LostRace });
        }
        if written == Written::Conflict && !self.setup.habits.own_is_conflict && finds_own(world, &sent) {
            written = Written::Done;
        }
        if written == Written::Done {
            Sight::of_plan(&sent.plan).into_iter().for_each(|sight| self.see(sight));
        }
        self.heard(world, who, &sent, written);
    }

    fn send_without_answer(&self, world: &mut World<R>, who: usize) {
        let Some(sent) = world.runs[who].send() else { return };
        world.budget.unknown -= 1;
        self.reply_early(world, who, &sent);
        self.heard(world, who, &sent, Written::Unknown);
        world.ghosts.push(sent);
    }

    fn heard(&self, world: &mut World<R>, who: usize, sent: &Sent, written: Written) {
        let run = &mut world.runs[who];
        if written != Written::Done && !self.setup.habits.drop_speculation {
            run.leftover = sent.lead;
        }
        (run.lead, run.basis) = (None, None);
        run.attempt.observe(Observation::Appended(written));
    }

    /// Only where that rule is taken out: the client hears what its list would come to.
    fn reply_early(&self, world: &mut World<R>, who: usize, sent: &Sent) {
        if self.setup.habits.reply_when_durable {
            return;
        }
        let mut attempt = world.runs[who].attempt.clone();
        attempt.observe(Observation::Appended(Written::Done));
        if let (Action::Reply(Answer::Settled { verdict, .. }), step) =
            (attempt.next(), Step::of(&sent.plan.step))
        {
            world.tell(step, verdict);
        }
    }

    fn truncate(&self, world: &mut World<R>) {
        let head = world.streams.head();
        let needed = world.streams.side.open.as_ref().map_or(Version::MAX, |open| open.clear_to);
        world.truncation = match (world.truncation, self.setup.habits.target_first) {
            (Truncation::Idle, true) => Truncation::Began(head),
            (Truncation::Idle, false) => Truncation::Began(needed),
            (Truncation::Began(target), true) => Truncation::Bounded(target.min(needed)),
            (Truncation::Began(needed), false) => Truncation::Bounded(head.min(needed)),
            (Truncation::Bounded(through), _) => {
                world.budget.truncations -= 1;
                world.streams.floor = world.streams.floor.max(through);
                self.see(Sight::Removed);
                Truncation::Idle
            }
        };
    }

    /// Replies at once: nothing else has a part in it.
    fn reply(&self, world: &mut World<R>, who: usize) {
        let Action::Reply(answer) = world.runs[who].attempt.next() else { return };
        let class = world.runs[who].class;
        Sight::of_answer(&answer).into_iter().for_each(|sight| self.see(sight));
        world.hear(&self.setup.who[class].0, &answer);
        world.runs[who] = Run::finished(&self.setup, class);
    }
}

/// Whether the place where a unit was to stand is taken by a record of the same step.
fn finds_own<R: Rules>(world: &World<R>, sent: &Sent) -> bool {
    let Some((expected, _)) = sent.plan.aggregate else { return false };
    let there = world.streams.aggregate.get(expected.get() as usize).and_then(|entry| entry.about());
    there.is_some_and(|about| about.0 == Step::of(&sent.plan.step))
}

/// Whoever an action is about.
pub(crate) const fn actor(action: &Move) -> Option<usize> {
    match action {
        Move::Read(who)
        | Move::Load(who, _)
        | Move::Scan(who, _)
        | Move::Decide(who, _)
        | Move::Append(who)
        | Move::AppendWithoutLead(who)
        | Move::Unanswered(who)
        | Move::Crash(who) => Some(*who),
        Move::Arrive(..) | Move::Foreign | Move::Truncate | Move::Lose(_) => None,
    }
}

impl<R: Rules> Model for Protocol<R> {
    type State = World<R>;
    type Action = Move;

    fn init_states(&self) -> Vec<World<R>> {
        vec![World::new(&self.setup)]
    }

    fn actions(&self, world: &World<R>, moves: &mut Vec<Move>) {
        if world.fault.is_some() {
            return;
        }
        // A decision touches nothing that is shared, so it need not wait for anybody.
        let deciding = |run: &Run<R>| !run.over && matches!(run.attempt.next(), Action::Decide { .. });
        if let Some(who) = world.runs.iter().position(deciding) {
            return self.decisions(world, who, moves);
        }
        (0..world.runs.len()).for_each(|who| self.moves_of(world, who, moves));
        for (at, sent) in world.ghosts.iter().enumerate() {
            moves.push(Move::Arrive(at, true));
            moves.extend(sent.lead.map(|_| Move::Arrive(at, false)));
        }
        if world.budget.foreign > 0 {
            moves.push(Move::Foreign);
        }
        if world.budget.truncations > 0 {
            moves.push(Move::Truncate);
        }
        if world.budget.losses > 0 {
            moves.extend(
                (world.streams.floor.get()..world.streams.head().get()).map(Version::new).map(Move::Lose),
            );
        }
    }

    fn next_state(&self, world: &World<R>, action: Move) -> Option<World<R>> {
        let mut next = world.clone();
        let who = actor(&action);
        self.perform(&mut next, action);
        if let Some(who) = who {
            self.reply(&mut next, who);
        }
        next.note_two_streams(&self.setup);
        next.normalise();
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always(SOUND, |model: &Self, world| model.fault(world).is_none())]
    }
}
