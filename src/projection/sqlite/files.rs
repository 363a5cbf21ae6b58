//! The files of a view, one for each generation, and the way to the live one.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{Error, ErrorKind, Result};
use crate::limits;
use crate::projection::place::Place;
use crate::projection::sqlite::catalogue::{self, Entry};
use crate::projection::sqlite::file::FIRST;
use crate::projection::sqlite::generation::Generation;
use crate::projection::sqlite::options::Options;

/// Generations that were opened in this process. A generation that was live leads to the one that is live instead, so
/// the commit that says so is the switch.
pub(super) struct Files {
    pub(super) options: Options,
    open: Mutex<BTreeMap<u32, Arc<Generation>>>,
    /// The live one when it was last looked at.
    live: AtomicU32,
    /// In which generation each place of the live one was opened here.
    placed: Mutex<HashMap<Place, u32>>,
}

impl Files {
    /// Opens the first file, and the live one. It blocks.
    pub(super) fn open(options: Options) -> Result<Self> {
        let (open, live, placed) = (Mutex::default(), AtomicU32::new(FIRST), Mutex::default());
        let files = Self { options, open, live, placed };
        files.live()?;
        Ok(files)
    }

    /// The file of a generation.
    pub(super) fn path(&self, number: u32) -> PathBuf {
        if number == FIRST {
            return self.options.path.clone();
        }
        let mut name = self.options.path.clone().into_os_string();
        name.push(format!(".g{number}"));
        name.into()
    }

    /// A generation whose file is there; the first one is made. It blocks.
    pub(super) fn generation(&self, number: u32) -> Result<Arc<Generation>> {
        let is_open = locked(&self.open).contains_key(&number);
        if is_open || number == FIRST || self.path(number).exists() {
            return self.make(number);
        }
        let what = format!("generation {number} of a view is not there: {}", self.path(number).display());
        Err(Error::new(ErrorKind::Unavailable, what)
            .advice("it was given up or dropped; open the view again"))
    }

    /// A generation; its file is made where there is none. It blocks.
    pub(super) fn make(&self, number: u32) -> Result<Arc<Generation>> {
        let mut open = locked(&self.open);
        if let Some(found) = open.get(&number) {
            return Ok(Arc::clone(found));
        }
        let opened = Arc::new(Generation::open(&self.options.at(self.path(number)), number)?);
        open.insert(number, Arc::clone(&opened));
        Ok(opened)
    }

    /// The live generation, and what its file says. It blocks.
    pub(super) fn live(&self) -> Result<(Arc<Generation>, Entry)> {
        let mut number = self.live.load(Ordering::SeqCst);
        if number != FIRST && !self.path(number).exists() {
            // Another process has dropped it. The first file leads on.
            locked(&self.open).remove(&number);
            number = FIRST;
        }
        for _ in 0..limits::GENERATIONS_PASSED {
            let generation = self.generation(number)?;
            let entry = generation.read_here(catalogue::find)?;
            let Some(successor) = entry.successor else {
                self.live.store(number, Ordering::SeqCst);
                return Ok((generation, entry));
            };
            number = successor;
        }
        Err(Error::new(ErrorKind::Unavailable, "a view's live generation was not found")
            .expected(format!("at most {} switches", limits::GENERATIONS_PASSED), "more")
            .advice("drop former generations, then open the view again"))
    }

    /// Remembers where a place of the live generation was opened.
    pub(super) fn place(&self, place: &Place, number: u32) {
        locked(&self.placed).insert(place.clone(), number);
    }

    /// Where a place of the live generation was opened here.
    pub(super) fn placed(&self, place: &Place) -> Option<u32> {
        locked(&self.placed).get(place).copied()
    }

    /// Closes a generation and removes its file. It blocks.
    pub(super) fn remove(&self, number: u32) -> Result<()> {
        locked(&self.open).remove(&number);
        let path = self.path(number);
        for end in ["", "-wal", "-shm"] {
            let mut name = path.clone().into_os_string();
            name.push(end);
            match std::fs::remove_file(&name) {
                Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                    let what = format!("a generation's file {} cannot be removed", path.display());
                    return Err(Error::new(ErrorKind::Unavailable, what)
                        .advice("look at the path's permissions")
                        .caused_by(source));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Entries are whole or not there.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
