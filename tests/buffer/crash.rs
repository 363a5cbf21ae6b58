//! Crashes everywhere: of whoever commands, of whoever publishes, of the store's answers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use sidestream::clock::SystemClock;
use sidestream::testkit::effort;
use sidestream::testkit::faults::{FaultyStore, Rates, Script};
use sidestream::{AggregateId, CommandHandler, EventStore, TransactionId};

use crate::receiver::{Reaction, Receiver};
use crate::support::*;

#[derive(Debug, Clone)]
struct Life {
    /// Commands that are sent while it lasts: key, words.
    commands: Vec<(u8, u8)>,
    /// How long it lasts, in milliseconds.
    lasts: u64,
    seed: u64,
    /// Of a thousand tries, so many get each answer.
    troubles: u64,
}

fn life() -> impl Strategy<Value = Life> {
    let commands = prop::collection::vec((0_u8..4, 0_u8..4), 0..8);
    (commands, 0_u64..400, any::<u64>(), prop_oneof![Just(0_u64), 0_u64..150])
        .prop_map(|(commands, lasts, seed, troubles)| Life { commands, lasts, seed, troubles })
}

/// A receiver that is as troublesome as it is told to be, but never refuses.
fn troublesome(receiver: &Receiver, life: &Life) {
    let (troubles, seed) = (life.troubles, life.seed);
    let count = std::sync::atomic::AtomicU64::new(seed);
    receiver.now(move |_| {
        let drawn = count.fetch_add(0x9e37_79b9_7f4a_7c15, std::sync::atomic::Ordering::Relaxed);
        match (drawn ^ (drawn >> 29)) % 1_000 {
            n if n < troubles => Reaction::Later,
            n if n < 2 * troubles => Reaction::TakeAndHang,
            n if n < 3 * troubles => Reaction::LaterAfter(Duration::from_millis(30)),
            _ => Reaction::Take,
        }
    });
}

async fn lives(lives: Vec<Life>) -> Result<(), TestCaseError> {
    let store = one_partition(Arc::new(SystemClock));
    let (receiver, partitions) = (Receiver::willing(), store.properties().partitions);
    let mut number = 0;
    for (epoch, life) in (1..).zip(&lives) {
        let rates = Rates { unavailable: 50, unknown: 50, late: 30, delay: 30, crash: 0 };
        let faulty = FaultyStore::new(Arc::new(store.clone()), Script::random(life.seed, rates));
        troublesome(&receiver, life);
        let patient = DestinationSettingsFor::crash();
        let runs = Runs::start(&buffer(faulty.clone(), &receiver, patient), partitions, epoch);
        let tellers = CommandHandler::new(faulty.clone(), Teller);
        for (key, words) in &life.commands {
            number += 1;
            let id = AggregateId::new(format!("t{key}")).unwrap();
            let words = (0..*words).map(|word| format!("{number}.{word}")).collect();
            let transaction = TransactionId::derive("tell", &number.to_string());
            // Whether it was done is told by the log in the end.
            drop(tellers.handle(&id, transaction, Tell { key: *key, words }).await);
        }
        tokio::time::sleep(Duration::from_millis(life.lasts)).await;
        drop(runs);
        faulty.lose_late();
    }
    receiver.now(|_| Reaction::Take);
    let runs = Runs::start(&buffer(store.clone(), &receiver, settings()), partitions, u64::MAX);
    let expected = recorded(&store).await;
    let count: usize = expected.values().map(Vec::len).sum();
    until("all have come", async || receiver.by_key().values().map(Vec::len).sum::<usize>() >= count).await;
    runs.stop().await;
    prop_assert_eq!(receiver.by_key(), expected);
    prop_assert!(receiver.log().broken.is_empty(), "{:?}", receiver.log().broken);
    Ok(())
}

struct DestinationSettingsFor;

impl DestinationSettingsFor {
    fn crash() -> sidestream::buffer::DestinationSettings {
        sidestream::buffer::DestinationSettings { window: 6, timeout_ms: 50, ..settings() }
    }
}

/// The messages that the log holds, by key, in order.
async fn recorded(store: &sidestream::MemoryStore) -> BTreeMap<String, Vec<String>> {
    let store: Arc<dyn EventStore> = Arc::new(store.clone());
    let selection = sidestream::feed::Selection::messages();
    let mut cursor = sidestream::feed::Cursor::new(
        Arc::clone(&store),
        sidestream::partition::PartitionId::new(0),
        selection,
        sidestream::Position::START,
    );
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for record in cursor.next().await.unwrap().records {
        let message = sidestream::message::RecordedMessage::read(&record).unwrap();
        found.entry(message.key).or_default().push(String::from_utf8(message.data.to_vec()).unwrap());
    }
    found
}

proptest! {
    #![proptest_config(effort::proptest_config(300, "proptest-regressions/buffer_crash.txt"))]

    /// Every message of a committed decision comes, of each key in order, others never; a duplicate has the same id and
    /// content.
    #[test]
    fn every_message_comes_in_order_through_any_crash(all in prop::collection::vec(life(), 1..6)) {
        paused(lives(all))?;
    }
}
