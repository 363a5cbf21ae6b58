//! One round of a lane: read what its tasks need, let them decide in turn, append one list of units.

use quick_cache::unsync::Cache;

use crate::command::aggregate::Aggregate;
use crate::command::load::{self, Tail};
use crate::command::presumption::Met;
use crate::command::shared::Shared;
use crate::command::stage::Staged;
use crate::command::task::Task;
use crate::decider::Decider;
use crate::error::{Error, Result};
use crate::event::Record;
use crate::hash::{HashMap, HashSet};
use crate::id::TransactionId;
use crate::protocol::Action;
use crate::store::{ReadFrom, StreamPage, Unit};
use crate::stream::{AggregateId, StreamName, Version};

/// A question about an aggregate's state.
pub(super) struct Query<D: Decider> {
    pub(super) aggregate: AggregateId,
    pub(super) look: Look<D>,
}

/// What a query does with a state, once it is in hand.
pub(super) type Look<D> = Box<dyn FnOnce(Result<(&<D as Decider>::State, Version)>) + Send>;

/// What a round goes by without a look at the store.
#[derive(Debug, Clone, Copy)]
pub(super) struct Presumes {
    /// Transactions that come in are new.
    pub(super) new: bool,
    /// States in memory are their streams' last.
    pub(super) current: bool,
}

/// An aggregate of the round.
pub(super) struct Place<D: Decider> {
    id: AggregateId,
    /// Its state, where it is in memory.
    pub(super) aggregate: Option<Aggregate<D>>,
    /// What a scan of this round found.
    pub(super) tail: Option<Tail>,
    /// Why it could not be read.
    pub(super) failed: Option<Error>,
    /// Tasks of it that are in the round.
    tasks: usize,
    /// A task of it needs another round, so those behind it do, too.
    pub(super) is_held_up: bool,
}

/// What a round has in hand.
pub(super) struct Round<D: Decider> {
    pub(super) tasks: Vec<Box<Task<D>>>,
    queries: Vec<Query<D>>,
    /// Several tasks of one aggregate can be decided in turn.
    in_turn: bool,
    presumes: Presumes,
    /// How often it was right that a transaction is new, and that a state in memory is the last.
    pub(super) met_transactions: Met,
    pub(super) met_states: Met,
    by_id: HashMap<AggregateId, usize>,
    transactions: HashSet<(usize, TransactionId)>,
    pub(super) places: Vec<Place<D>>,
    /// The units to append, and whose they are.
    pub(super) units: Vec<Unit>,
    pub(super) staged: Vec<Staged>,
    /// Tasks that come of those that ended.
    pub(super) follow_ups: Vec<Box<Task<D>>>,
    /// Aggregates on which nothing may be decided any more.
    pub(super) stopped: Vec<(AggregateId, Error)>,
}

impl<D: Decider> Round<D> {
    pub(super) fn new(in_turn: bool, presumes: Presumes) -> Self {
        Self {
            tasks: Vec::new(),
            queries: Vec::new(),
            in_turn,
            presumes,
            met_transactions: Met::default(),
            met_states: Met::default(),
            by_id: HashMap::default(),
            transactions: HashSet::default(),
            places: Vec::new(),
            units: Vec::new(),
            staged: Vec::new(),
            follow_ups: Vec::new(),
            stopped: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty() && self.queries.is_empty()
    }

    /// Whether a task of it loses again and again. One that lost once had an old state in hand, as a rule.
    pub(super) fn is_contended(&self) -> bool {
        self.tasks.iter().any(|task| task.restarts > 1)
    }

    /// Whether it is about an aggregate.
    pub(super) fn holds(&self, id: &AggregateId) -> bool {
        self.by_id.contains_key(id)
    }

    /// Takes a task in, or gives it back: a transaction's second command waits for its first; and where decisions
    /// rest on durable records only, so does an aggregate's.
    pub(super) fn enter(&mut self, mut task: Box<Task<D>>) -> Option<Box<Task<D>>> {
        let at = self.place_of(&task.aggregate);
        let Some(place) = self.places.get_mut(at) else { return Some(task) };
        let waits =
            if self.in_turn { !self.transactions.insert((at, task.transaction)) } else { place.tasks > 0 };
        if waits {
            return Some(task);
        }
        place.tasks = place.tasks.saturating_add(1);
        task.place = at;
        self.tasks.push(task);
        None
    }

    pub(super) fn ask(&mut self, query: Query<D>) {
        self.place_of(&query.aggregate);
        self.queries.push(query);
    }

    fn place_of(&mut self, id: &AggregateId) -> usize {
        if let Some(at) = self.by_id.get(id) {
            return *at;
        }
        let at = self.places.len();
        self.by_id.insert(id.clone(), at);
        self.places.push(Place {
            id: id.clone(),
            aggregate: None,
            tail: None,
            failed: None,
            tasks: 0,
            is_held_up: false,
        });
        at
    }

    /// Takes the states of its aggregates out of the cache.
    pub(super) fn take_from(&mut self, cache: &mut Cache<AggregateId, Aggregate<D>>) {
        for place in &mut self.places {
            place.aggregate = cache.remove(&place.id).map(|(_, aggregate)| aggregate);
        }
    }

    /// Puts those back that are known to be durable.
    pub(super) fn give_back(&mut self, cache: &mut Cache<AggregateId, Aggregate<D>>) {
        for place in &mut self.places {
            if let Some(mut aggregate) = place.aggregate.take_if(|found| found.version == found.committed) {
                aggregate.fresh = false;
                cache.insert(place.id.clone(), aggregate);
            }
        }
    }

    pub(super) fn take_units(&mut self) -> Vec<Unit> {
        std::mem::take(&mut self.units)
    }

    pub(super) fn take_stopped(&mut self) -> Vec<(AggregateId, Error)> {
        std::mem::take(&mut self.stopped)
    }

    pub(super) fn take_follow_ups(&mut self) -> Vec<Box<Task<D>>> {
        std::mem::take(&mut self.follow_ups)
    }

    pub(super) fn take_unfinished(&mut self) -> impl Iterator<Item = Box<Task<D>>> {
        std::mem::take(&mut self.tasks).into_iter().filter(|task| !task.is_finished())
    }

    /// Reads until no task waits for something that can be read now.
    pub(super) async fn read(&mut self, shared: &Shared<D>) {
        if self.presumes.new {
            self.tasks.iter_mut().filter(|task| task.may_be_presumed()).for_each(|task| task.presume_new());
        }
        loop {
            let sides = self.read_sides(shared).await;
            // Behind the side streams: an aggregate that was read before somebody asked would seem to lack what it asked
            // about.
            if !std::mem::replace(&mut self.presumes.current, true) {
                self.refresh(shared).await;
            }
            let aggregates = self.read_aggregates(shared).await;
            if !sides && !aggregates {
                return;
            }
        }
    }

    /// Brings the states that were in memory up to where their streams are, and reads the others, in one call. Where that
    /// does not do, a later call of the round reads the whole.
    async fn refresh(&mut self, shared: &Shared<D>) {
        let has_tasks = |place: &&mut Place<D>| place.tasks > 0;
        let read = |place: &Place<D>| {
            let stream = D::CATEGORY.stream(&place.id);
            match &place.aggregate {
                Some(aggregate) => load::read(&stream, ReadFrom::After(aggregate.version)),
                None => load::from_snapshot(&stream),
            }
        };
        let places: Vec<_> = self.places.iter_mut().filter(has_tasks).collect();
        let reads: Vec<_> = places.iter().map(|place| read(place)).collect();
        if reads.is_empty() {
            return;
        }
        let pages = shared.store.read_streams(reads).await;
        for (place, page) in places.into_iter().zip(pages) {
            let Ok(page) = page else {
                place.aggregate = None;
                continue;
            };
            place.aggregate = match place.aggregate.take() {
                Some(aggregate) => {
                    self.met_states.count(page.records.is_empty());
                    shared.caught_up(aggregate, page)
                }
                None => shared.fold(&D::CATEGORY.stream(&place.id), page).await.ok(),
            };
        }
    }

    /// Reads the side streams of all tasks that want theirs, in one call.
    async fn read_sides(&mut self, shared: &Shared<D>) -> bool {
        let wants = |task: &Task<D>| !task.is_finished() && task.attempt.next() == Action::ReadSide;
        let from = ReadFrom::After(Version::EMPTY);
        let wanting = self.tasks.iter().filter(|task| wants(task));
        let reads: Vec<_> = wanting.map(|task| load::read(&task.side_stream, from)).collect();
        if reads.is_empty() {
            return false;
        }
        let pages = shared.store.read_streams(reads).await;
        for (task, page) in self.tasks.iter_mut().filter(|task| wants(task)).zip(pages) {
            let records = rest_of_side(shared, &task.side_stream, page).await;
            if let Ok(records) = &records
                && task.may_be_presumed()
            {
                self.met_transactions.count(records.is_empty());
            }
            if let Err(error) = records.and_then(|records| task.saw_side(records, shared)) {
                task.fail(error);
            }
        }
        true
    }

    /// Loads the aggregates that tasks want and that are not in hand, in one call; then scans tails.
    async fn read_aggregates(&mut self, shared: &Shared<D>) -> bool {
        let mut needs: HashMap<usize, Need> = HashMap::default();
        for task in self.tasks.iter().filter(|task| !task.is_finished()) {
            self.note_need(task, &mut needs);
        }
        if needs.is_empty() {
            return false;
        }
        self.load_missing(shared, &needs).await;
        for (at, need) in &needs {
            let Some(place) = self.places.get_mut(*at) else { continue };
            let (Some(after), Some(aggregate)) = (need.scan_after, place.aggregate.as_mut()) else {
                continue;
            };
            match shared.scan(&need.stream, aggregate, after, &need.transactions).await {
                Ok(tail) => place.tail = Some(tail),
                Err(error) => (place.aggregate, place.failed) = (None, Some(error)),
            }
        }
        true
    }

    fn note_need(&self, task: &Task<D>, needs: &mut HashMap<usize, Need>) {
        let Some(place) = self.places.get(task.place).filter(|place| place.failed.is_none()) else { return };
        let scan_after = match task.attempt.next() {
            Action::Load if place.aggregate.is_none() => None,
            // A tail is read for the transactions that asked at that time, so a later one of the same round waits
            // for the next.
            Action::Scan { after, .. }
                if !place.tail.as_ref().is_some_and(|tail| tail.covers(task.transaction, after)) =>
            {
                Some(after)
            }
            _ => return,
        };
        let need = needs.entry(task.place).or_insert_with(|| Need::of(&task.stream));
        need.transactions.insert(task.transaction);
        need.scan_after = match (need.scan_after, scan_after) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }

    async fn load_missing(&mut self, shared: &Shared<D>, needs: &HashMap<usize, Need>) {
        let is_missing = |at: &usize| self.places.get(*at).is_some_and(|place| place.aggregate.is_none());
        let missing: Vec<_> = needs.iter().filter(|(at, _)| is_missing(at)).collect();
        if missing.is_empty() {
            return;
        }
        let reads = missing.iter().map(|(_, need)| load::from_snapshot(&need.stream)).collect();
        let pages = shared.store.read_streams(reads).await;
        for ((at, need), page) in missing.into_iter().zip(pages) {
            let folded = match page {
                Ok(page) => shared.fold(&need.stream, page).await,
                Err(error) => Err(error),
            };
            let Some(place) = self.places.get_mut(*at) else { continue };
            match folded {
                Ok(aggregate) => place.aggregate = Some(aggregate),
                Err(error) => place.failed = Some(error),
            }
        }
    }

    /// Answers queries from states that are no older than this round.
    pub(super) async fn answer_queries(&mut self, shared: &Shared<D>) {
        for Query { aggregate: id, look } in std::mem::take(&mut self.queries) {
            let at = self.place_of(&id);
            let Some(place) = self.places.get_mut(at) else { continue };
            look(place.fresh(shared).await.map(|aggregate| (&aggregate.state, aggregate.version)));
        }
    }
}

impl<D: Decider> Place<D> {
    /// A state that is no older than this round.
    async fn fresh(&mut self, shared: &Shared<D>) -> Result<&Aggregate<D>> {
        let stream = D::CATEGORY.stream(&self.id);
        // Taken out first: a state whose reading failed half way must not come back.
        let aggregate = match self.aggregate.take() {
            Some(aggregate) if aggregate.fresh => aggregate,
            Some(mut aggregate) => {
                let at = aggregate.version;
                shared.scan(&stream, &mut aggregate, at, &HashSet::default()).await?;
                aggregate
            }
            None => shared.load(&stream).await?,
        };
        Ok(self.aggregate.insert(aggregate))
    }
}

/// What the tasks of one aggregate want of it.
struct Need {
    stream: StreamName,
    scan_after: Option<Version>,
    transactions: HashSet<TransactionId>,
}

impl Need {
    fn of(stream: &StreamName) -> Self {
        Self { stream: stream.clone(), scan_after: None, transactions: HashSet::default() }
    }
}

/// Reads on where a side stream has more than a page.
async fn rest_of_side<D: Decider>(
    shared: &Shared<D>,
    stream: &StreamName,
    page: Result<StreamPage>,
) -> Result<Vec<Record>> {
    let mut page = page?;
    let mut records = std::mem::take(&mut page.records);
    while let Some(last) = records.last().filter(|last| last.version < page.head) {
        let next = shared.page(stream, ReadFrom::After(last.version)).await?;
        if next.records.is_empty() {
            return Err(Error::corrupt("records are missing").in_stream(stream));
        }
        records.extend(next.records);
    }
    Ok(records)
}
