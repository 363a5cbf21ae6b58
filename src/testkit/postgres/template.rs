//! A data directory that was made once and is copied for each server: making one takes most of a start.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use crate::testkit::postgres::binaries::Binaries;
use crate::testkit::postgres::keeper::Keeper;

/// By their programs. They are never dropped: their keepers remove them when this process is gone.
static TEMPLATES: Mutex<BTreeMap<Binaries, Keeper>> = Mutex::new(BTreeMap::new());

/// Makes the data directory of a new server.
pub(super) fn copy_to(keeper: &Keeper, binaries: &Binaries) {
    let from = {
        let mut templates = TEMPLATES.lock().unwrap_or_else(PoisonError::into_inner);
        let template = templates.entry(binaries.clone()).or_insert_with(|| make(binaries));
        template.folder().join("data")
    };
    keeper.run(Command::new("cp").arg("-Rp").arg(from).arg(keeper.folder().join("data")));
}

/// Sorted by bytes, so that no test depends on the languages that a machine knows.
fn make(binaries: &Binaries) -> Keeper {
    let keeper = Keeper::new(binaries);
    let data = keeper.folder().join("data");
    let mut command = binaries.command("initdb");
    command.args([
        "--username=postgres",
        "--auth=trust",
        "--encoding=UTF8",
        "--locale=C",
        "--data-checksums",
    ]);
    // The files need to outlive this process, not the machine.
    command.args(["--no-sync", "--no-instructions"]).arg("-D").arg(&data);
    keeper.run(&mut command);
    assert!(Path::new(&data).join("PG_VERSION").is_file(), "initdb made no {}", data.display());
    keeper
}
