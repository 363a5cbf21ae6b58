//! Messages that are refused, and what operators do.

use std::sync::Arc;
use std::time::Duration;

use sidestream::buffer::{Asked, EventBuffer, ParkedMessages, Remedy};
use sidestream::clock::SystemClock;
use sidestream::{CommandHandler, ErrorKind, EventStore, MemoryStore};

use crate::receiver::{Reaction, Receiver};
use crate::support::*;

fn asked(remedy: Remedy) -> Asked {
    Asked { remedy, who: "Ada".to_owned(), why: "the receiver is mended".to_owned() }
}

/// "bad" was refused, and waits with what came after it; everything else has come.
async fn parked() -> (MemoryStore, Receiver, EventBuffer, Runs) {
    let store = one_partition(Arc::new(SystemClock));
    let tellers = CommandHandler::new(store.clone(), Teller);
    let receiver = Receiver::new(|data| match data {
        "bad" => Reaction::Refuse,
        "worse" => Reaction::Panic,
        _ => Reaction::Take,
    });
    let buffer = buffer(store.clone(), &receiver, settings());
    let runs = Runs::start(&buffer, store.properties().partitions, 1);
    tell(&tellers, 1, 1, &["a", "bad", "b", "worse"]).await;
    tell(&tellers, 2, 2, &["x", "y"]).await;
    let parked = ParkedMessages::new(store.clone());
    until("it is parked", async || !parked.list(&name()).await.unwrap().is_empty()).await;
    tell(&tellers, 3, 1, &["c"]).await;
    tell(&tellers, 4, 2, &["z"]).await;
    until("others go on", async || receiver.by_key()["key-2"] == ["x", "y", "z"]).await;
    assert_eq!(receiver.by_key()["key-1"], ["a"]);
    (store, receiver, buffer, runs)
}

#[test]
fn a_refused_message_is_parked_with_what_follows_of_its_key_and_a_retry_sends_all_of_it() {
    paused(async {
        let (store, receiver, _, runs) = parked().await;
        let parked = ParkedMessages::new(store.clone());
        let (partition, found) = parked.list(&name()).await.unwrap().remove(0);
        assert_eq!((&found.key[..], &found.error[..], found.refusals), ("key-1", "not wanted", 3));

        // In vain: it is back, with what was said this time.
        parked.ask(&name(), (partition, &found), asked(Remedy::Retry)).await.unwrap();
        let again = || async { parked.list(&name()).await.unwrap().remove(0).1 };
        until("it was tried", async || again().await.refusals == 1 && again().await.asked.is_none()).await;

        receiver.now(|data| if data == "worse" { Reaction::Panic } else { Reaction::Take });
        parked.ask(&name(), (partition, &again().await), asked(Remedy::Retry)).await.unwrap();
        until("the next one is refused", async || again().await.error.contains("panicked")).await;
        assert_eq!(receiver.by_key()["key-1"], ["a", "bad", "b"]);

        parked.ask(&name(), (partition, &again().await), asked(Remedy::Skip)).await.unwrap();
        until("nothing is parked", async || parked.list(&name()).await.unwrap().is_empty()).await;
        assert_eq!(receiver.by_key()["key-1"], ["a", "bad", "b", "c"]);
        let tellers = CommandHandler::new(store, Teller);
        tell(&tellers, 5, 1, &["d"]).await;
        until("the key goes on", async || receiver.by_key()["key-1"].last().unwrap() == "d").await;
        runs.stop().await;
        assert!(receiver.log().broken.is_empty(), "{:?}", receiver.log().broken);
    });
}

#[test]
fn what_is_parked_stays_parked_through_a_crash_and_a_retry_under_way_goes_on() {
    paused(async {
        let (store, receiver, buffer, runs) = parked().await;
        let parked = ParkedMessages::new(store.clone());
        let (partition, found) = parked.list(&name()).await.unwrap().remove(0);
        drop(runs);
        parked.ask(&name(), (partition, &found), asked(Remedy::Skip)).await.unwrap();
        receiver.now(|_| Reaction::TakeAndHang);
        let dies = Runs::start(&buffer, store.properties().partitions, 2);
        tokio::time::sleep(Duration::from_millis(700)).await;
        drop(dies);
        receiver.now(|_| Reaction::Take);
        let runs = Runs::start(&buffer, store.properties().partitions, 3);
        until("nothing is parked", async || parked.list(&name()).await.unwrap().is_empty()).await;
        runs.stop().await;
        assert_eq!(receiver.by_key()["key-1"], ["a", "b", "worse", "c"]);
    });
}

#[test]
fn what_is_not_parked_cannot_be_asked_for() {
    paused(async {
        let (store, _, _, runs) = parked().await;
        let parked = ParkedMessages::new(store);
        let (partition, mut found) = parked.list(&name()).await.unwrap().remove(0);
        found.key = "key-2".to_owned();
        let error = parked.ask(&name(), (partition, &found), asked(Remedy::Skip)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        runs.stop().await;
    });
}
