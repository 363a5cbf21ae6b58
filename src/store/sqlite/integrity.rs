//! The check of all pages after an unclean stop, beside the work.

use std::path::Path;
use std::thread::JoinHandle;

use rusqlite::{Connection, InterruptHandle};

use crate::error::Result;
use crate::store::sqlite::status::{Integrity, Shared};
use crate::store::sqlite::{failure, settings};

/// A check that runs. It is given up when this value is dropped.
pub(super) struct Check {
    interrupt: InterruptHandle,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Check {
    fn drop(&mut self) {
        self.interrupt.interrupt();
        self.thread.take().map(JoinHandle::join);
    }
}

/// Starts the check. What it finds is logged and kept in the status; the store serves meanwhile, and
/// afterwards too: a bad page fails the streams on it, and no others.
pub(super) fn check_in_background(path: &Path, status: Shared) -> Result<Check> {
    let connection = settings::open_reader(path)?;
    let interrupt = connection.get_interrupt_handle();
    status.change(|status| status.integrity = Integrity::Checking);
    let thread = std::thread::Builder::new()
        .name("sidestream-check".to_owned())
        .spawn(move || {
            let found = quick_check(&connection);
            report(&found);
            status.change(|status| status.integrity = found);
        })
        .map_err(|source| failure::io("start the check of", path, source))?;
    Ok(Check { interrupt, thread: Some(thread) })
}

fn quick_check(connection: &Connection) -> Integrity {
    let read = || -> rusqlite::Result<Vec<String>> {
        connection.prepare("PRAGMA quick_check(100)")?.query_map([], |row| row.get(0))?.collect()
    };
    match read() {
        Ok(lines) if lines == ["ok"] => Integrity::Sound,
        Ok(lines) => Integrity::Damaged(lines),
        Err(error) if failure::is_corrupt(&error) => Integrity::Damaged(vec![error.to_string()]),
        Err(error) => Integrity::Unfinished(error.to_string()),
    }
}

fn report(found: &Integrity) {
    match found {
        Integrity::Damaged(lines) => tracing::error!(
            findings = lines.len(),
            first = lines.first().map_or("", String::as_str),
            "sqlite: the database has damaged pages; keep a copy of it and restore a backup"
        ),
        Integrity::Unfinished(why) => tracing::warn!(why, "sqlite: the check of the pages was given up"),
        _ => tracing::info!("sqlite: the database's pages are sound"),
    }
}
