//! Receivers that are down, slow, or lose their answers.

use std::sync::Arc;
use std::time::Duration;

use sidestream::buffer::DestinationSettings;
use sidestream::clock::SystemClock;
use sidestream::{CommandHandler, EventStore};

use crate::receiver::{Reaction, Receiver};
use crate::support::*;

/// A thousand messages wait for an hour; the receiver is asked now and then, and nothing is lost or parked.
#[test]
fn a_receiver_that_is_down_is_left_alone_and_gets_everything_later() {
    paused(async {
        let store = one_partition(Arc::new(SystemClock));
        let (tellers, receiver) =
            (CommandHandler::new(store.clone(), Teller), Receiver::new(|_| Reaction::Later));
        for number in 0..1_000 {
            tell(&tellers, number, (number % 50) as u8, &[&number.to_string()]).await;
        }
        let slow = DestinationSettings {
            outage: sidestream::feed::Pauses { shortest_ms: 100, longest_ms: 30_000 },
            ..settings()
        };
        let buffer = buffer(store.clone(), &receiver, slow);
        let processors = buffer.processors().unwrap();
        let runs = Runs::of(&processors, store.properties().partitions, 1);
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        let tries = receiver.log().tries;
        assert!((100..400).contains(&tries), "{tries} tries in an hour");
        let status = processors[0].status(sidestream::partition::PartitionId::new(0)).unwrap();
        assert!(status.state.contains("does not take messages: busy"), "{status:?}");
        receiver.now(|_| Reaction::Take);
        until("all have come", async || receiver.log().came.len() == 1_000).await;
        runs.stop().await;
        assert!(receiver.log().broken.is_empty());
    });
}

#[test]
fn a_receiver_that_asks_for_a_pause_gets_it() {
    paused(async {
        let store = one_partition(Arc::new(SystemClock));
        let (tellers, receiver) = (CommandHandler::new(store.clone(), Teller), Receiver::willing());
        receiver.now(|_| Reaction::LaterAfter(Duration::from_secs(100)));
        for number in 0..10 {
            tell(&tellers, number, number as u8, &["x"]).await;
        }
        let one = DestinationSettings { at_once: 1, ..settings() };
        let runs = Runs::start(&buffer(store.clone(), &receiver, one), store.properties().partitions, 1);
        tokio::time::sleep(Duration::from_secs(99)).await;
        assert_eq!(receiver.log().tries, 1, "all messages are held back, whatever their keys");
        receiver.now(|_| Reaction::Take);
        until("all have come", async || receiver.log().came.len() == 10).await;
        runs.stop().await;
    });
}

/// The receiver has it, and its answer is lost: it comes again, with the same id and content.
#[test]
fn a_lost_answer_is_a_duplicate_with_the_same_id() {
    paused(async {
        let store = one_partition(Arc::new(SystemClock));
        let (tellers, receiver) = (CommandHandler::new(store.clone(), Teller), Receiver::willing());
        receiver.now(|_| Reaction::TakeAndHang);
        tell(&tellers, 1, 1, &["a", "b"]).await;
        let runs =
            Runs::start(&buffer(store.clone(), &receiver, settings()), store.properties().partitions, 1);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(receiver.log().came.len(), 1, "the next one of the key waits");
        receiver.now(|_| Reaction::Take);
        until("all have come", async || receiver.by_key().get("key-1").is_some_and(|came| came.len() == 2))
            .await;
        runs.stop().await;
        let log = receiver.log();
        assert!(log.broken.is_empty(), "{:?}", log.broken);
        assert_eq!((log.contents.len(), log.came.len() >= 3), (2, true));
    });
}

#[test]
fn a_run_that_ends_while_its_message_probes_leaves_the_destination_open_to_the_next_run() {
    paused(async {
        let store = one_partition(Arc::new(SystemClock));
        let tellers = CommandHandler::new(store.clone(), Teller);
        let receiver = Receiver::new(|_| Reaction::Later);
        let all = buffer(store.clone(), &receiver, DestinationSettings { timeout_ms: 60_000, ..settings() });
        let (processors, partitions) = (all.processors().unwrap(), store.properties().partitions);
        let runs = Runs::of(&processors, partitions, 1);
        tell(&tellers, 1, 1, &["a"]).await;
        until("it is left alone", async || receiver.log().tries >= 5).await;
        receiver.now(|_| Reaction::TakeAndHang);
        until("it is probed", async || !receiver.by_key().is_empty()).await;
        drop(runs);
        receiver.now(|_| Reaction::Take);
        let runs = Runs::of(&processors, partitions, 2);
        tell(&tellers, 2, 2, &["b"]).await;
        until("all come", async || receiver.by_key().len() == 2).await;
        runs.stop().await;
    });
}
