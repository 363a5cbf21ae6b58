//! Where a run's files lie, and which of them go away with it.

use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::path::{Path, PathBuf};

use crate::cli::bench::options::StoreChoice;
use crate::cli::failure::Failure;
use crate::cli::postgres_url::PostgresUrl;

/// What SQLite keeps beside a database's file, and the store beside that.
const BESIDE: [&str; 5] = ["", "-wal", "-shm", "-journal", ".lock"];

/// Where a store lies.
#[derive(Debug, Clone)]
pub(super) enum Home {
    /// In this file.
    Sqlite(PathBuf),
    /// In this database.
    Postgres(PostgresUrl),
    /// In memory.
    Memory,
}

/// Where a run's records lie.
#[derive(Debug)]
pub(super) struct Place {
    home: Home,
    /// The bare loop's file, where it has one.
    floor: PathBuf,
    /// Goes away with this.
    _directory: Option<Directory>,
}

impl Place {
    /// Chooses the place; `run` tells this run's files from those of others.
    pub(super) fn choose(store: &StoreChoice, has_floor: bool, run: u64) -> Result<Self, Failure> {
        let directory =
            || Directory::make(&std::env::temp_dir().join(format!("sidestream-bench-{run:016x}")));
        Ok(match store {
            StoreChoice::Sqlite(path) => {
                let floor = beside(path, &format!("-floor-{run:016x}"));
                Self { home: Home::Sqlite(path.clone()), floor, _directory: None }
            }
            StoreChoice::Temporary => {
                let directory = directory()?;
                let (store, floor) = (directory.0.join("bench.db"), directory.0.join("floor.db"));
                Self { home: Home::Sqlite(store), floor, _directory: Some(directory) }
            }
            StoreChoice::Postgres(url) => {
                Self { home: Home::Postgres(url.clone()), floor: PathBuf::new(), _directory: None }
            }
            StoreChoice::Memory if has_floor => {
                let directory = directory()?;
                Self { home: Home::Memory, floor: directory.0.join("floor.db"), _directory: Some(directory) }
            }
            StoreChoice::Memory => Self { home: Home::Memory, floor: PathBuf::new(), _directory: None },
        })
    }

    pub(super) fn home(&self) -> &Home {
        &self.home
    }

    /// The store's file, where it has one.
    pub(super) fn store(&self) -> Option<&Path> {
        match &self.home {
            Home::Sqlite(path) => Some(path),
            Home::Postgres(_) | Home::Memory => None,
        }
    }

    /// The bare loop's file, on the same disk.
    pub(super) fn floor(&self) -> &Path {
        &self.floor
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.floor.as_os_str().is_empty() {
            remove_database(&self.floor);
        }
    }
}

/// Removes a database's files.
pub(super) fn remove_database(path: &Path) {
    BESIDE.iter().for_each(|suffix| drop(fs::remove_file(beside(path, suffix))));
}

/// The size of a database with its write-ahead log, in bytes.
pub(super) fn size(path: &Path) -> u64 {
    size_of(path).saturating_add(wal_size(path))
}

/// The size of a database's write-ahead log, in bytes.
pub(super) fn wal_size(path: &Path) -> u64 {
    size_of(&beside(path, "-wal"))
}

fn size_of(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |about| about.len())
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// A directory that is removed with all that is in it.
#[derive(Debug)]
struct Directory(PathBuf);

impl Directory {
    /// Makes it, for its owner only. One that exists is not ours.
    fn make(path: &Path) -> Result<Self, Failure> {
        let mut builder = DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path).map_err(|error| {
            Failure::Run(format!("cannot make the directory {}: {error}; set TMPDIR", path.display()))
        })?;
        Ok(Self(path.to_owned()))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}
