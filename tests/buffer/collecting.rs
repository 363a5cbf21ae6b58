//! Messages are removed once all destinations have them, after their retention, and no sooner.

use std::sync::Arc;
use std::time::Duration;

use sidestream::buffer::{Destination, DestinationName, EventBuffer};
use sidestream::clock::{ManualClock, Timestamp};
use sidestream::feed::{Cursor, Selection};
use sidestream::{CommandHandler, EventStore, MemoryStore, Position};

use crate::receiver::{Reaction, Receiver};
use crate::support::*;

async fn kept(store: &MemoryStore) -> usize {
    let store: Arc<dyn EventStore> = Arc::new(store.clone());
    let partition = store.properties().partitions.of("t1");
    Cursor::new(store, partition, Selection::messages(), Position::START).next().await.unwrap().records.len()
}

#[test]
fn messages_go_when_everybody_has_them_and_they_are_old() {
    paused(async {
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(0)));
        let store = one_partition(clock.clone());
        let tellers = CommandHandler::new(store.clone(), Teller);
        let (ears, deaf) = (Receiver::willing(), Receiver::new(|_| Reaction::Later));
        let buffer = EventBuffer::new(store.clone())
            .of::<Teller>()
            .to(Destination::new("ears", ears.clone(), [TOLD, WHISPERED]).unwrap())
            .to(Destination::new("deaf", deaf.clone(), [TOLD]).unwrap().settings(settings()).unwrap())
            .retention(Duration::from_secs(3_600));
        let runs = Runs::start(&buffer, store.properties().partitions, 1);
        for number in 0..600 {
            tell(&tellers, number, (number % 2) as u8, &["x"]).await;
        }
        until("one has them", async || ears.log().came.len() == 600).await;
        clock.advance(Duration::from_secs(4_000));
        tokio::time::sleep(Duration::from_secs(200)).await;
        assert_eq!(kept(&store).await, 600, "the other one has not");

        deaf.now(|_| Reaction::Take);
        until("both have them", async || deaf.log().came.len() == 600).await;
        tell(&tellers, 600, 1, &["young"]).await;
        until("they are gone", async || kept(&store).await == 1).await;
        runs.stop().await;

        // The events are where they were, and so is the answer to an old id.
        tell(&tellers, 3, 1, &["x"]).await;
        assert_eq!(kept(&store).await, 1);
    });
}

/// A destination that is forgotten keeps nothing; one that never had a run keeps nothing either.
#[test]
fn a_forgotten_destination_keeps_nothing() {
    paused(async {
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(0)));
        let store = one_partition(clock.clone());
        let tellers = CommandHandler::new(store.clone(), Teller);
        let ears = Receiver::willing();
        let both = EventBuffer::new(store.clone())
            .of::<Teller>()
            .to(Destination::new("ears", ears.clone(), [TOLD, WHISPERED]).unwrap())
            .to(Destination::new("old", Receiver::new(|_| Reaction::Refuse), [TOLD]).unwrap())
            .retention(Duration::from_secs(1));
        let partitions = store.properties().partitions;
        let runs = Runs::start(&both, partitions, 1);
        tell(&tellers, 1, 1, &["x"]).await;
        clock.advance(Duration::from_secs(100));
        until("it has come", async || ears.log().came.len() == 1).await;
        tokio::time::sleep(Duration::from_secs(120)).await;
        runs.stop().await;
        assert_eq!(kept(&store).await, 1, "the old one has parked it");

        both.forget(&DestinationName::new("old").unwrap()).await.unwrap();
        let one = buffer(store.clone(), &ears, settings()).retention(Duration::from_secs(1));
        let runs = Runs::start(&one, partitions, 2);
        until("it is gone", async || kept(&store).await == 0).await;
        runs.stop().await;
    });
}
