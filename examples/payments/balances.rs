//! The file of balances: where it may lie, what it holds.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use sidestream::AggregateId;

use crate::Failure;

/// What lies beside a store's file and belongs to it.
const OF_A_STORE: [&str; 5] = ["", "-wal", "-shm", ".lock", ".new"];

/// Demands, before hours of work, that the file can be written and that nothing else is lost by it. What it
/// holds stays until there are new balances.
pub(crate) fn check(path: &Path, file: &Path, store: Option<&Path>) -> Result<(), Failure> {
    let own = full(path);
    let is_of = |store: &Path| {
        OF_A_STORE.iter().any(|suffix| {
            let mut beside = full(store).into_os_string();
            beside.push(suffix);
            own == Path::new(&beside)
        })
    };
    let taken = store.is_some_and(is_of);
    if taken || own == full(file) {
        let name = path.display();
        return Err(format!(
            "--balances {name} would overwrite what is read from; name another file; nothing was sent"
        )
        .into());
    }
    let was_there = path.exists();
    OpenOptions::new().append(true).create(true).open(path).map_err(|error| {
        let name = path.display();
        format!("cannot write --balances {name}: {error}; name another file; nothing was sent")
    })?;
    if !was_there {
        fs::remove_file(path)?;
    }
    Ok(())
}

/// The path without links and dots, also where there is no file yet.
fn full(path: &Path) -> PathBuf {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let beside = || Some(parent.canonicalize().ok()?.join(path.file_name()?));
    path.canonicalize().ok().or_else(beside).unwrap_or_else(|| path.to_owned())
}

pub(crate) fn write(path: &Path, balances: &[(AggregateId, i64)]) -> Result<(), Failure> {
    let named = |error: csv::Error| Failure::from(format!("cannot write {}: {error}", path.display()));
    let mut file = csv::Writer::from_path(path).map_err(named)?;
    file.write_record(["account", "balance_minor"]).map_err(named)?;
    for (id, balance) in balances {
        file.write_record([id.as_str(), &balance.to_string()]).map_err(named)?;
    }
    file.flush().map_err(|error| named(error.into()))
}
