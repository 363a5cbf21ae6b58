//! The first steps after an unclean stop, with the lock held and before SQLite opens the files.
//!
//! A page cache that outlived the process may hold bytes whose sync failed: Linux marks such pages clean,
//! so a later sync reports success without writing them, and a commit that looks fine would be gone after
//! a power cut. The WAL is therefore written anew, byte for byte, which makes its pages dirty again, and
//! synced, before anything in it is believed.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use crate::error::{Error, Result};
use crate::store::sqlite::{failure, files, wal};

/// How the last writer stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LastStop {
    /// It left nothing in the WAL, or there was none.
    Clean,
    /// It left commits in the WAL, or the remains of one.
    Unclean,
}

/// Reads the WAL, if there is one, and refuses one that lost acknowledged commits. Changes nothing.
///
/// # Errors
/// [`Corrupt`](crate::ErrorKind::Corrupt), with the place of the damage.
pub(super) fn inspect(path: &Path) -> Result<Option<wal::Scan>> {
    let wal_path = files::beside(path, "-wal");
    if files::size(&wal_path)? == 0 {
        return Ok(None);
    }
    if files::size(path)? == 0 {
        return Err(Error::corrupt(format!("{} has a write-ahead log but no database", path.display()))
            .advice("put the database's file back beside its -wal, or restore a backup"));
    }
    let bytes = fs::read(&wal_path).map_err(|source| failure::io("read", &wal_path, source))?;
    wal::scan(&bytes).map(Some)
}

/// Writes the WAL's readable commits anew and cuts off the rest: the remains of a transaction that was never
/// answered, which would otherwise look like a lost one the next time.
///
/// # Errors
/// Those of the file system. Nothing is lost by them; the store must not be used before this succeeds.
pub(super) fn rewrite(path: &Path, scan: wal::Scan) -> Result<()> {
    let wal_path = files::beside(path, "-wal");
    let fail = |source| failure::io("write anew", &wal_path, source);
    let mut bytes = fs::read(&wal_path).map_err(fail)?;
    let dropped = bytes.len().saturating_sub(scan.valid_bytes);
    bytes.truncate(scan.valid_bytes);
    let mut file = File::options().write(true).open(&wal_path).map_err(fail)?;
    file.seek(SeekFrom::Start(0)).and_then(|_| file.write_all(&bytes)).map_err(fail)?;
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    file.set_len(length).and_then(|()| file.sync_all()).map_err(fail)?;
    files::sync_directory(path)?;
    tracing::warn!(
        commits = scan.commits,
        bytes = length,
        dropped,
        "sqlite: the last writer stopped uncleanly; its commits were read back"
    );
    Ok(())
}
