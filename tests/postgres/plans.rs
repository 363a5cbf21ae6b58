//! A new store has no statistics, and its plans are kept. Nothing that is asked of it may read more for that.

use std::sync::Arc;

use sidestream::CommandHandler;
use sidestream::partition::PartitionCount;
use sidestream::store::postgres::PostgresStore;

use crate::database::Database;
use crate::rules::{Account, Command};
use crate::support::*;

/// Connections that begin one after the other: which plan is unlucky hangs on how full the tables are when it is made,
/// and how bad it is on how full they are when it is used.
const CONNECTIONS: u64 = 30;

/// A command reads and writes a few records. A plan that walks a partition for one reads hundreds.
const INDEX_ENTRIES_A_COMMAND: u64 = 20;

#[test]
fn plans_made_on_a_new_store_stay_good() {
    let database = Database::new();
    if database.server().is_none() {
        return;
    }
    on_threads(async {
        drop(open(&database).await);
        // Nobody tells the planner later what is in the tables.
        for table in ["records", "partitions", "floors", "open_steps"] {
            database.psql(&format!("ALTER TABLE sidestream.{table} SET (autovacuum_enabled = false)"));
        }
        let mut stores = Vec::new();
        for number in 0..CONNECTIONS {
            let store = Arc::new(open(&database).await);
            send(&store, &format!("early {number}"), 3).await;
            stores.push(store);
        }
        send(&stores[0], "filling", 300).await;
        for (number, store) in stores.iter().enumerate() {
            send(store, &format!("late {number}"), 10).await;
        }
    });
    wait_for("the connections have told what they read", || {
        let connections = "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid()
            AND datname = current_database()";
        database.psql(connections).trim() == "0"
    });
    let read =
        database.psql("SELECT sum(idx_tup_read)::int8 FROM pg_stat_user_indexes WHERE relname = 'records'");
    let read: u64 = read.trim().parse().expect("a number");
    let sent = 2 * (CONNECTIONS * (3 + 10) + 300);
    assert!(read >= sent, "nothing was counted: {read}");
    assert!(read <= sent * INDEX_ENTRIES_A_COMMAND, "{read} index entries for {sent} commands");
}

async fn send(store: &Arc<PostgresStore>, what: &str, accounts: u64) {
    let handler = CommandHandler::new(Arc::clone(store), Account);
    let deposit = Command::Deposit { minor: 1 };
    for number in 0..accounts {
        let name = format!("{what} {number}");
        let account = account(&name);
        let first = handler.handle(&account, tx(&name), deposit.clone()).await.expect("handled");
        // A process that knows nothing of the account's past.
        let cold = CommandHandler::new(Arc::clone(store), Account);
        let second =
            cold.handle(&account, tx(format!("{name} again")), deposit.clone()).await.expect("handled");
        assert!(first.is_accepted() && second.is_accepted());
    }
}

async fn open(database: &Database) -> PostgresStore {
    let builder = PostgresStore::builder(database.url()).migrate(true).writers(1).readers(1);
    builder.partitions(PartitionCount::new(1).expect("a count")).open().await.expect("opened")
}
