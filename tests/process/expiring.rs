//! Holds that expire: events that a process follows, deadlines, commands in the hold's own transaction.

use std::sync::Arc;
use std::time::Duration;

use sidestream::protocol::Atomicity;
use sidestream::testkit::inline::Ran;
use sidestream::testkit::run;
use sidestream::{MemoryStore, Outcome, TransactionId};

use crate::account::{Command, Rejection};
use crate::audit::Audit;
use crate::support::*;

fn hour() -> Duration {
    Duration::from_secs(3_600)
}

async fn world() -> (Arc<sidestream::clock::ManualClock>, World) {
    let clock = manual();
    let store = MemoryStore::with(Default::default(), Atomicity::Batch, clock.clone());
    let world = World::on(store);
    world.open("a").await.unwrap();
    (clock, world)
}

#[test]
fn a_hold_is_released_once_after_its_time() {
    run(async {
        let (clock, world) = world().await;
        assert!(world.hold("h", "a", 3_600_000).await.unwrap());
        let mut inline = world.inline();
        assert_eq!(inline.run().await.unwrap(), Ran { heard: 1, sent: 1, deadlines: 0 });
        clock.advance(hour() - Duration::from_micros(1));
        assert_eq!(inline.run().await.unwrap(), Ran::default());
        assert_eq!(world.funds("a").await, (490, 10));
        clock.advance(Duration::from_micros(1));
        assert_eq!(inline.run().await.unwrap(), Ran { heard: 0, sent: 1, deadlines: 1 });
        assert_eq!(world.funds("a").await, (500, 0));
        // Everything again, in a new life: nothing more is released.
        let again = World::on(Arc::clone(&world.store));
        again.inline().run().await.unwrap();
        assert_eq!(again.funds("a").await, (500, 0));
        let figures = Audit::default().look(Arc::clone(&world.store)).await.unwrap();
        assert_eq!((figures.expiring, figures.expired, figures.is_right()), (1, 1, true));
    });
}

#[test]
fn a_hold_that_was_captured_or_released_before_stays_as_it_is() {
    run(async {
        let (clock, world) = world().await;
        for (name, command) in [("captured", Command::Capture), ("released", Command::Release)] {
            assert!(world.hold(name, "a", 3_600_000).await.unwrap());
            let under = TransactionId::derive("hold", name);
            assert!(world.accounts.handle(&id("a"), under, command).await.unwrap().is_accepted());
        }
        let mut inline = world.inline();
        inline.run().await.unwrap();
        clock.advance(hour());
        assert_eq!(inline.run().await.unwrap().deadlines, 2);
        assert_eq!(world.funds("a").await, (490, 0));
        // The step was settled by the expiry: a client that comes later hears so.
        let captured = TransactionId::derive("hold", "captured");
        let late = world.accounts.handle(&id("a"), captured, Command::Release).await.unwrap();
        assert_eq!(late, Outcome::Rejected(Rejection::NothingHeld));
    });
}

#[test]
fn the_same_transaction_id_on_two_accounts_is_two_holds() {
    run(async {
        let (clock, world) = world().await;
        world.open("b").await.unwrap();
        assert!(world.hold("h", "a", 1_000).await.unwrap());
        assert!(world.hold("h", "b", 1_000).await.unwrap());
        let mut inline = world.inline();
        assert_eq!(inline.run().await.unwrap().heard, 2);
        clock.advance(hour());
        inline.run().await.unwrap();
        assert_eq!((world.funds("a").await, world.funds("b").await), ((500, 0), (500, 0)));
    });
}

#[test]
fn events_that_a_process_follows_are_heard_across_crashes() {
    paused(async {
        let (clock, world) = world().await;
        let mut epoch = 0;
        for round in 0..20 {
            epoch += 1;
            let life = World::on(Arc::clone(&world.store));
            let runs = Runs::start(&life, epoch);
            assert!(life.hold(&format!("h{round}"), "a", 1_000).await.unwrap());
            // Each life ends somewhere else between the event and its being heard.
            tokio::time::sleep(Duration::from_millis(round)).await;
            drop(runs);
        }
        let life = World::on(Arc::clone(&world.store));
        let runs = Runs::start(&life, epoch + 1);
        until("all are released", async || {
            clock.advance(Duration::from_secs(1));
            life.funds("a").await == (500, 0)
        })
        .await;
        runs.stop().await;
        let figures = Audit::default().look(Arc::clone(&world.store)).await.unwrap();
        assert_eq!((figures.expiring, figures.expired, figures.doubled), (20, 20, 0));
    });
}
