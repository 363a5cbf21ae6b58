//! What the bare loop writes for a command: the very bytes that the store writes for its three records, in three rows.
//!
//! The store keeps what the records of a command share once, in one row. Three rows that were records by themselves
//! would be larger, and the bare loop slower.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::cli::bench::account::{AGE_EVENTS, Account, Command};
use crate::cli::failure::Failure;
use crate::clock::{Clock, SystemClock};
use crate::command::CommandHandler;
use crate::id::TransactionId;
use crate::store::sqlite::SqliteStore;
use crate::stream::AggregateId;

const LAST_UNIT: &str = include_str!("sql/last_unit.sql");
/// Bytes of a row's columns beside its body: partition, position and time.
const COLUMNS: usize = 12;

/// The bytes of one command, to be stamped with other transactions' ids.
#[derive(Debug, Clone)]
pub(super) struct Bodies {
    bytes: Vec<u8>,
    /// Where the transaction's id stands.
    place: usize,
}

impl Bodies {
    /// Has one command handled by a store beside `path`, keeps what it wrote, and removes the store.
    pub(super) async fn record(path: &Path) -> Result<Self, Failure> {
        let store_path = path.with_extension("one");
        let store = SqliteStore::open(&store_path)?;
        let account = AggregateId::new("00000000")?;
        let handler = CommandHandler::new(store.clone(), Account);
        let id = || TransactionId::new(SystemClock.new_id());
        // Its versions are no small numbers then.
        handler.handle(&account, id(), Command::Age { events: AGE_EVENTS }).await?;
        let transaction = id();
        handler.handle(&account, transaction, Command::Hold { cents: 50_000 }).await?;
        store.close().await?;
        let mut bytes: Vec<u8> = Connection::open(&store_path)?.query_row(LAST_UNIT, [], |row| row.get(0))?;
        for suffix in ["", "-wal", "-shm", ".lock"] {
            std::fs::remove_file(with_suffix(&store_path, suffix)).ok();
        }
        bytes.extend([1; COLUMNS]);
        let id = transaction.as_uuid();
        let place = bytes.windows(16).position(|window| window == id.as_bytes());
        let place = place.ok_or_else(|| Failure::Run("a stored command does not hold its id".to_owned()))?;
        Ok(Self { bytes, place })
    }

    /// The bodies of another transaction's command.
    pub(super) fn stamped(&self, transaction: TransactionId) -> [Vec<u8>; 3] {
        let mut bytes = self.bytes.clone();
        if let Some(place) = bytes.get_mut(self.place..).and_then(|rest| rest.first_chunk_mut::<16>()) {
            *place = *transaction.as_uuid().as_bytes();
        }
        let third = bytes.len().div_ceil(3);
        let last = bytes.split_off(third.saturating_mul(2));
        let middle = bytes.split_off(third);
        [bytes, middle, last]
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn three_bodies_hold_what_a_row_of_the_store_does() {
        let folder = tempfile::tempdir().expect("a folder");
        let bodies = Bodies::record(&folder.path().join("floor.db")).await.expect("recorded");
        let id = TransactionId::derive("test", "1");
        let all = bodies.stamped(id).concat();
        assert!((100..250).contains(&all.len()), "{}", all.len());
        assert!(all.windows(16).any(|window| window == id.as_uuid().as_bytes()));
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0, "nothing is left behind");
    }
}
