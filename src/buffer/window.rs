//! The messages of one partition that were read and are not done: pure.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::clock::Timestamp;
use crate::hash::HashMap;
use crate::limits;
use crate::message::RecordedMessage;
use crate::stream::Position;

/// Messages by key, in order. Of each key one is under way at most; keys do not wait for each other.
#[derive(Debug)]
pub(super) struct Window {
    /// What is not done, by position, with the time it was recorded.
    open: BTreeMap<Position, Timestamp>,
    /// What is done behind something that is not.
    ahead: BTreeSet<Position>,
    /// What was done before it was taken in: by the run before this one.
    known: BTreeSet<Position>,
    /// Messages that were taken in, ever.
    seen: u64,
    keys: HashMap<String, Queue>,
    /// Keys whose first message may be sent.
    ready: VecDeque<String>,
    /// Everything up to here was read.
    read_to: Position,
    bytes: usize,
}

/// How far everything is done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Done {
    /// Up to this position.
    pub(super) to: Position,
    /// Messages up to there, ever.
    pub(super) passed: u64,
    /// Messages behind it that are done, too.
    pub(super) ahead: u64,
    /// Which, each by how far it lies behind the one before, or behind `to`; the first of them, where there are many.
    pub(super) steps: Vec<u64>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Arc<RecordedMessage>>,
    /// How often the first was refused.
    refusals: u32,
    /// How often its receiver could not take it.
    postponed: u32,
}

impl Window {
    /// What is to be done behind `done`.
    pub(super) fn new(done: &Done) -> Self {
        let mut at = done.to;
        let known = done.steps.iter().map(|step| {
            at = at.plus(*step);
            at
        });
        Self {
            open: BTreeMap::new(),
            ahead: BTreeSet::new(),
            known: known.collect(),
            seen: done.passed,
            keys: HashMap::default(),
            ready: VecDeque::new(),
            read_to: done.to,
            bytes: 0,
        }
    }

    /// Takes in a message behind those before it.
    pub(super) fn take(&mut self, message: RecordedMessage) {
        if self.known.remove(&message.position) {
            return self.pass_over(message.position);
        }
        self.seen = self.seen.saturating_add(1);
        self.open.insert(message.position, message.recorded_at);
        self.bytes = self.bytes.saturating_add(message.data.len());
        let queue = self.keys.entry(message.key.clone()).or_default();
        if queue.waiting.is_empty() {
            self.ready.push_back(message.key.clone());
        }
        queue.waiting.push_back(Arc::new(message));
    }

    /// Takes in a message that is not to be sent.
    pub(super) fn pass_over(&mut self, position: Position) {
        self.seen = self.seen.saturating_add(1);
        self.ahead.insert(position);
    }

    /// Takes in that everything up to `position` was read.
    pub(super) fn read(&mut self, position: Position) {
        self.read_to = self.read_to.max(position);
    }

    /// The next message that may be sent, and how often it was refused. It is under way now, until
    /// [`sent`](Self::sent), [`again`](Self::again) or [`park`](Self::park) is told of it.
    pub(super) fn next(&mut self) -> Option<(Arc<RecordedMessage>, u32)> {
        let key = self.ready.pop_front()?;
        let queue = self.keys.get(&key)?;
        queue.waiting.front().map(|first| (Arc::clone(first), queue.refusals))
    }

    /// The message under way of this key is done; the next one may be sent.
    pub(super) fn sent(&mut self, key: &str) {
        let Some(queue) = self.keys.get_mut(key) else { return };
        if let Some(done) = queue.waiting.pop_front() {
            self.open.remove(&done.position);
            self.ahead.insert(done.position);
            self.bytes = self.bytes.saturating_sub(done.data.len());
        }
        (queue.refusals, queue.postponed) = (0, 0);
        if queue.waiting.is_empty() {
            self.keys.remove(key);
        } else {
            self.ready.push_back(key.to_owned());
        }
    }

    /// The message under way of this key was refused: how often by now.
    pub(super) fn refused(&mut self, key: &str) -> u32 {
        let Some(queue) = self.keys.get_mut(key) else { return 0 };
        queue.refusals = queue.refusals.saturating_add(1);
        queue.refusals
    }

    /// The receiver could not take the message under way of this key: how often by now.
    pub(super) fn postponed(&mut self, key: &str) -> u32 {
        let Some(queue) = self.keys.get_mut(key) else { return 0 };
        queue.postponed = queue.postponed.saturating_add(1);
        queue.postponed
    }

    /// The message under way of this key may be sent again.
    pub(super) fn again(&mut self, key: &str) {
        if self.keys.contains_key(key) {
            self.ready.push_back(key.to_owned());
        }
    }

    /// Takes the key of the message under way out, and returns what waited of it.
    pub(super) fn park(&mut self, key: &str) -> VecDeque<Arc<RecordedMessage>> {
        let Some(queue) = self.keys.remove(key) else { return VecDeque::new() };
        for message in &queue.waiting {
            self.open.remove(&message.position);
            self.ahead.insert(message.position);
            self.bytes = self.bytes.saturating_sub(message.data.len());
        }
        queue.waiting
    }

    /// Up to where everything is done.
    pub(super) fn done(&mut self) -> Done {
        let to = self.open.first_key_value().map_or(self.read_to, |(first, _)| first.minus(1));
        self.ahead = self.ahead.split_off(&to.next());
        let passed = self.seen.saturating_sub(count(self.len()));
        let ahead = count(self.ahead.len().saturating_add(self.known.len()));
        let mut before = to;
        let step = |position: &Position| {
            let step = position.get().saturating_sub(before.get());
            before = *position;
            step
        };
        // What is known and was not taken in yet lies behind everything that was.
        let steps = self.ahead.iter().chain(&self.known).take(limits::STEPS_AHEAD).map(step).collect();
        Done { to, passed, ahead, steps }
    }

    /// When the oldest was recorded that is not done.
    pub(super) fn oldest(&self) -> Option<Timestamp> {
        self.open.first_key_value().map(|(_, at)| *at)
    }

    pub(super) fn read_to(&self) -> Position {
        self.read_to
    }

    /// Messages that were read and are not behind it yet.
    pub(super) fn len(&self) -> usize {
        self.open.len().saturating_add(self.ahead.len())
    }

    /// Messages that are not done.
    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }
}

fn count(messages: usize) -> u64 {
    u64::try_from(messages).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
