#![allow(clippy::expect_used, clippy::as_conversions, clippy::arithmetic_side_effects)]

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::id::{Cause, Fingerprint, StepName, TransactionId};
use crate::message::{MessageId, Topic};
use crate::partition::PartitionId;
use crate::stream::{StreamName, Version};

fn message(position: u64, key: u8) -> RecordedMessage {
    let cause = Cause {
        transaction: TransactionId::derive("test", &position.to_string()),
        step: StepName::new("tell"),
        fingerprint: Fingerprint::from_bytes([0; 16]),
    };
    let stream = StreamName::parse("accountMessage-7").expect("a name");
    RecordedMessage {
        id: MessageId::derive(&stream, &cause, 0),
        topic: Topic::new("told"),
        key: key.to_string(),
        stream,
        version: Version::new(position),
        partition: PartitionId::new(0),
        position: Position::new(position),
        cause,
        recorded_at: Timestamp::from_micros(0),
        content_type: "text/plain".to_owned(),
        headers: BTreeMap::new(),
        data: Bytes::from_static(b"four"),
    }
}

#[derive(Debug, Clone)]
enum Deed {
    Take(u8),
    Gap,
    Send,
    /// Of those under way, this one ends so.
    Taken(usize),
    Refused(usize),
    Park(usize),
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        3 => (0_u8..4).prop_map(Deed::Take),
        1 => Just(Deed::Gap),
        3 => Just(Deed::Send),
        3 => any::<usize>().prop_map(Deed::Taken),
        1 => any::<usize>().prop_map(Deed::Refused),
        1 => any::<usize>().prop_map(Deed::Park),
    ]
}

/// The same, told simply: what was read, and which of it is done.
#[derive(Default)]
struct Model {
    read: Vec<(u64, String, bool)>,
    read_to: u64,
}

impl Model {
    fn done(&self) -> Done {
        let open = self.read.iter().find(|(_, _, done)| !done);
        let to = open.map_or(self.read_to, |(position, ..)| position - 1);
        let count = |up: bool| self.read.iter().filter(|(at, _, done)| *done && (*at <= to) == up).count();
        let mut before = to;
        let mut steps: Vec<u64> =
            self.read.iter().filter(|(at, _, done)| *done && *at > to).map(|(at, ..)| *at).collect();
        steps.iter_mut().for_each(|step| (*step, before) = (*step - before, *step));
        Done { to: Position::new(to), passed: count(true) as u64, ahead: count(false) as u64, steps }
    }

    fn end(&mut self, of: impl Fn(&str, u64) -> bool) {
        self.read.iter_mut().filter(|(at, key, _)| of(key, *at)).for_each(|(_, _, done)| *done = true);
    }
}

proptest! {
    /// Of each key one at a time and in order, and never past what is not done.
    #[test]
    fn a_window_is_what_was_read_and_is_not_done(deeds in prop::collection::vec(deed(), 1..60)) {
        let (mut window, mut model) = (Window::new(&Done::default()), Model::default());
        let mut under_way: Vec<(u64, String)> = Vec::new();
        for deed in deeds {
            let pick = |at: usize| (!under_way.is_empty()).then(|| at % under_way.len());
            match deed {
                Deed::Take(key) => {
                    model.read_to += 1;
                    model.read.push((model.read_to, key.to_string(), false));
                    window.take(message(model.read_to, key));
                    window.read(Position::new(model.read_to));
                }
                Deed::Gap => {
                    model.read_to += 3;
                    window.read(Position::new(model.read_to));
                }
                Deed::Send => {
                    if let Some((next, _)) = window.next() {
                        let first = model.read.iter().find(|(_, key, done)| *key == next.key && !done);
                        prop_assert_eq!(first.map(|(at, ..)| *at), Some(next.position.get()), "the key's first");
                        prop_assert!(under_way.iter().all(|(_, key)| *key != next.key), "one at a time");
                        under_way.push((next.position.get(), next.key.clone()));
                    }
                }
                Deed::Taken(at) => {
                    if let Some(at) = pick(at) {
                        let (position, key) = under_way.remove(at);
                        window.sent(&key);
                        model.end(|_, found| found == position);
                    }
                }
                Deed::Refused(at) => {
                    if let Some(at) = pick(at) {
                        let (_, key) = under_way.remove(at);
                        prop_assert!(window.refused(&key) > 0);
                        window.again(&key);
                    }
                }
                Deed::Park(at) => {
                    if let Some(at) = pick(at) {
                        let (position, key) = under_way.remove(at);
                        let waiting = window.park(&key);
                        prop_assert_eq!(waiting.front().map(|first| first.position.get()), Some(position));
                        model.end(|found, _| found == key);
                    }
                }
            }
            prop_assert_eq!(window.done(), model.done());
            prop_assert_eq!(window.open(), model.read.iter().filter(|(_, _, done)| !done).count());
            prop_assert_eq!(window.bytes(), window.open() * 4);
        }
        // The next run, from what is recorded, is to do exactly the rest.
        let mut next = Window::new(&window.done());
        prop_assert_eq!(next.done(), window.done(), "before it has read anything");
        for (position, key, _) in model.read.iter().filter(|(at, ..)| *at > model.done().to.get()) {
            next.take(message(*position, key.parse().expect("a number")));
        }
        next.read(Position::new(model.read_to));
        prop_assert_eq!((next.open(), next.done()), (window.open(), window.done()));
        // Whatever happened, all of it can be sent.
        for (_, key) in under_way.drain(..) {
            window.again(&key);
        }
        while let Some((next, _)) = window.next() {
            window.sent(&next.key);
        }
        prop_assert_eq!((window.open(), window.done().to.get()), (0, model.read_to));
    }
}
