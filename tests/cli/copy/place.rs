//! Stores of either kind, at places of a test's own.

use std::path::PathBuf;
use std::sync::Arc;

use sidestream::clock::Timestamp;
use sidestream::event::Record;
use sidestream::partition::PartitionCount;
use sidestream::store::postgres::PostgresStore;
use sidestream::store::rows::KeptRow;
use sidestream::store::sqlite::SqliteStore;
use sidestream::store::transfer::{Floor, LogHead, RowPlace, Transfer};
use sidestream::store::{EventStore, OpenStep};
use sidestream::stream::Position;
use tempfile::TempDir;

use super::database::Database;

pub const PARTITIONS: u16 = 3;

/// The two kinds of stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Sqlite,
    Postgres,
}

/// A place for a store.
pub enum Place {
    /// The folder goes away with it.
    Sqlite(#[allow(dead_code, reason = "it is kept")] TempDir, PathBuf),
    Postgres(Database),
}

/// An open store.
#[derive(Clone)]
pub enum Store {
    Sqlite(SqliteStore),
    Postgres(PostgresStore),
}

impl Place {
    /// A place where there is nothing yet; none where there is no PostgreSQL.
    pub fn new(kind: Kind) -> Option<Self> {
        match kind {
            Kind::Sqlite => {
                let folder = TempDir::new().unwrap();
                let path = folder.path().canonicalize().unwrap().join("pay.db");
                Some(Self::Sqlite(folder, path))
            }
            Kind::Postgres => {
                let database = Database::new();
                database.server().is_some().then_some(Self::Postgres(database))
            }
        }
    }

    /// As the program is told it.
    pub fn url(&self) -> String {
        match self {
            Self::Sqlite(_, path) => format!("sqlite:{}", path.display()),
            Self::Postgres(database) => database.url(),
        }
    }

    pub async fn try_open(&self) -> sidestream::Result<Store> {
        let count = PartitionCount::new(PARTITIONS).unwrap();
        Ok(match self {
            Self::Sqlite(_, path) => {
                Store::Sqlite(SqliteStore::builder(path).partitions(count).flush_after(200).open()?)
            }
            Self::Postgres(database) => Store::Postgres(
                PostgresStore::builder(database.url()).partitions(count).migrate(true).open().await?,
            ),
        })
    }

    /// For use, as a service opens it.
    pub async fn open(&self) -> Store {
        self.try_open().await.unwrap()
    }

    pub async fn open_source(&self) -> Store {
        match self {
            Self::Sqlite(_, path) => Store::Sqlite(SqliteStore::builder(path).as_source().open().unwrap()),
            Self::Postgres(database) => {
                Store::Postgres(PostgresStore::builder(database.url()).as_source().open().await.unwrap())
            }
        }
    }

    pub async fn open_copy_of(&self, source: &dyn Transfer) -> sidestream::Result<Store> {
        Ok(match self {
            Self::Sqlite(_, path) => {
                Store::Sqlite(SqliteStore::builder(path).flush_after(50).as_copy_of(source).open()?)
            }
            Self::Postgres(database) => {
                Store::Postgres(PostgresStore::builder(database.url()).as_copy_of(source).open().await?)
            }
        })
    }

    /// All that the store at this place holds, sealed or not.
    pub async fn dump(&self) -> Dump {
        let store = self.open_source().await;
        let dump = Dump::of(&*store.share()).await;
        store.close().await;
        dump
    }
}

impl Store {
    pub fn share(&self) -> Arc<dyn Transfer> {
        match self {
            Self::Sqlite(store) => Arc::new(store.clone()),
            Self::Postgres(store) => Arc::new(store.clone()),
        }
    }

    /// The same, to serve commands from.
    pub fn share_store(&self) -> Arc<dyn EventStore> {
        match self {
            Self::Sqlite(store) => Arc::new(store.clone()),
            Self::Postgres(store) => Arc::new(store.clone()),
        }
    }

    pub async fn close(self) {
        match self {
            Self::Sqlite(store) => store.close().await.unwrap(),
            Self::Postgres(store) => store.close(),
        }
    }
}

/// All that can be read of a store.
#[derive(Debug, PartialEq)]
pub struct Dump {
    pub id: String,
    pub logs: Vec<Vec<Record>>,
    pub heads: Vec<LogHead>,
    pub floors: Vec<Floor>,
    pub steps: Vec<OpenStep>,
    pub rows: Vec<(RowPlace, KeptRow)>,
}

impl Dump {
    pub async fn of(store: &dyn Transfer) -> Self {
        let mut logs = Vec::new();
        for partition in store.properties().partitions.all() {
            let (mut log, mut at) = (Vec::new(), Position::START);
            loop {
                let page = store.read_log(partition, at, 100).await.unwrap();
                log.extend(page.records);
                if page.read_to >= page.head {
                    break;
                }
                at = page.read_to;
            }
            logs.push(log);
        }
        let mut heads = store.log_heads().await.unwrap();
        // The time of a log that was never written to means nothing.
        heads.iter_mut().filter(|head| head.position == Position::START).for_each(|head| {
            head.recorded_at = Timestamp::MIN;
        });
        let (floors, steps) =
            (store.floors(None, 4_096).await.unwrap(), store.steps_by_name(None, 4_096).await.unwrap());
        let rows = store.kept_rows(None, 4_096).await.unwrap();
        Self { id: store.properties().id.to_string(), logs, heads, floors, steps, rows }
    }

    pub fn records(&self) -> usize {
        self.logs.iter().map(Vec::len).sum()
    }
}
