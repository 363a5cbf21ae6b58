//! Lists that wait to be appended, by partition. Those of one partition go one after the other; whoever is free takes
//! all that has come meanwhile for the partitions that nobody else is at.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::partition::PartitionId;
use crate::store::UnitResult;
use crate::store::postgres::pace::{Pace, Turn};
use crate::store::postgres::plan::List;

type Reply = oneshot::Sender<Vec<UnitResult>>;

/// The lists of one partition that somebody took, and who waits for their answers.
pub(super) struct Load {
    pub(super) partition: PartitionId,
    pub(super) lists: Vec<List>,
    replies: Vec<Reply>,
}

impl Load {
    /// Gives each list its results.
    pub(super) fn answer(self, answers: Vec<Vec<UnitResult>>) {
        for (reply, results) in self.replies.into_iter().zip(answers) {
            // Whoever went away needs no answer.
            drop(reply.send(results));
        }
    }
}

/// Lists that wait. Whoever waits for an answer that nobody can give any more hears that its sender is gone.
pub(super) struct Waiting {
    state: Mutex<State>,
    /// Most carriers at a time.
    most: usize,
}

#[derive(Default)]
struct State {
    lists: BTreeMap<PartitionId, VecDeque<(List, Reply)>>,
    /// Partitions that somebody appends to.
    taken: BTreeSet<PartitionId>,
    /// Where the next carrier begins to look: where too much waits for one, each partition has its turn.
    next: PartitionId,
    pace: Pace,
}

impl Waiting {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(State::default()), most })
    }

    /// Puts a list behind those of its partition. A carrier that it gives has to be sent.
    pub(super) fn put(
        self: &Arc<Self>,
        partition: PartitionId,
        list: List,
    ) -> (oneshot::Receiver<Vec<UnitResult>>, Option<Carrier>) {
        let (reply, answer) = oneshot::channel();
        let mut state = self.lock();
        state.lists.entry(partition).or_default().push_back((list, reply));
        // Whoever is at the partition comes back for it.
        if state.taken.contains(&partition) {
            return (answer, None);
        }
        (answer, self.send(&mut state))
    }

    /// One more carrier, where there should be one for what waits.
    fn send(self: &Arc<Self>, state: &mut State) -> Option<Carrier> {
        let turn = state.pace.send(state.free_units(), self.most)?;
        Some(Carrier { waiting: Arc::clone(self), turn, at: BTreeSet::new(), has_ended: false })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing below panics half way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Units that wait for partitions that nobody is at.
    fn free_units(&self) -> usize {
        let free = self.lists.iter().filter(|(partition, _)| !self.taken.contains(partition));
        units(free.flat_map(|(_, lists)| lists).map(|(list, _)| list))
    }

    /// Gives up what waits where nobody is left to come by for it.
    fn give_up(&mut self) {
        if self.pace.is_idle() && self.taken.is_empty() {
            self.lists.clear();
        }
    }
}

fn units<'l>(lists: impl IntoIterator<Item = &'l List>) -> usize {
    // An empty list waits for an answer, too.
    lists.into_iter().fold(0, |sum, list| sum.saturating_add(list.len().max(1)))
}

/// Somebody who appends what waits. When the last of them ends with something still waiting, because its runtime did,
/// that is given up: it would wait for ever.
pub(super) struct Carrier {
    waiting: Arc<Waiting>,
    pub(super) turn: Turn,
    at: BTreeSet<PartitionId>,
    has_ended: bool,
}

impl Carrier {
    /// Leaves a partition behind, whose lock is not to be had at once, and goes on with the others.
    pub(super) fn leave(&mut self, partition: PartitionId) -> Behind {
        self.at.remove(&partition);
        Behind { waiting: Arc::clone(&self.waiting), partition, has_ended: false }
    }

    /// Leaves the partitions it was at. Whether it goes on, perhaps after a pause; else it has ended.
    pub(super) fn goes_on(&mut self) -> bool {
        let mut guard = self.waiting.lock();
        let state = &mut *guard;
        state.taken.retain(|partition| !self.at.contains(partition));
        self.at.clear();
        let waiting = state.free_units();
        self.has_ended = !state.pace.goes_on(&mut self.turn, waiting);
        !self.has_ended
    }

    /// Takes what waits in partitions that are free, in their order: the first list in any case, and then as much as
    /// fits. None ends the carrier.
    pub(super) fn take(&mut self, mut fits: impl FnMut(&List) -> bool) -> Option<Vec<Load>> {
        let mut guard = self.waiting.lock();
        let state = &mut *guard;
        state.pace.begins(&mut self.turn);
        let mut loads: Vec<Load> = Vec::new();
        let waiting: Vec<PartitionId> = state.lists.keys().copied().collect();
        let (before, behind): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|at| *at <= state.next);
        for partition in behind.into_iter().chain(before) {
            let Some(waiting) = state.lists.get_mut(&partition).filter(|lists| !lists.is_empty()) else {
                continue;
            };
            if state.taken.contains(&partition) {
                continue;
            }
            let fitting = waiting.iter().take_while(|(list, _)| fits(list)).count();
            let is_first = loads.is_empty();
            let count = if is_first { fitting.max(1) } else { fitting };
            let (lists, replies) = waiting.drain(..count).unzip();
            if count > 0 {
                state.next = partition;
                self.at.insert(partition);
                loads.push(Load { partition, lists, replies });
            }
        }
        loads.sort_by_key(|load| load.partition);
        state.taken.extend(&self.at);
        if loads.is_empty() {
            state.pace.ends(&mut self.turn);
            self.has_ended = true;
            return None;
        }
        Some(loads)
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        let mut state = self.waiting.lock();
        state.taken.retain(|partition| !self.at.contains(partition));
        state.pace.ends(&mut self.turn);
        state.give_up();
    }
}

/// A partition whose lock is waited for. Whoever waits is no carrier any more: those are for the other partitions.
pub(super) struct Behind {
    waiting: Arc<Waiting>,
    partition: PartitionId,
    has_ended: bool,
}

impl Behind {
    /// Leaves the partition to the carriers. One that it gives has to be sent.
    pub(super) fn come_back(&mut self) -> Option<Carrier> {
        let mut state = self.waiting.lock();
        // From here on it may be another's.
        self.has_ended = true;
        state.taken.remove(&self.partition);
        let is_waited_for = state.lists.get(&self.partition).is_some_and(|lists| !lists.is_empty());
        if is_waited_for { self.waiting.send(&mut state) } else { None }
    }
}

impl Drop for Behind {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        let mut state = self.waiting.lock();
        state.taken.remove(&self.partition);
        state.give_up();
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot::error::TryRecvError;

    use super::*;

    const A: PartitionId = PartitionId::new(1);
    const B: PartitionId = PartitionId::new(2);

    /// The partitions of some loads, and how many lists each has.
    fn shape(loads: Option<Vec<Load>>) -> Vec<(PartitionId, usize)> {
        loads.into_iter().flatten().map(|load| (load.partition, load.lists.len())).collect()
    }

    #[test]
    fn a_partition_has_one_carrier_and_a_carrier_many_partitions() {
        let waiting = Waiting::new(2);
        let (_a, one) = waiting.put(A, Vec::new());
        let (_b, other) = waiting.put(B, Vec::new());
        let (_c, third) = waiting.put(A, Vec::new());
        let (mut one, mut other) = (one.expect("sent"), other.expect("sent"));
        assert!(third.is_none(), "two at most");
        assert_eq!(shape(one.take(|_| true)), [(A, 2), (B, 1)]);
        let (_d, fourth) = waiting.put(A, Vec::new());
        assert!(fourth.is_none());
        assert!(other.take(|_| true).is_none(), "somebody is at it");
        let (_e, fifth) = waiting.put(A, Vec::new());
        assert!(fifth.is_none(), "whoever is at the partition comes back");
        assert!(one.goes_on());
        assert_eq!(shape(one.take(|_| true)), [(A, 2)]);
        assert!(!one.goes_on());
        assert!(waiting.put(A, Vec::new()).1.is_some(), "nobody is on the way");
    }

    #[test]
    fn a_partition_that_is_left_behind_holds_no_other_up() {
        let waiting = Waiting::new(1);
        let (_a, carrier) = waiting.put(A, Vec::new());
        let (_b, _) = waiting.put(B, Vec::new());
        let mut carrier = carrier.expect("sent");
        assert_eq!(shape(carrier.take(|_| true)), [(A, 1), (B, 1)]);
        let mut behind = carrier.leave(A);
        let _more = [waiting.put(A, Vec::new()), waiting.put(B, Vec::new())];
        assert!(carrier.goes_on());
        assert_eq!(shape(carrier.take(|_| true)), [(B, 1)], "somebody is at the other");
        assert!(!carrier.goes_on());
        let mut back = behind.come_back().expect("nobody is left, and something waits");
        assert_eq!(shape(back.take(|_| true)), [(A, 1)]);
        drop(behind);
        assert!(waiting.put(A, Vec::new()).1.is_none(), "somebody is at it again");
    }

    #[test]
    fn what_waits_behind_a_lock_is_given_up_with_whoever_waits_there() {
        let waiting = Waiting::new(1);
        let (_a, carrier) = waiting.put(A, Vec::new());
        let mut carrier = carrier.expect("sent");
        drop(carrier.take(|_| true));
        let behind = carrier.leave(A);
        let (mut answer, none) = waiting.put(A, Vec::new());
        assert!(none.is_none() && !carrier.goes_on());
        drop(carrier);
        assert!(matches!(answer.try_recv(), Err(TryRecvError::Empty)), "somebody comes back for it");
        drop(behind);
        assert!(matches!(answer.try_recv(), Err(TryRecvError::Closed)));
    }

    #[test]
    fn what_does_not_fit_waits() {
        let waiting = Waiting::new(1);
        let (_a, carrier) = waiting.put(A, Vec::new());
        let _more = [waiting.put(A, Vec::new()), waiting.put(B, Vec::new())];
        let mut carrier = carrier.expect("sent");
        assert_eq!(shape(carrier.take(|_| false)), [(A, 1)], "one goes always");
        assert!(carrier.goes_on());
        assert_eq!(shape(carrier.take(|_| true)), [(A, 1), (B, 1)]);
    }

    #[test]
    fn what_a_carrier_leaves_behind_is_given_up() {
        let waiting = Waiting::new(1);
        let (mut answer, carrier) = waiting.put(A, Vec::new());
        drop(carrier);
        assert!(answer.try_recv().is_err());
        let (_b, carrier) = waiting.put(B, Vec::new());
        let mut carrier = carrier.expect("sent");
        let taken = carrier.take(|_| true);
        drop(carrier);
        assert_eq!(shape(taken), [(B, 1)]);
        assert!(waiting.put(B, Vec::new()).1.is_some(), "nobody is at it any more");
    }
}
