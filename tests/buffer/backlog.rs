//! The backlog's figures, and the bound that rests on them.

use std::sync::Arc;
use std::time::Duration;

use sidestream::buffer::BacklogWatch;
use sidestream::clock::{ManualClock, Timestamp};
use sidestream::{AggregateId, CommandHandler, ErrorKind, EventStore, TransactionId};

use crate::receiver::{Reaction, Receiver};
use crate::support::*;

#[test]
fn depth_and_age_are_right_while_it_grows_while_it_shrinks_and_at_its_end() {
    paused(async {
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(0)));
        let store = one_partition(clock.clone());
        let (tellers, receiver) = (CommandHandler::new(store.clone(), Teller), Receiver::willing());
        let buffer = buffer(store.clone(), &receiver, settings());
        let watch = BacklogWatch::start(&buffer, Duration::from_millis(100)).unwrap();
        for number in 0..300 {
            tell(&tellers, number, (number % 3) as u8, &["x"]).await;
        }
        clock.advance(Duration::from_secs(7));
        tokio::time::sleep(Duration::from_secs(1)).await;
        let grown = watch.figures().unwrap().remove(0);
        assert_eq!((grown.depth, grown.oldest, grown.drains_in), (300, Some(Duration::from_secs(7)), None));

        let runs = Runs::start(&buffer, store.properties().partitions, 1);
        tokio::time::sleep(Duration::from_secs(2)).await;
        let empty = watch.figures().unwrap().remove(0);
        assert_eq!((empty.depth, empty.oldest, empty.drains_in), (0, None, Some(Duration::ZERO)));
        assert!(empty.out_per_second > 20.0, "{empty:?}");

        // What was begun in the middle of a history counts on from there.
        runs.stop().await;
        tell(&tellers, 300, 1, &["x", "y"]).await;
        let late = BacklogWatch::start(&buffer, Duration::from_millis(100)).unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(late.figures().unwrap()[0].depth, 2);
    });
}

#[test]
fn messages_beyond_the_bound_are_refused_and_everything_else_is_answered() {
    paused(async {
        let store = one_partition(Arc::new(sidestream::clock::SystemClock));
        let receiver = Receiver::new(|_| Reaction::Later);
        let buffer = buffer(store.clone(), &receiver, settings());
        let watch = BacklogWatch::start(&buffer, Duration::from_millis(10)).unwrap();
        let tellers = CommandHandler::builder(store.clone(), Teller).pressure(watch.at_most(5)).build();
        for number in 0..6 {
            tell(&tellers, number, 1, &["x"]).await;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        let (id, refused) = (AggregateId::new("t1").unwrap(), TransactionId::derive("tell", "6"));
        let command = Tell { key: 1, words: vec!["x".to_owned()] };
        let error = tellers.handle(&id, refused, command.clone()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Overloaded, "{error}");
        // What is known is answered, and what sends nothing goes through.
        tell(&tellers, 5, 1, &["x"]).await;
        tell(&tellers, 7, 1, &[]).await;
        receiver.now(|_| Reaction::Take);
        let runs = Runs::start(&buffer, store.properties().partitions, 1);
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert!(tellers.handle(&id, refused, command).await.unwrap().is_accepted(), "the same id, later");
        runs.stop().await;
    });
}
