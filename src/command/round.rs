//! One round of a lane: read what its tasks need, let them decide in turn, append one list of units.

use crate::command::aggregate::Aggregate;
use crate::command::load::{self, Tail};
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

/// What a round has in hand.
pub(super) struct Round<D: Decider> {
    /// The aggregates of the round's tasks, as far as they are in memory.
    pub(super) working: HashMap<AggregateId, Aggregate<D>>,
    /// What scans of this round found.
    pub(super) tails: HashMap<AggregateId, Tail>,
    /// Aggregates that could not be read.
    pub(super) failed: HashMap<AggregateId, Error>,
    /// The units to append, and whose they are.
    pub(super) units: Vec<Unit>,
    pub(super) staged: Vec<Staged>,
}

impl<D: Decider> Round<D> {
    pub(super) fn new() -> Self {
        Self {
            working: HashMap::default(),
            tails: HashMap::default(),
            failed: HashMap::default(),
            units: Vec::new(),
            staged: Vec::new(),
        }
    }

    /// Reads until no task in `turn` waits for something that can be read now.
    pub(super) async fn read(&mut self, shared: &Shared<D>, tasks: &mut [Task<D>], turn: &[usize]) {
        loop {
            let sides = self.read_sides(shared, tasks, turn).await;
            let aggregates = self.read_aggregates(shared, tasks, turn).await;
            if !sides && !aggregates {
                return;
            }
        }
    }

    /// Reads the side streams of all tasks that want theirs, in one call.
    async fn read_sides(&self, shared: &Shared<D>, tasks: &mut [Task<D>], turn: &[usize]) -> bool {
        let wants = |at: &&usize| {
            tasks.get(**at).is_some_and(|task| !task.is_finished() && task.attempt.next() == Action::ReadSide)
        };
        let who: Vec<usize> = turn.iter().filter(wants).copied().collect();
        let from = ReadFrom::After(Version::EMPTY);
        let reads =
            who.iter().filter_map(|at| tasks.get(*at)).map(|task| load::read(&task.side_stream, from));
        let pages = shared.store.read_streams(reads.collect()).await;
        for (at, page) in who.iter().zip(pages) {
            let Some(task) = tasks.get_mut(*at) else { continue };
            let records = rest_of_side(shared, &task.side_stream, page).await;
            if let Err(error) = records.and_then(|records| task.saw_side(records, shared)) {
                task.fail(error);
            }
        }
        !who.is_empty()
    }

    /// Loads the aggregates that tasks want and that are not in hand, in one call; then scans tails.
    async fn read_aggregates(&mut self, shared: &Shared<D>, tasks: &mut [Task<D>], turn: &[usize]) -> bool {
        let mut needs: HashMap<AggregateId, Need> = HashMap::default();
        for task in turn.iter().filter_map(|at| tasks.get(*at)).filter(|task| !task.is_finished()) {
            self.note_need(task, &mut needs);
        }
        self.load_missing(shared, &needs).await;
        for (id, need) in &needs {
            let (Some(after), Some(aggregate)) = (need.scan_after, self.working.get_mut(id)) else {
                continue;
            };
            match shared.scan(&need.stream, aggregate, after, &need.transactions).await {
                Ok(tail) => drop(self.tails.insert(id.clone(), tail)),
                Err(error) => {
                    self.working.remove(id);
                    self.failed.insert(id.clone(), error);
                }
            }
        }
        !needs.is_empty()
    }

    fn note_need(&self, task: &Task<D>, needs: &mut HashMap<AggregateId, Need>) {
        let id = &task.aggregate;
        if self.failed.contains_key(id) {
            return;
        }
        let scan_after = match task.attempt.next() {
            Action::Load if !self.working.contains_key(id) => None,
            Action::Scan { after, .. } if !self.has_tail(task, after) => Some(after),
            _ => return,
        };
        let need = needs.entry(id.clone()).or_insert_with(|| Need::of(&task.stream));
        need.transactions.insert(task.transaction);
        need.scan_after = match (need.scan_after, scan_after) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }

    /// Whether this round's scan covers what a task asks for. A tail is read for the transactions that
    /// asked at that time, so a later one of the same round waits for the next.
    fn has_tail(&self, task: &Task<D>, after: Version) -> bool {
        self.tails.get(&task.aggregate).is_some_and(|tail| tail.covers(task.transaction, after))
    }

    async fn load_missing(&mut self, shared: &Shared<D>, needs: &HashMap<AggregateId, Need>) {
        let missing: Vec<_> = needs.iter().filter(|(id, _)| !self.working.contains_key(*id)).collect();
        let reads = missing.iter().map(|(_, need)| load::from_snapshot(&need.stream)).collect();
        let pages = shared.store.read_streams(reads).await;
        for ((id, need), page) in missing.into_iter().zip(pages) {
            let folded = match page {
                Ok(page) => shared.fold(&need.stream, page).await,
                Err(error) => Err(error),
            };
            match folded {
                Ok(aggregate) => drop(self.working.insert(id.clone(), aggregate)),
                Err(error) => drop(self.failed.insert(id.clone(), error)),
            }
        }
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
