//! The thread that writes: many callers, a full log, a lock that others hold, and its death.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::Connection;
use sidestream::clock::Clock;
use sidestream::partition::PartitionId;
use sidestream::store::AppendFailure;
use sidestream::store::sqlite::WalLimits;
use sidestream::{EventStore, Timestamp};

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_callers_share_commits_and_each_hears_its_own_result() {
    let place = Place::new();
    let store = place.open();
    let mut callers = Vec::new();
    for caller in 0..64_u64 {
        let store = store.clone();
        callers.push(tokio::spawn(async move {
            let stream = account(&caller.to_string());
            for n in 0..20 {
                put(&store, &stream, n, &caller.to_le_bytes()).await.unwrap();
                // The same again is at the wrong version.
                let failure = put(&store, &stream, n, b"again").await.unwrap_err();
                assert!(matches!(failure, AppendFailure::WrongVersion { found, .. } if found.get() == n + 1));
            }
        }));
    }
    for caller in callers {
        caller.await.unwrap();
    }
    let commits = store.status().commits;
    assert!(commits < 64 * 40 / 2, "{commits} commits for {} lists", 64 * 40);
    let mut total = 0;
    for partition in store.properties().partitions.all() {
        total += check_log(&store, partition).await;
    }
    assert_eq!(total, 64 * 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_writers_of_one_stream_never_both_win_a_version() {
    let place = Place::new();
    let store = place.open();
    let race = |name: &'static [u8]| {
        let store = store.clone();
        tokio::spawn(async move {
            let mut won = 0;
            for n in 0..100 {
                won += u64::from(put(&store, &account("7"), n, name).await.is_ok());
                while read(&store, &account("7"), 0).await.unwrap().head.get() <= n {}
            }
            won
        })
    };
    let (one, other) = (race(b"one"), race(b"other"));
    assert_eq!(one.await.unwrap() + other.await.unwrap(), 100);
    assert_eq!(payloads(&store, &account("7")).await.len(), 100);
}

#[tokio::test]
async fn dropping_the_store_commits_what_waits() {
    let place = Place::new();
    let store = place.open();
    let writers: Vec<_> = (0..50)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move { put(&store, &account(&n.to_string()), 0, b"x").await.is_ok() })
        })
        .collect();
    drop(store);
    for writer in writers {
        assert!(writer.await.unwrap());
    }
    let store = place.open();
    for n in 0..50 {
        assert_eq!(payloads(&store, &account(&n.to_string())).await, [b"x"]);
    }
}

#[tokio::test]
async fn a_long_reader_ends_in_overload_and_not_in_growth() {
    let place = Place::new();
    let limits = WalLimits { checkpoint_bytes: 50_000, restart_bytes: 100_000, most_bytes: 300_000 };
    let store = place.options().wal_limits(limits).open().unwrap();
    let stream = account("7");
    put(&store, &stream, 0, b"x").await.unwrap();
    let reader = Connection::open(place.path()).unwrap();
    reader.execute_batch("BEGIN; SELECT * FROM units").unwrap();
    let mut version = 1;
    let refused = loop {
        match put(&store, &stream, version, &[b'x'; 2_000]).await {
            Ok(_) => version += 1,
            Err(failure) => break failure,
        }
        assert!(version < 1_000, "the log grows without end");
    };
    let AppendFailure::Refused(error) = refused else { panic!("{refused}") };
    assert_eq!(error.code(), "overloaded", "{error}");
    assert!(std::fs::metadata(place.wal()).unwrap().len() < 400_000);
    assert_eq!(read(&store, &stream, 0).await.unwrap().head.get(), version, "reads go on");
    reader.execute_batch("COMMIT").unwrap();
    for _ in 0..500 {
        put(&store, &stream, version, &[b'x'; 2_000]).await.unwrap();
        version += 1;
    }
    assert!(std::fs::metadata(place.wal()).unwrap().len() < 500_000, "the log starts over again and again");
    assert_eq!(store.status().checkpoint_failures, 0);
}

#[tokio::test]
async fn a_lock_that_another_holds_is_waited_for_and_then_told() {
    let place = Place::new();
    let store = place.open();
    put(&store, &account("7"), 0, b"x").await.unwrap();
    let other = Connection::open(place.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let AppendFailure::Refused(error) = put(&store, &account("7"), 1, b"y").await.unwrap_err() else {
        panic!()
    };
    assert_eq!(error.code(), "unavailable", "{error}");
    assert!(error.to_string().contains("retry is safe"), "{error}");
    other.execute_batch("ROLLBACK").unwrap();
    put(&store, &account("7"), 1, b"y").await.unwrap();
    assert!(place.fatal.0.lock().unwrap().is_empty());
}

/// A clock that panics once it is told to.
#[derive(Debug, Default)]
struct Bomb(AtomicBool);

impl Clock for Bomb {
    fn now(&self) -> Timestamp {
        assert!(!self.0.load(Ordering::SeqCst), "the clock fell off the wall");
        Timestamp::from_micros(1)
    }

    fn new_id(&self) -> uuid::Uuid {
        uuid::Uuid::from_u128(1)
    }
}

#[tokio::test]
async fn a_dead_writer_leaves_unknown_outcomes_and_calls_the_fatal_handler() {
    let place = Place::new();
    let bomb = Arc::new(Bomb::default());
    let store = place.options().clock(bomb.clone()).open().unwrap();
    put(&store, &account("7"), 0, b"x").await.unwrap();
    bomb.0.store(true, Ordering::SeqCst);
    let failure = put(&store, &account("7"), 1, b"y").await.unwrap_err();
    let AppendFailure::Unknown(error) = failure else { panic!("{failure}") };
    assert_eq!(error.code(), "unknown");
    // What was handed over before the queue closed may be answered Unknown, too; soon nothing is taken any
    // more.
    loop {
        match put(&store, &account("7"), 1, b"y").await.unwrap_err() {
            AppendFailure::Refused(error) => break assert_eq!(error.code(), "unavailable", "{error}"),
            AppendFailure::Unknown(_) => tokio::task::yield_now().await,
            other => panic!("{other}"),
        }
    }
    let end = store.truncate(&account("7"), sidestream::stream::Version::new(1)).await.unwrap_err();
    assert_eq!(end.code(), "unavailable");
    assert!(store.status().is_degraded());
    assert_eq!(payloads(&store, &account("7")).await, [b"x"], "reads go on");
    while place.fatal.0.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(place.fatal.0.lock().unwrap().len(), 1);
    assert!(place.fatal.0.lock().unwrap()[0].contains("the writer died"));
    drop(store);
    assert_eq!(payloads(&place.open(), &account("7")).await, [b"x"]);
}

#[tokio::test]
async fn an_empty_list_is_answered_with_nothing() {
    let place = Place::new();
    assert!(place.open().append(PartitionId::new(0), Vec::new()).await.is_empty());
}
