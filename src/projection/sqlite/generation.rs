//! One generation: its file, the thread of its handlers, and those who read.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::runtime::Handle;

use crate::error::Result;
use crate::projection::batch::Batch;
use crate::projection::failure::{ViewFailure, lost};
use crate::projection::generation::Role;
use crate::projection::place::Place;
use crate::projection::progress::Progress;
use crate::projection::sqlite::catalogue;
use crate::projection::sqlite::file::{self, failed};
use crate::projection::sqlite::options::Options;
use crate::projection::sqlite::place;
use crate::projection::sqlite::rows::SqliteRows;
use crate::projection::sqlite::state::State;
use crate::projection::view::{Limits, Opened, Work};
use crate::projection::worker::Worker;

/// Most connections that read a generation and wait to be used again.
const IDLE_READERS: usize = 4;

/// A generation whose file is open.
pub(super) struct Generation {
    pub(super) number: u32,
    path: PathBuf,
    state: Arc<State>,
    worker: Worker,
    readers: Mutex<Vec<Connection>>,
}

impl Generation {
    /// Opens its file, and makes it where there is none. It blocks.
    pub(super) fn open(options: &Options, number: u32) -> Result<Self> {
        let (path, state) = (options.path.clone(), Arc::new(State::open(options, number)?));
        Ok(Self { number, path, state, worker: Worker::new(), readers: Mutex::default() })
    }

    /// Looks at the rows as of one moment. It blocks.
    pub(super) fn read_here<T>(&self, look: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let idle = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut connection = idle.map_or_else(|| file::open_reader(&self.path), Ok)?;
        let moment = connection.transaction().map_err(|source| failed("reading a view", source))?;
        let seen = look(&moment)?;
        drop(moment);
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < IDLE_READERS {
            readers.push(connection);
        }
        Ok(seen)
    }

    /// Opens a place.
    pub(super) async fn open_place(
        &self,
        (at, epoch, role): (&Place, u64, Role),
        batch: Batch<SqliteRows>,
        limits: Limits,
    ) -> Result<Opened, ViewFailure> {
        let at = at.clone();
        self.job(limits, move |job| job.open((&at, epoch, role), batch, limits)).await
    }

    /// Applies a batch.
    pub(super) async fn run(
        &self,
        (at, epoch, role): (&Place, u64, Role),
        work: Work<SqliteRows>,
    ) -> Result<(), ViewFailure> {
        let at = at.clone();
        self.job(work.limits, move |job| job.run((&at, epoch, role), work)).await
    }

    /// Runs a job on the generation's thread, with a lease of its own.
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

/// What a job on the thread is given.
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

    /// Begins the job's transaction with a look at what the view knows; what fails is undone.
    fn begin<T>(&self, look: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        self.state.begin(self.lease)?;
        let seen = {
            let guard = self.state.lock(self.lease)?;
            look(&guard.connection)
        };
        seen.inspect_err(|_| drop(self.state.undo(self.lease)))
    }

    fn open(
        &self,
        (at, epoch, role): (&Place, u64, Role),
        batch: Batch<SqliteRows>,
        limits: Limits,
    ) -> Result<Opened, ViewFailure> {
        let opened = self.begin(|connection| {
            catalogue::admit_opening(connection, at, role)?;
            place::open(connection, at, (epoch, role), limits.now)
        })?;
        self.handle(batch)?;
        self.state.commit(self.lease, |_| Ok(()))?;
        Ok(opened)
    }

    fn run(&self, (at, epoch, role): (&Place, u64, Role), work: Work<SqliteRows>) -> Result<(), ViewFailure> {
        let Work { revision, from, to, batch, changes, limits } = work;
        let epoch = self.begin(|connection| {
            catalogue::admit_batch(connection, at, role)?;
            place::guard(connection, at, (epoch, role), (revision, from))
        })?;
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
