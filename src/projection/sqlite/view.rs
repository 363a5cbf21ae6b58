//! The view itself.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use rusqlite::Connection;
use tokio::runtime::Handle;

use crate::error::{Error, ErrorKind, Result};
use crate::projection::batch::Batch;
use crate::projection::definition::Definition;
use crate::projection::failure::{ViewFailure, lost};
use crate::projection::parked::Audited;
use crate::projection::place::Place;
use crate::projection::progress::Progress;
use crate::projection::sqlite::file::{self, failed};
use crate::projection::sqlite::options::Options;
use crate::projection::sqlite::place;
use crate::projection::sqlite::rows::SqliteRows;
use crate::projection::sqlite::state::State;
use crate::projection::view::{Limits, Opened, View, Work};
use crate::projection::worker::Worker;

/// Most connections that read a view and wait to be used again.
const IDLE_READERS: usize = 4;

/// Rows in a SQLite file of their own. Clones share it.
///
/// One thread writes; several projections, and all their partitions, may share the file, batch after batch. Processes may
/// share it, too: epochs say who has which place.
#[derive(Clone)]
pub struct SqliteView {
    path: Arc<PathBuf>,
    state: Arc<State>,
    worker: Arc<Worker>,
    readers: Arc<Mutex<Vec<Connection>>>,
}

impl SqliteView {
    /// Opens the view at `path`, and makes it where there is none. It blocks.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) when the file is a store's, or no view; it was not changed then.
    /// [`Unavailable`](ErrorKind::Unavailable) when the disk fails.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::builder(path).open()
    }

    /// Options to open the view at `path` with.
    pub fn builder(path: impl AsRef<Path>) -> Options {
        Options::new(path.as_ref().to_owned())
    }

    /// Looks at the rows as of one moment, on a connection that only reads. It waits for no batch.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) with what `look` or SQLite said.
    pub async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let view = self.clone();
        let gone =
            |source| Error::new(ErrorKind::Unavailable, "reading a view was given up").caused_by(source);
        tokio::task::spawn_blocking(move || view.read_here(look)).await.map_err(gone)?
    }

    fn read_here<T>(&self, look: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        let idle = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut connection = idle.map_or_else(|| file::open_reader(&self.path), Ok)?;
        let fail = |source| failed("reading a view", source);
        let moment = connection.transaction().map_err(fail)?;
        let seen = look(&moment).map_err(fail)?;
        drop(moment);
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < IDLE_READERS {
            readers.push(connection);
        }
        Ok(seen)
    }

    /// Runs a job on the view's thread, with a lease of its own.
    async fn job<T: Send + 'static>(
        &self,
        limits: Limits,
        job: impl FnOnce(Job) -> Result<T, ViewFailure> + Send + 'static,
    ) -> Result<T, ViewFailure> {
        let progress = Arc::new(Progress::default());
        let (state, watched, runtime) = (&self.state, Arc::clone(&progress), Handle::current());
        let begin = move || {
            // In order: a lease that is revoked voids those before it.
            let lease = state.lease();
            let with = Job { state: Arc::clone(state), lease, progress, runtime };
            (move || state.revoke(lease), move || job(with))
        };
        let done = self.worker.run(watched, limits.timeout, begin).await;
        done.map_err(|how| lost(how, limits.timeout))?
    }
}

impl Options {
    /// Opens the view, and makes it where there is none.
    ///
    /// # Errors
    /// As [`SqliteView::open`].
    pub fn open(self) -> Result<SqliteView> {
        let state = Arc::new(State::open(&self)?);
        let (worker, readers) = (Arc::new(Worker::new()), Arc::default());
        Ok(SqliteView { path: Arc::new(self.path), state, worker, readers })
    }
}

/// What a job on the view's thread is given.
struct Job {
    state: Arc<State>,
    lease: u64,
    progress: Arc<Progress>,
    runtime: Handle,
}

impl Job {
    /// Calls the handlers, in the transaction that has begun. What the database failed at is not theirs.
    fn handle(&self, batch: Batch<SqliteRows>) -> Result<(), ViewFailure> {
        let mut rows = SqliteRows::new(Arc::clone(&self.state), self.lease);
        batch.run(&mut rows, &self.progress, &self.runtime).map_err(|failure| {
            match self.state.undo(self.lease) {
                Ok(None) => failure,
                Ok(Some(trouble)) => trouble.into(),
                Err(revoked) => revoked.into(),
            }
        })
    }

    fn open(
        &self,
        at: &Place,
        epoch: u64,
        batch: Batch<SqliteRows>,
        limits: Limits,
    ) -> Result<Opened, ViewFailure> {
        self.state.begin(self.lease)?;
        let opened = {
            let guard = self.state.lock(self.lease)?;
            place::open(&guard.connection, at, epoch, limits.now)
        };
        let opened = opened.inspect_err(|_| drop(self.state.undo(self.lease)))?;
        self.handle(batch)?;
        self.state.commit(self.lease, |_| Ok(()))?;
        Ok(opened)
    }

    fn run(&self, at: &Place, epoch: u64, work: Work<SqliteRows>) -> Result<(), ViewFailure> {
        let Work { revision, from, to, batch, changes, limits } = work;
        self.state.begin(self.lease)?;
        let guarded = {
            let guard = self.state.lock(self.lease)?;
            place::guard(&guard.connection, at, epoch, (revision, from))
        };
        guarded.inspect_err(|_| drop(self.state.undo(self.lease)))?;
        if let Some(batch) = batch {
            self.handle(batch)?;
        }
        self.state.commit(self.lease, |connection| {
            changes.iter().try_for_each(|change| place::change(connection, at, change))?;
            place::advance(connection, at, epoch, (revision, from, to), limits.now)
        })?;
        Ok(())
    }
}

#[async_trait]
impl View for SqliteView {
    type Rows = SqliteRows;

    async fn open(
        &self,
        place: &Place,
        epoch: u64,
        definition: &Definition<SqliteRows>,
        limits: &Limits,
    ) -> Result<Opened, ViewFailure> {
        let (at, batch, limits) = (place.clone(), Batch::preparing(definition), *limits);
        self.job(limits, move |job| job.open(&at, epoch, batch, limits)).await
    }

    async fn run(&self, place: &Place, epoch: u64, work: Work<SqliteRows>) -> Result<(), ViewFailure> {
        let at = place.clone();
        self.job(work.limits, move |job| job.run(&at, epoch, work)).await
    }

    async fn audit(&self, place: &Place, limit: usize) -> Result<Vec<Audited>> {
        let at = place.clone();
        self.read(move |connection| place::audited(connection, &at, limit)).await
    }
}

impl fmt::Debug for SqliteView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteView").field("path", &self.path).finish_non_exhaustive()
    }
}
