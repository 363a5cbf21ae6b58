//! The thread that moves commits from the write-ahead log into the database, while others are committed.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;

use crate::error::Result;
use crate::store::sqlite::status::Shared;
use crate::store::sqlite::{checkpoint, failure, settings};

/// The writer's side of the thread.
#[derive(Debug)]
pub(super) struct Checkpointer {
    wake: Option<SyncSender<()>>,
    works: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    /// Starts the thread, with a connection of its own.
    pub(super) fn start(path: &Path, status: Shared) -> Result<Self> {
        let connection = settings::open_checkpointer(path)?;
        let (wake, woken) = sync_channel(1);
        let works = Arc::new(AtomicBool::new(false));
        let working = Arc::clone(&works);
        let thread = std::thread::Builder::new()
            .name("sidestream-checkpoint".to_owned())
            .spawn(move || serve(&connection, &woken, &working, &status))
            .map_err(|source| failure::io("start the checkpoints of", path, source))?;
        Ok(Self { wake: Some(wake), works, thread: Some(thread) })
    }

    /// Whether a checkpoint is under way.
    pub(super) fn works(&self) -> bool {
        self.works.load(Ordering::Acquire)
    }

    /// Begins a checkpoint, where none is under way.
    pub(super) fn begin(&self) {
        if !self.works.swap(true, Ordering::AcqRel)
            && let Some(wake) = &self.wake
            && wake.try_send(()).is_err()
        {
            self.works.store(false, Ordering::Release);
        }
    }

    /// Ends the thread. A checkpoint that is under way is finished first.
    pub(super) fn end(&mut self) {
        drop(self.wake.take());
        self.thread.take().map(JoinHandle::join);
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.end();
    }
}

fn serve(connection: &Connection, woken: &Receiver<()>, works: &AtomicBool, status: &Shared) {
    while woken.recv().is_ok() {
        match checkpoint::passive(connection) {
            Ok(_) => status.change(|status| status.checkpoint_error = None),
            Err(error) => status.note_checkpoint_failure(&error),
        }
        works.store(false, Ordering::Release);
    }
}
