//! Messages arrive: of each key in order, keys side by side, what is recorded is not sent again.

use std::sync::Arc;

use sidestream::buffer::{Destination, DestinationSettings, EventBuffer};
use sidestream::clock::SystemClock;
use sidestream::{CommandHandler, ErrorKind, EventStore, MemoryStore};

use crate::receiver::{Reaction, Receiver};
use crate::support::*;

#[test]
fn messages_arrive_in_the_order_of_their_keys_and_keys_side_by_side() {
    paused(async {
        let store = MemoryStore::new();
        let (tellers, receiver) = (CommandHandler::new(store.clone(), Teller), Receiver::willing());
        for round in 0..20 {
            for key in 0..8 {
                tell(&tellers, round * 8 + key, key as u8, &[&format!("{round}a"), &format!("{round}b")])
                    .await;
            }
        }
        let runs =
            Runs::start(&buffer(store.clone(), &receiver, settings()), store.properties().partitions, 1);
        until("all have come", async || receiver.log().came.len() == 320).await;
        runs.stop().await;
        let expected: Vec<_> = (0..20).flat_map(|round| [format!("{round}a"), format!("{round}b")]).collect();
        for (key, came) in receiver.by_key() {
            assert_eq!(came, expected, "{key}");
        }
        let log = receiver.log();
        assert!(log.broken.is_empty(), "{:?}", log.broken);
        assert_eq!(log.tries, 320, "each once");
        assert!(log.at_once > 1, "keys wait for each other");
    });
}

#[test]
fn what_was_sent_is_not_sent_again_by_the_next_run() {
    paused(async {
        let store = one_partition(Arc::new(SystemClock));
        let (tellers, receiver) = (CommandHandler::new(store.clone(), Teller), Receiver::willing());
        let (buffer, partitions) =
            (buffer(store.clone(), &receiver, settings()), store.properties().partitions);
        for epoch in 1..4 {
            tell(&tellers, epoch, 1, &["x"]).await;
            let runs = Runs::start(&buffer, partitions, u64::try_from(epoch).unwrap());
            until("it has come", async || receiver.log().came.len() == epoch).await;
            runs.stop().await;
        }
        assert_eq!(receiver.log().tries, 3);
    });
}

#[test]
fn each_destination_gets_its_topics() {
    paused(async {
        let store = one_partition(Arc::new(SystemClock));
        let tellers = CommandHandler::new(store.clone(), Teller);
        let (loud, quiet) = (Receiver::willing(), Receiver::willing());
        let buffer = EventBuffer::new(store.clone())
            .of::<Teller>()
            .to(Destination::new("loud", loud.clone(), [TOLD]).unwrap())
            .to(Destination::new("quiet", quiet.clone(), [WHISPERED]).unwrap());
        let runs = Runs::start(&buffer, store.properties().partitions, 1);
        tell(&tellers, 1, 1, &["a", "(b)", "c"]).await;
        until("all have come", async || loud.log().came.len() == 2 && quiet.log().came.len() == 1).await;
        runs.stop().await;
        assert_eq!(
            (&loud.by_key()["key-1"][..], &quiet.by_key()["key-1"][0][..]),
            (&["a".into(), "c".into()][..], "(b)")
        );
    });
}

/// The zombie may still send; what it records is refused, and it stops.
#[test]
fn a_run_under_a_lower_epoch_records_nothing() {
    paused(async {
        let store = one_partition(Arc::new(SystemClock));
        let (tellers, receiver) =
            (CommandHandler::new(store.clone(), Teller), Receiver::new(|_| Reaction::Refuse));
        let (patient, partitions) =
            (DestinationSettings { attempts: 1_000, ..settings() }, store.properties().partitions);
        let buffer = buffer(store.clone(), &receiver, patient);
        let mut zombie = Runs::of(&buffer.processors().unwrap()[..1], partitions, 1);
        tell(&tellers, 1, 1, &["x"]).await;
        until("the zombie tries", async || receiver.log().tries > 0).await;
        let next = Runs::of(&buffer.processors().unwrap()[..1], partitions, 2);
        until("the next one tries", async || receiver.log().tries > 20).await;
        receiver.now(|_| Reaction::Take);
        assert_eq!(zombie.ended().await.unwrap_err().kind(), ErrorKind::Fenced);
        next.stop().await;
        let late = Runs::of(&buffer.processors().unwrap()[..1], partitions, 1).ended().await;
        assert_eq!(late.unwrap_err().kind(), ErrorKind::Fenced, "nor may one begin under it");
    });
}

/// A key that waits does not hold others up, as far as there is room; memory is bounded by it.
#[test]
fn others_go_on_as_far_as_the_window_goes() {
    paused(async {
        let store = one_partition(Arc::new(SystemClock));
        let tellers = CommandHandler::new(store.clone(), Teller);
        let receiver = Receiver::new(|data| if data == "stuck" { Reaction::Refuse } else { Reaction::Take });
        let narrow = DestinationSettings { attempts: u32::MAX, window: 10, ..settings() };
        tell(&tellers, 0, 0, &["stuck"]).await;
        for number in 1..40 {
            tell(&tellers, number, 1, &[&number.to_string()]).await;
        }
        let buffer = buffer(store.clone(), &receiver, narrow);
        let runs = Runs::start(&buffer, store.properties().partitions, 1);
        tokio::time::sleep(std::time::Duration::from_secs(60)).await;
        let came = receiver.log().came.len();
        // A page may go beyond the window once.
        assert!((9..=256).contains(&came), "{came}");
        receiver.now(|_| Reaction::Take);
        until("all have come", async || receiver.log().came.len() == 40).await;
        runs.stop().await;
    });
}

/// To be told so is no reason to forget what is just being recorded: the next record would be refused as another's.
#[test]
fn a_run_that_is_told_to_stop_while_it_records_ends_well() {
    let folder = tempfile::tempdir().unwrap();
    let partitions = sidestream::partition::PartitionCount::new(1).unwrap();
    let builder = sidestream::SqliteStore::builder(folder.path().join("events.db")).partitions(partitions);
    let store = builder.open().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let (tellers, receiver) = (CommandHandler::new(store.clone(), Teller), Receiver::willing());
        let hurried = DestinationSettings { record_every_ms: 0, ..settings() };
        let buffer = buffer(store.clone(), &receiver, hurried);
        for epoch in 1..60 {
            tell(&tellers, epoch, (epoch % 5) as u8, &["x", "y", "z"]).await;
            let runs =
                Runs::of(&buffer.processors().unwrap()[..1], partitions, u64::try_from(epoch).unwrap());
            until("something has come", async || receiver.log().came.len() >= epoch * 3 - 2).await;
            runs.stop().await;
        }
    });
}
