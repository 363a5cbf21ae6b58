//! What waits to be done together: whoever is free to do it takes all that has come meanwhile.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::store::postgres::pace::{Pace, Turn};

/// Things that wait, and those who carry them. Whoever waits for an answer that nobody can give any more hears that its
/// sender is gone.
pub(super) struct Gathered<T, R> {
    state: Mutex<State<T, R>>,
    /// Most carriers at a time.
    most: usize,
}

struct State<T, R> {
    waiting: VecDeque<(T, oneshot::Sender<R>)>,
    pace: Pace,
}

/// Some things, and who waits for their answers.
pub(super) type Load<T, R> = (Vec<T>, Vec<oneshot::Sender<R>>);

impl<T, R> Gathered<T, R> {
    pub(super) fn new(most: usize) -> Self {
        Self { state: Mutex::new(State { waiting: VecDeque::new(), pace: Pace::default() }), most }
    }

    /// Puts something behind what waits. A carrier that it gives has to be sent.
    pub(super) fn put(self: &Arc<Self>, thing: T) -> (oneshot::Receiver<R>, Option<Carrier<T, R>>) {
        let (reply, answer) = oneshot::channel();
        let mut state = self.lock();
        state.waiting.push_back((thing, reply));
        let waiting = state.waiting.len();
        let turn = state.pace.send(waiting, self.most);
        (answer, turn.map(|turn| Carrier { gathered: Arc::clone(self), turn, has_ended: false }))
    }

    fn lock(&self) -> MutexGuard<'_, State<T, R>> {
        // Nothing below panics half way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A carrier. When the last of them ends with something still waiting, because its runtime did, that is given up: it
/// would wait for ever.
pub(super) struct Carrier<T, R> {
    gathered: Arc<Gathered<T, R>>,
    pub(super) turn: Turn,
    has_ended: bool,
}

impl<T, R> Carrier<T, R> {
    /// Takes what waits: the first in any case, and then as much as fits. None ends the carrier; from then on whoever
    /// puts something there sends another.
    pub(super) fn take(&mut self, mut fits: impl FnMut(&T) -> bool) -> Option<Load<T, R>> {
        let mut guard = self.gathered.lock();
        let state = &mut *guard;
        let count = state.waiting.iter().take_while(|(thing, _)| fits(thing)).count().max(1);
        let count = count.min(state.waiting.len());
        if count == 0 {
            state.pace.ends(&mut self.turn);
            self.has_ended = true;
            return None;
        }
        state.pace.takes(&mut self.turn, count);
        Some(state.waiting.drain(..count).unzip())
    }
}

impl<T, R> Drop for Carrier<T, R> {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        let mut state = self.gathered.lock();
        if state.pace.ends(&mut self.turn) {
            state.waiting.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_comes_when_the_carriers_are_gone_sends_another() {
        let gathered: Arc<Gathered<u8, ()>> = Arc::new(Gathered::new(1));
        let mut carrier = gathered.put(1).1.expect("sent");
        assert!(gathered.put(2).1.is_none(), "one is on its way");
        assert_eq!(carrier.take(|_| true).map(|(things, _)| things), Some(vec![1, 2]));
        assert!(gathered.put(3).1.is_none());
        assert_eq!(carrier.take(|_| false).map(|(things, _)| things), Some(vec![3]), "one fits always");
        assert!(carrier.take(|_| true).is_none());
        let mut carrier = gathered.put(4).1.expect("nobody was on the way");
        assert_eq!(carrier.take(|_| true).map(|(things, _)| things), Some(vec![4]));
    }

    #[test]
    fn what_a_carrier_leaves_behind_is_given_up() {
        let gathered: Arc<Gathered<u8, ()>> = Arc::new(Gathered::new(1));
        let (mut answer, carrier) = gathered.put(1);
        drop(carrier);
        assert!(answer.try_recv().is_err());
        assert!(gathered.put(2).1.is_some());
    }
}
