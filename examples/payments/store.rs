//! Where the payments are kept: in a file, or in a PostgreSQL database that several processes share. Nothing else
//! in this program knows which.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sidestream::EventStore;
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
        if is_url { Self::Postgres(text.to_owned()) } else { Self::Sqlite(text.into()) }
    }
}

impl Choice {
    /// What a process of this program is given to open the same.
    pub(crate) fn argument(&self) -> &std::ffi::OsStr {
        match self {
            Self::Sqlite(path) => path.as_os_str(),
            Self::Postgres(url) => url.as_ref(),
        }
    }

    /// The file, where it is one.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::Sqlite(path) => Some(path),
            Self::Postgres(_) => None,
        }
    }
}

/// A URL is shown from its hosts on: a password may stand before them.
impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => path.display().fmt(f),
            Self::Postgres(url) => {
                let place = url.split('?').next().and_then(|url| url.rsplit(['@', '/']).nth(1));
                let database = url.split('?').next().and_then(|url| url.rsplit('/').next());
                write!(f, "postgres://{}/{}", place.unwrap_or_default(), database.unwrap_or_default())
            }
        }
    }
}

/// An open store.
#[derive(Clone)]
pub(crate) enum Store {
    Sqlite(SqliteStore),
    Postgres(PostgresStore),
}

impl Store {
    /// Opens the store, and makes it where there is none or an empty file. A database must exist.
    pub(crate) async fn open(choice: &Choice) -> Result<Self, Failure> {
        if choice.path().is_some_and(Path::is_dir) {
            return Err(
                format!("--store {choice} is a directory; name a file in it; nothing was sent").into()
            );
        }
        let opened = match choice {
            Choice::Sqlite(path) => SqliteStore::open(path).map(Self::Sqlite),
            Choice::Postgres(url) => {
                PostgresStore::builder(url).migrate(true).open().await.map(Self::Postgres)
            }
        };
        opened.map_err(|error| format!("cannot open the store {choice}: {error}; nothing was sent").into())
    }

    /// What handlers and readers work on.
    pub(crate) fn events(&self) -> Arc<dyn EventStore> {
        match self {
            Self::Sqlite(store) => Arc::new(store.clone()),
            Self::Postgres(store) => Arc::new(store.clone()),
        }
    }

    pub(crate) async fn close(self) -> Result<(), Failure> {
        match self {
            Self::Sqlite(store) => Ok(store.close().await?),
            Self::Postgres(store) => {
                store.close();
                Ok(())
            }
        }
    }
}
