//! Copies of a store, made while it works.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::backup::Backup as Online;

use crate::error::{Error, ErrorKind, Result};
use crate::partition::PartitionCount;
use crate::store::EventStore;
use crate::store::sqlite::index::follow::Follower;
use crate::store::sqlite::reader::{Index, Reader};
use crate::store::sqlite::{SqliteStore, failure, files, migrations, settings};
use crate::stream::Position;

/// A copy that was made, synced, opened again and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// Its size.
    pub bytes: u64,
    /// The last position of each partition in it, from partition 0 on. Keep them beside the copy: a store
    /// that ends before them is an older one.
    pub heads: Vec<Position>,
}

impl SqliteStore {
    /// Copies the store, as it is at this moment, to a new file at `to`. Commands go on meanwhile; the copy
    /// is one long read, so the write-ahead log grows until it ends. Copying the file itself without its
    /// `-wal` would lose every commit that is still there.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when there is a file at `to`;
    /// [`Corrupt`](crate::ErrorKind::Corrupt) when the copy does not check;
    /// [`Unavailable`](crate::ErrorKind::Unavailable) when it cannot be written. What is left at `to` is then
    /// no backup.
    pub async fn backup(&self, to: impl AsRef<Path>) -> Result<Backup> {
        let (from, to) = (self.path().to_owned(), to.as_ref().to_owned());
        let partitions = self.properties().partitions;
        let copied = tokio::task::spawn_blocking(move || copy(&from, &to, partitions)).await;
        copied.unwrap_or_else(|source| {
            Err(Error::new(ErrorKind::Unavailable, "sqlite: the backup died").caused_by(source))
        })
    }
}

fn copy(from: &Path, to: &PathBuf, partitions: PartitionCount) -> Result<Backup> {
    if to.exists() {
        return Err(Error::invalid(format!("there is a file at {}", to.display()))
            .advice("choose a path where there is none: a backup overwrites nothing"));
    }
    // Private from the first byte on; SQLite writes into an empty file.
    drop(files::open_private(to).map_err(|source| failure::io("make", to, source))?);
    copy_pages(&settings::open_reader(from)?, to)
        .map_err(|source| failure::of("copying the database", source))?;
    std::fs::File::open(to)
        .and_then(|file| file.sync_all())
        .map_err(|source| failure::io("sync", to, source))?;
    files::sync_directory(to)?;
    check(to, partitions)
}

/// All pages in one step, so in one read: in several, a busy writer would have it begin again and again.
fn copy_pages(from: &Connection, to: &Path) -> rusqlite::Result<()> {
    let mut copy = Connection::open_with_flags(to, settings::writer_flags())?;
    Online::new(from, &mut copy)?.step(-1)?;
    copy.close().map_err(|(_, error)| error)
}

/// Opens the copy and looks at all of its pages.
fn check(copy: &Path, partitions: PartitionCount) -> Result<Backup> {
    let connection = settings::open_reader(copy)?;
    migrations::check(&connection)?;
    let found: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|source| failure::of("checking the copy", source))?;
    if found != "ok" {
        return Err(Error::corrupt(format!("the copy at {} has damaged pages", copy.display()))
            .expected("ok", found)
            .advice("check the disk that the copy is on, and the store itself; this is no backup"));
    }
    let index = Index::Followed(Follower::new(partitions));
    let heads = Reader::new(connection, partitions, index).heads()?;
    Ok(Backup { bytes: files::size(copy)?, heads })
}
