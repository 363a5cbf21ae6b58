//! Where a store is, and the store there.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cli::failure::Failure;
use crate::error::{Error, ErrorKind};
use crate::store::EventStore;
use crate::store::postgres::PostgresStore;
use crate::store::sqlite::SqliteStore;
use crate::store::transfer::Transfer;

/// Where a store is. It holds a password, perhaps, and so is never printed.
pub(super) enum Place {
    Sqlite(PathBuf),
    Postgres(String),
}

/// A store that is open.
pub(super) enum Open {
    Sqlite(SqliteStore),
    Postgres(PostgresStore),
}

impl Place {
    pub(super) fn parse(text: &str, option: &str) -> Result<Self, Failure> {
        match text.split_once(':') {
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::Sqlite(path.into())),
            Some(("postgres" | "postgresql", _)) => Ok(Self::Postgres(text.to_owned())),
            // What was given may hold a password.
            _ => Err(Failure::Call(format!(
                "{option} is no store; write sqlite:PATH or postgres://user:password@host:5432/database"
            ))),
        }
    }

    /// The name that messages and the source's mark give it, the same from wherever it is called.
    pub(super) fn name(&self) -> Result<String, Failure> {
        match self {
            Self::Sqlite(path) => Ok(format!("sqlite:{}", absolute(path)?.display())),
            Self::Postgres(url) => {
                let place = PostgresStore::builder(url.clone()).place();
                place.map_err(|error| Failure::Call(error.to_string()))
            }
        }
    }

    pub(super) async fn source(&self) -> Result<Open, Error> {
        Ok(match self {
            Self::Sqlite(path) => {
                Open::Sqlite(SqliteStore::builder(path).readers(READERS).as_source().open()?)
            }
            Self::Postgres(url) => {
                Open::Postgres(PostgresStore::builder(url.clone()).as_source().open().await?)
            }
        })
    }

    pub(super) async fn target(&self, source: &dyn Transfer) -> Result<Open, Error> {
        Ok(match self {
            Self::Sqlite(path) => {
                Open::Sqlite(SqliteStore::builder(path).readers(READERS).as_copy_of(source).open()?)
            }
            Self::Postgres(url) => {
                Open::Postgres(PostgresStore::builder(url.clone()).as_copy_of(source).open().await?)
            }
        })
    }
}

impl Place {
    /// Opens it for looking only, beside whoever writes to it.
    pub(super) async fn read(&self) -> Result<Open, Failure> {
        Ok(match self {
            Self::Sqlite(path) => Open::Sqlite(SqliteStore::open_read_only(path).map_err(Failure::of)?),
            Self::Postgres(url) => {
                let store = PostgresStore::builder(url.clone()).readers(1).writers(1).open().await;
                Open::Postgres(store.map_err(Failure::of)?)
            }
        })
    }
}

/// Reads at the same time: as many as partitions are copied at once.
const READERS: usize = 4;

/// The path from the root on, though there is no file yet.
fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    if let Ok(found) = path.canonicalize() {
        return Ok(found);
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    match (folder.canonicalize(), path.file_name()) {
        (Ok(folder), Some(name)) => Ok(folder.join(name)),
        _ => Ok(std::path::absolute(path)?),
    }
}

impl Open {
    pub(super) fn as_transfer(&self) -> &dyn Transfer {
        match self {
            Self::Sqlite(store) => store,
            Self::Postgres(store) => store,
        }
    }

    pub(super) fn share(&self) -> Arc<dyn Transfer> {
        match self {
            Self::Sqlite(store) => Arc::new(store.clone()),
            Self::Postgres(store) => Arc::new(store.clone()),
        }
    }

    pub(super) fn store(&self) -> Arc<dyn EventStore> {
        match self {
            Self::Sqlite(store) => Arc::new(store.clone()),
            Self::Postgres(store) => Arc::new(store.clone()),
        }
    }

    /// Whether other processes may write beside this one.
    pub(super) fn is_shared(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    /// The same store, to write rows to.
    pub(super) async fn into_writer(self, place: &Place) -> Result<Self, Failure> {
        let Place::Sqlite(path) = place else { return Ok(self) };
        self.close().await?;
        match SqliteStore::open(path) {
            Ok(store) => Ok(Self::Sqlite(store)),
            Err(error) if error.kind() == ErrorKind::Fenced => Err(Failure::Run(format!(
                "nothing was asked: {error}. A SQLite store has one writing process. Where that is a service, ask within it \
                 (Projections::retry and skip, RequestRows, ParkedMessages); or stop it, call this again, and start it: it \
                 then does what was asked"
            ))),
            Err(error) => Err(Failure::of(error)),
        }
    }

    pub(super) async fn close(self) -> Result<(), Error> {
        match self {
            Self::Sqlite(store) => store.close().await,
            Self::Postgres(store) => {
                store.close();
                Ok(())
            }
        }
    }
}
