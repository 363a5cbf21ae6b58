//! The lock that makes one process the only writer: an operating system's lock on a file beside the
//! database. It ends with the process, however that ends.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

use crate::clock;
use crate::error::{Error, ErrorKind, Result};
use crate::store::sqlite::{failure, files};

/// A reader that looks whether a writer lives holds the lock for a moment, so a writer asks again.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(20);

/// The right to write to a store, for as long as this value lives.
#[derive(Debug)]
pub(super) struct WriterLock {
    _file: File,
}

impl WriterLock {
    /// Takes the lock of the store at `path`.
    ///
    /// # Errors
    /// [`Fenced`](ErrorKind::Fenced) when another has it, in this process or in any other.
    pub(super) fn take(path: &Path) -> Result<Self> {
        let lock_path = files::beside(path, ".lock");
        let file =
            files::open_private(&lock_path).map_err(|source| failure::io("open", &lock_path, source))?;
        for attempt in 1..=ATTEMPTS {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
                Err(TryLockError::WouldBlock) if attempt < ATTEMPTS => clock::pause(PAUSE),
                Err(TryLockError::WouldBlock) => break,
                Err(TryLockError::Error(source)) => return Err(failure::io("lock", &lock_path, source)),
            }
        }
        Err(taken(path))
    }
}

/// Whether some process has the right to write now.
pub(super) fn is_taken(path: &Path) -> Result<bool> {
    let lock_path = files::beside(path, ".lock");
    match File::open(&lock_path) {
        Ok(file) => Ok(matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(failure::io("open", &lock_path, source)),
    }
}

fn taken(path: &Path) -> Error {
    Error::new(ErrorKind::Fenced, format!("the store {} has a writer already", path.display()))
        .expected("one writer", "another one that holds the lock file")
        .advice("stop the other writer, or open the store for reading only")
}
