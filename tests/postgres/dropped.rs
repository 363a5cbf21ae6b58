//! Calls that are dropped at any of their awaits leave nothing behind: no transaction, no poisoned connection.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;

use sidestream::store::postgres::PostgresStore;
use sidestream::store::{EventStore, ReadFrom, StreamAppend, StreamRead, Unit};
use sidestream::stream::{ExpectedVersion, Version};
use sidestream::testkit::effort;
use sidestream::{CommandHandler, Decider};

use crate::database::Database;
use crate::rules::{Account, Command};
use crate::support::*;

const STUCK: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                     AND state LIKE 'idle in transaction%'";

/// Lets a future run until it has waited so often, and drops it. Whether it was done before that.
async fn drop_after(polls: u32, future: impl Future) -> bool {
    let mut future = pin!(future);
    for _ in 0..polls {
        let done =
            std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_ready())).await;
        if done {
            return true;
        }
        tokio::time::sleep(std::time::Duration::from_micros(300)).await;
    }
    false
}

#[test]
fn calls_that_are_dropped_at_any_await_leave_nothing_behind() {
    let database = Database::new();
    if database.server().is_none() {
        return;
    }
    on_threads(async {
        let builder = PostgresStore::builder(database.url()).migrate(true).writers(2).readers(2);
        let store = builder.open().await.expect("opened");
        let id = account("7");
        let stream = Account::CATEGORY.stream(&id);
        let partition = store.properties().partitions.of(id.cardinal());
        let read = || StreamRead { stream: stream.clone(), from: ReadFrom::After(Version::EMPTY), limit: 10 };
        let demand = || {
            let expected = ExpectedVersion::Any;
            Unit::one(StreamAppend { stream: stream.clone(), expected, records: Vec::new() })
        };
        for polls in 0..effort::cases(30) {
            drop_after(polls, store.read_streams(vec![read()])).await;
            drop_after(polls, store.append(partition, vec![demand()])).await;
            drop_after(polls, store.hold(partition)).await;
            drop_after(polls, async {
                if let Ok(Some(held)) = store.hold(partition).await {
                    held.append(vec![demand()]).await;
                }
            })
            .await;
        }
        let accounts = CommandHandler::new(store, Account);
        for number in 0..50 {
            accounts.handle(&id, tx(number), Command::Deposit { minor: 1 }).await.expect("handled");
        }
        wait_for("no transaction is left open", || database.psql(STUCK) == "0");
    });
}

/// Row 29: who keeps a partition locked is named.
#[test]
fn whoever_keeps_a_partition_locked_is_named() {
    let database = Database::new();
    let Some(server) = database.server() else { return };
    on_threads(async {
        let store = PostgresStore::builder(database.url()).migrate(true).open().await.expect("opened");
        let accounts = CommandHandler::new(store, Account);
        accounts.handle(&account("7"), tx("first"), Command::Deposit { minor: 1 }).await.expect("handled");
        let name = database.name().to_owned();
        let locking = tokio::task::spawn_blocking(move || {
            server.psql(&name, "BEGIN; SELECT 1 FROM sidestream.partitions FOR UPDATE; SELECT pg_sleep(12)")
        });
        wait_for("it is locked", || {
            database.psql("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(12)%' AND state = 'active'") != "1"
        });
        let error = accounts.handle(&account("7"), tx("locked out"), Command::Deposit { minor: 1 }).await;
        let error = error.expect_err("locked out").to_string();
        assert!(error.contains("locked by process ") && error.contains("psql"), "{error}");
        locking.await.expect("unlocked");
        let outcome = accounts.handle(&account("7"), tx("locked out"), Command::Deposit { minor: 1 }).await;
        assert!(outcome.expect("handled").is_accepted());
    });
}
