//! A lane: one per partition. It takes whatever commands wait, has a [`Round`] load what they need in bulk and
//! decide in turn against the state in memory, and hands the round's list to the store.
//!
//! There is no timer. While lists are committed, further rounds begin with what has come meanwhile, as long as they
//! are about other aggregates: no decision ever rests on a list whose outcome is not known.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use quick_cache::unsync::Cache;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::command::aggregate::Aggregate;
use crate::command::presumption::Presumption;
use crate::command::round::{Presumes, Query, Round};
use crate::command::settings::count;
use crate::command::shared::Shared;
use crate::command::task::Task;
use crate::decider::Decider;
use crate::error::Error;
use crate::hash::HashSet;
use crate::limits;
use crate::partition::PartitionId;
use crate::protocol::Atomicity;
use crate::store::{HeldPartition, UnitResult};
use crate::stream::AggregateId;

/// Most lists of one lane that are being committed at a time.
const FLIGHTS: usize = 8;

/// Work for a lane.
pub(super) enum Job<D: Decider> {
    Task(Box<Task<D>>),
    /// Tasks that begin in one round, as far as they may, and the room that they wait in.
    List(Vec<Box<Task<D>>>, OwnedSemaphorePermit),
    Query(Query<D>),
}

pub(super) struct Lane<D: Decider> {
    shared: Arc<Shared<D>>,
    partition: PartitionId,
    /// Tasks that wait for a round, in the order in which they came.
    waiting: Vec<Box<Task<D>>>,
    queries: Vec<Query<D>>,
    /// Rounds whose lists are being committed, the oldest first.
    flights: VecDeque<Box<Flight<D>>>,
    cache: Cache<AggregateId, Aggregate<D>>,
    /// That a transaction that comes in is new.
    new_transactions: Presumption,
    /// That a state in memory is its stream's last: not so where another process writes to it, too.
    current_states: Presumption,
    /// Aggregates with lost history: nothing is decided on them until the process starts again.
    /// Bounded like the cache: one that falls out is stopped again by its next command.
    stopped: Cache<AggregateId, Error>,
}

/// A round, and the results of its list on their way.
struct Flight<D: Decider> {
    round: Round<D>,
    results: Pin<Box<dyn Future<Output = Vec<UnitResult>> + Send>>,
}

/// What a lane waits for.
enum Event<D: Decider> {
    Landed(Box<Flight<D>>, Vec<UnitResult>),
    /// None when there will be no more.
    Job(Option<Job<D>>),
}

impl<D: Decider> Lane<D> {
    pub(super) fn new(shared: Arc<Shared<D>>, partition: PartitionId) -> Self {
        let bound = shared.settings.limits.cached_aggregates.max(1);
        let (cache, stopped) = (Cache::new(bound), Cache::new(bound));
        let (waiting, queries, flights) = (Vec::new(), Vec::new(), VecDeque::new());
        let (new_transactions, current_states) = Default::default();
        Self {
            shared,
            partition,
            waiting,
            queries,
            flights,
            cache,
            new_transactions,
            current_states,
            stopped,
        }
    }

    /// Runs until every sender is gone and all that was asked is answered.
    pub(super) async fn run(mut self, mut jobs: mpsc::Receiver<Job<D>>) {
        let mut is_open = true;
        loop {
            while is_open
                && self.has_room()
                && let Ok(job) = jobs.try_recv()
            {
                self.admit(job);
            }
            if let Some(round) = self.next_round() {
                self.fly(round).await;
                continue;
            }
            if !is_open && self.flights.is_empty() {
                return;
            }
            match poll_fn(|context| self.poll_event(context, &mut jobs, is_open)).await {
                Event::Landed(flight, results) => self.land(flight, results),
                Event::Job(Some(job)) => self.admit(job),
                Event::Job(None) => is_open = false,
            }
        }
    }

    fn has_room(&self) -> bool {
        self.waiting.len().saturating_add(self.queries.len()) < self.shared.settings.limits.lane_batch.max(1)
    }

    fn admit(&mut self, job: Job<D>) {
        match job {
            Job::Task(task) => self.wait(task),
            Job::List(tasks, room) => {
                tasks.into_iter().for_each(|task| self.wait(task));
                drop(room);
            }
            Job::Query(query) => match self.stopped(&query.aggregate) {
                Some(error) => (query.look)(Err(error)),
                None => self.queries.push(query),
            },
        }
    }

    fn wait(&mut self, mut task: Box<Task<D>>) {
        match self.stopped(&task.aggregate) {
            Some(error) => task.fail(error),
            None => self.waiting.push(task),
        }
    }

    fn stopped(&self, aggregate: &AggregateId) -> Option<Error> {
        // It is empty as long as nothing is wrong.
        if self.stopped.is_empty() { None } else { self.stopped.get(aggregate).cloned() }
    }

    /// A round beside others is worth its while when it is as large as they are.
    fn tasks_in_flight(&self) -> usize {
        self.flights.iter().fold(0, |sum, flight| sum.saturating_add(flight.round.tasks.len()))
    }

    /// Puts a round together from what may begin now: on each aggregate that is in no other round, those in front
    /// of the first task that has to wait.
    fn next_round(&mut self) -> Option<Round<D>> {
        let nothing = self.waiting.is_empty() && self.queries.is_empty();
        if nothing || self.flights.len() >= FLIGHTS || self.waiting.len() < self.tasks_in_flight() {
            return None;
        }
        let is_atomic = self.shared.properties.atomicity == Atomicity::Batch;
        let presumes = Presumes {
            new: is_atomic && self.new_transactions.holds(),
            current: self.current_states.holds(),
        };
        let mut round = Round::new(is_atomic, presumes);
        let flights = &self.flights;
        let is_busy = |id: &AggregateId| flights.iter().any(|flight| flight.round.holds(id));
        let mut held_up: HashSet<AggregateId> = HashSet::default();
        for task in std::mem::take(&mut self.waiting) {
            if round.tasks.len() >= limits::LIST_UNITS || held_up.contains(&task.aggregate) {
                self.waiting.push(task);
            } else if is_busy(&task.aggregate) {
                held_up.insert(task.aggregate.clone());
                self.waiting.push(task);
            } else if let Some(task) = round.enter(task) {
                held_up.insert(task.aggregate.clone());
                self.waiting.push(task);
            }
        }
        for query in std::mem::take(&mut self.queries) {
            if is_busy(&query.aggregate) { self.queries.push(query) } else { round.ask(query) }
        }
        // What is still valid at the end goes back; nothing that a failed list left behind does.
        round.take_from(&mut self.cache);
        (!round.is_empty()).then_some(round)
    }

    /// Reads, decides, and hands the list over. A round without a list is over.
    async fn fly(&mut self, mut round: Round<D>) {
        let held = if round.is_contended() { hold(&self.shared, self.partition).await } else { None };
        round.read(&self.shared).await;
        round.answer_queries(&self.shared).await;
        round.drive_all(&self.shared);
        let units = round.take_units();
        if units.is_empty() {
            return self.end(round);
        }
        count(&self.shared.counters.appends, 1);
        let (store, partition) = (Arc::clone(&self.shared.store), self.partition);
        let results: Pin<Box<dyn Future<Output = _> + Send>> = match held {
            Some(held) => held.append(units),
            None => Box::pin(async move { store.append(partition, units).await }),
        };
        let mut flight = Box::new(Flight { round, results });
        // A future does nothing before it is polled.
        match poll_fn(|context| Poll::Ready(flight.results.as_mut().poll(context))).await {
            Poll::Ready(results) => self.land(flight, results),
            Poll::Pending => self.flights.push_back(flight),
        }
    }

    fn poll_event(
        &mut self,
        context: &mut Context<'_>,
        jobs: &mut mpsc::Receiver<Job<D>>,
        is_open: bool,
    ) -> Poll<Event<D>> {
        for at in 0..self.flights.len() {
            let polled = self.flights.get_mut(at).map(|flight| flight.results.as_mut().poll(context));
            if let Some(Poll::Ready(results)) = polled
                && let Some(flight) = self.flights.remove(at)
            {
                return Poll::Ready(Event::Landed(flight, results));
            }
        }
        if is_open && self.has_room() { jobs.poll_recv(context).map(Event::Job) } else { Poll::Pending }
    }

    fn land(&mut self, flight: Box<Flight<D>>, results: Vec<UnitResult>) {
        let mut round = flight.round;
        round.landed(&self.shared, results);
        self.end(round);
    }

    fn end(&mut self, mut round: Round<D>) {
        self.new_transactions.saw(round.met_transactions);
        self.current_states.saw(round.met_states);
        for (id, error) in round.take_stopped() {
            tracing::error!(%error, "an aggregate is stopped");
            self.stopped.insert(id, error);
        }
        round.give_back(&mut self.cache);
        // What is not finished came before all that waits.
        self.waiting.splice(0..0, round.take_unfinished());
        self.waiting.extend(round.take_follow_ups());
    }
}

/// What lost to another process is decided again while nobody else writes: otherwise, on an aggregate that many
/// processes write to, whoever decides slowest would lose for ever.
async fn hold<D: Decider>(shared: &Shared<D>, partition: PartitionId) -> Option<Box<dyn HeldPartition>> {
    match shared.store.hold(partition).await {
        Ok(held) => held,
        Err(error) => {
            tracing::debug!(%error, "a partition cannot be held; commands take their chance");
            None
        }
    }
}
