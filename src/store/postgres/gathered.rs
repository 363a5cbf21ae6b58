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
    waiting: VecDeque<Queued<T, R>>,
    pace: Pace,
}

struct Queued<T, R> {
    thing: T,
    load: usize,
    reply: oneshot::Sender<R>,
}

fn load<'q, T: 'q, R: 'q>(queued: impl IntoIterator<Item = &'q Queued<T, R>>) -> usize {
    queued.into_iter().fold(0, |sum, queued| sum.saturating_add(queued.load))
}

/// Some things, and who waits for their answers.
pub(super) type Load<T, R> = (Vec<T>, Vec<oneshot::Sender<R>>);

impl<T, R> Gathered<T, R> {
    pub(super) fn new(most: usize) -> Self {
        Self { state: Mutex::new(State { waiting: VecDeque::new(), pace: Pace::default() }), most }
    }

    /// Puts something, and how much it is, behind what waits. A carrier that it gives has to be sent.
    pub(super) fn put(
        self: &Arc<Self>,
        thing: T,
        load: usize,
    ) -> (oneshot::Receiver<R>, Option<Carrier<T, R>>) {
        let (reply, answer) = oneshot::channel();
        let mut state = self.lock();
        state.waiting.push_back(Queued { thing, load: load.max(1), reply });
        let waiting = self::load(&state.waiting);
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
    /// It has brought what it took. Whether it goes on, perhaps after a pause; else it has ended.
    pub(super) fn goes_on(&mut self) -> bool {
        let mut guard = self.gathered.lock();
        let state = &mut *guard;
        self.has_ended = !state.pace.goes_on(&mut self.turn, load(&state.waiting));
        !self.has_ended
    }

    /// Takes what waits: the first in any case, and then as much as fits. None ends the carrier; from then on whoever
    /// puts something there sends another.
    pub(super) fn take(&mut self, mut fits: impl FnMut(&T) -> bool) -> Option<Load<T, R>> {
        let mut guard = self.gathered.lock();
        let state = &mut *guard;
        state.pace.begins(&mut self.turn);
        let count = state.waiting.iter().take_while(|queued| fits(&queued.thing)).count().max(1);
        let count = count.min(state.waiting.len());
        if count == 0 {
            state.pace.ends(&mut self.turn);
            self.has_ended = true;
            return None;
        }
        Some(state.waiting.drain(..count).map(|queued| (queued.thing, queued.reply)).unzip())
    }
}

impl<T, R> Drop for Carrier<T, R> {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        let mut state = self.gathered.lock();
        state.pace.ends(&mut self.turn);
        if state.pace.is_idle() {
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
        let mut carrier = gathered.put(1, 1).1.expect("sent");
        assert!(gathered.put(2, 1).1.is_none(), "one is on its way");
        assert_eq!(carrier.take(|_| true).map(|(things, _)| things), Some(vec![1, 2]));
        assert!(gathered.put(3, 1).1.is_none());
        assert_eq!(carrier.take(|_| false).map(|(things, _)| things), Some(vec![3]), "one fits always");
        assert!(carrier.take(|_| true).is_none());
        let mut carrier = gathered.put(4, 1).1.expect("nobody was on the way");
        assert_eq!(carrier.take(|_| true).map(|(things, _)| things), Some(vec![4]));
    }

    #[test]
    fn what_a_carrier_leaves_behind_is_given_up() {
        let gathered: Arc<Gathered<u8, ()>> = Arc::new(Gathered::new(1));
        let (mut answer, carrier) = gathered.put(1, 1);
        drop(carrier);
        assert!(answer.try_recv().is_err());
        assert!(gathered.put(2, 1).1.is_some());
    }
}
