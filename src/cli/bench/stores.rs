//! The stores that can be measured.

use std::path::Path;
use std::sync::Arc;

use crate::cli::bench::account::Account;
use crate::cli::bench::database;
use crate::cli::bench::place::{self, Home, Place};
use crate::cli::bench::runs;
use crate::cli::failure::Failure;
use crate::command::{CommandHandler, Settings};
use crate::error::{Error, ErrorKind};
use crate::store::EventStore;
use crate::store::memory::MemoryStore;
use crate::store::postgres::PostgresStore;
use crate::store::sqlite::SqliteStore;

/// A store.
#[derive(Debug, Clone)]
pub(super) enum Store {
    Sqlite(SqliteStore),
    Postgres(PostgresStore),
    Memory(MemoryStore),
}

impl Store {
    /// Opens the store, and makes it where there is none. One that exists must be of an earlier run.
    pub(super) async fn open(place: &Place) -> Result<Self, Failure> {
        match place.home() {
            Home::Sqlite(path) => {
                if path.symlink_metadata().is_ok() {
                    check_ours(path).await?;
                }
                Ok(Self::Sqlite(SqliteStore::open(path)?))
            }
            Home::Postgres(url) => Ok(Self::Postgres(database::open(url).await?)),
            Home::Memory => Ok(Self::Memory(MemoryStore::new())),
        }
    }

    /// Closes the store and opens it again, so that nothing of it is in memory. A store in memory stays.
    pub(super) async fn reopen(self, place: &Place) -> Result<Self, Failure> {
        if matches!(self, Self::Memory(_)) {
            return Ok(self);
        }
        self.close().await?;
        Self::open(place).await
    }

    /// The store, whatever its kind.
    pub(super) fn shared(&self) -> Arc<dyn EventStore> {
        match self {
            Self::Sqlite(store) => Arc::new(store.clone()),
            Self::Postgres(store) => Arc::new(store.clone()),
            Self::Memory(store) => Arc::new(store.clone()),
        }
    }

    /// What kind of store it is.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "sqlite",
            Self::Postgres(_) => "postgres",
            Self::Memory(_) => "memory",
        }
    }

    pub(super) async fn close(self) -> Result<(), Failure> {
        match self {
            Self::Sqlite(store) => Ok(store.close().await?),
            Self::Postgres(store) => {
                store.close();
                Ok(())
            }
            Self::Memory(_) => Ok(()),
        }
    }

    /// Marks the store as one that runs write to.
    pub(super) async fn note(&self, run: u64) -> Result<(), Failure> {
        match self {
            Self::Sqlite(store) => runs::note(store, run).await,
            Self::Postgres(store) => runs::note(store, run).await,
            Self::Memory(store) => runs::note(store, run).await,
        }
    }

    /// A new handler: it knows no account yet.
    pub(super) fn handler(&self, settings: Settings) -> CommandHandler<Account> {
        match self {
            Self::Sqlite(store) => CommandHandler::builder(store.clone(), Account).settings(settings).build(),
            Self::Postgres(store) => {
                CommandHandler::builder(store.clone(), Account).settings(settings).build()
            }
            Self::Memory(store) => CommandHandler::builder(store.clone(), Account).settings(settings).build(),
        }
    }

    /// Transactions since the store was opened, where it has such.
    pub(super) fn commits(&self) -> Option<u64> {
        match self {
            Self::Sqlite(store) => Some(store.status().commits),
            Self::Postgres(store) => Some(store.status().commits),
            Self::Memory(_) => None,
        }
    }

    /// Whether other processes may write to it meanwhile.
    pub(super) fn is_shared(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }
}

/// What a store's files or tables take, in bytes; none in memory.
pub(super) async fn size(place: &Place) -> Result<Option<u64>, Failure> {
    match place.home() {
        Home::Sqlite(path) => Ok(Some(place::size(path))),
        Home::Postgres(url) => Ok(Some(database::size(url, database::SCHEMA).await?)),
        Home::Memory => Ok(None),
    }
}

/// Demands that the file is a store that runs have written to.
async fn check_ours(path: &Path) -> Result<(), Failure> {
    let refuse = |why: &dyn std::fmt::Display| {
        let path = path.display();
        Failure::Call(format!("{path} exists and is no store of an earlier run: {why}; choose another path"))
    };
    match earlier_runs(path).await {
        Ok(0) => Err(refuse(&"it holds no record of one")),
        Ok(_) => Ok(()),
        Err(error) => Err(refuse(&error)),
    }
}

/// How many runs wrote to the store. A run that was killed leaves a write-ahead log that only a writer may recover
/// from.
async fn earlier_runs(path: &Path) -> Result<u64, Error> {
    match SqliteStore::open_read_only(path) {
        Ok(store) => {
            let runs = runs::count(&store).await;
            store.close().await?;
            runs
        }
        Err(error) if error.kind() == ErrorKind::Unavailable => {
            let store = SqliteStore::open(path)?;
            let runs = runs::count(&store).await;
            store.close().await?;
            runs
        }
        Err(error) => Err(error),
    }
}
