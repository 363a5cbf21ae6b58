//! What waits to be done together: whoever is free to do it takes all that has come meanwhile.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Things that wait, and those who carry them. Whoever waits for an answer that nobody can give any more hears that its
/// sender is gone.
pub(super) struct Gathered<T, R> {
    state: Mutex<State<T, R>>,
    /// Most carriers at a time.
    most: usize,
}

struct State<T, R> {
    waiting: VecDeque<(T, oneshot::Sender<R>)>,
    carriers: usize,
}

/// Some things, and who waits for their answers.
pub(super) type Load<T, R> = (Vec<T>, Vec<oneshot::Sender<R>>);

impl<T, R> Gathered<T, R> {
    pub(super) fn new(most: usize) -> Self {
        Self { state: Mutex::new(State { waiting: VecDeque::new(), carriers: 0 }), most }
    }

    /// Puts something behind what waits. Where it says so, the caller has to send a carrier.
    pub(super) fn put(&self, thing: T) -> (oneshot::Receiver<R>, bool) {
        let (reply, answer) = oneshot::channel();
        let mut state = self.lock();
        state.waiting.push_back((thing, reply));
        let wants_a_carrier = state.carriers < self.most;
        if wants_a_carrier {
            state.carriers = state.carriers.saturating_add(1);
        }
        (answer, wants_a_carrier)
    }

    fn lock(&self) -> MutexGuard<'_, State<T, R>> {
        // Nothing below panics half way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A carrier. When the last of them ends with something still waiting, because its runtime did, that is given up: it
/// would wait for ever.
pub(super) struct Carrier<'g, T, R> {
    gathered: &'g Gathered<T, R>,
    has_ended: bool,
}

impl<'g, T, R> Carrier<'g, T, R> {
    pub(super) fn of(gathered: &'g Gathered<T, R>) -> Self {
        Self { gathered, has_ended: false }
    }

    /// Takes what waits: the first in any case, and then as much as fits. None ends the carrier; from then on whoever
    /// puts something there sends another.
    pub(super) fn take(&mut self, mut fits: impl FnMut(&T) -> bool) -> Option<Load<T, R>> {
        let mut state = self.gathered.lock();
        let count = state.waiting.iter().take_while(|(thing, _)| fits(thing)).count().max(1);
        let count = count.min(state.waiting.len());
        if count == 0 {
            state.carriers = state.carriers.saturating_sub(1);
            self.has_ended = true;
            return None;
        }
        Some(state.waiting.drain(..count).unzip())
    }
}

impl<T, R> Drop for Carrier<'_, T, R> {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        let mut state = self.gathered.lock();
        state.carriers = state.carriers.saturating_sub(1);
        if state.carriers == 0 {
            state.waiting.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_comes_when_the_carriers_are_gone_sends_another() {
        let gathered: Gathered<u8, ()> = Gathered::new(1);
        assert!(gathered.put(1).1);
        assert!(!gathered.put(2).1, "one is on its way");
        let mut carrier = Carrier::of(&gathered);
        assert_eq!(carrier.take(|_| true).map(|(things, _)| things), Some(vec![1, 2]));
        assert!(!gathered.put(3).1);
        assert_eq!(carrier.take(|_| false).map(|(things, _)| things), Some(vec![3]), "one fits always");
        assert!(carrier.take(|_| true).is_none());
        assert!(gathered.put(4).1, "nobody is on the way");
        drop(carrier);
        assert_eq!(Carrier::of(&gathered).take(|_| true).map(|(things, _)| things), Some(vec![4]));
    }

    #[test]
    fn what_a_carrier_leaves_behind_is_given_up() {
        let gathered: Gathered<u8, ()> = Gathered::new(1);
        let (mut answer, _) = gathered.put(1);
        drop(Carrier::of(&gathered));
        assert!(answer.try_recv().is_err());
        assert!(gathered.put(2).1);
    }
}
