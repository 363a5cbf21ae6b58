//! Where the log is kept. Nothing else in this program knows which, but who starts workers.

use std::path::PathBuf;
use std::sync::Arc;

use sidestream::EventStore;
use sidestream::partition::PartitionCount;
use sidestream::store::postgres::PostgresStore;
use sidestream::store::sqlite::SqliteStore;

use crate::Failure;

/// What `--store` says.
#[derive(Clone)]
pub(crate) enum Choice {
    Sqlite(PathBuf),
    Postgres(String),
}

impl From<&str> for Choice {
    fn from(text: &str) -> Self {
        let is_url = text.starts_with("postgres://") || text.starts_with("postgresql://");
        let path = || text.strip_prefix("sqlite:").unwrap_or(text).into();
        if is_url { Self::Postgres(text.to_owned()) } else { Self::Sqlite(path()) }
    }
}

impl Choice {
    /// What a worker is given to open the same; none where it cannot.
    pub(crate) fn shared(&self) -> Option<&str> {
        match self {
            Self::Sqlite(_) => None,
            Self::Postgres(url) => Some(url),
        }
    }

    /// Opens the store, and makes it where there is none.
    pub(crate) async fn open(&self, partitions: u16) -> Result<Arc<dyn EventStore>, Failure> {
        let count = PartitionCount::new(partitions)?;
        Ok(match self {
            Self::Sqlite(path) => Arc::new(SqliteStore::builder(path).partitions(count).open()?),
            Self::Postgres(url) => {
                let options = PostgresStore::builder(url).migrate(true).partitions(count);
                Arc::new(options.writers(2).readers(2).open().await?)
            }
        })
    }
}
