//! The one connection that writes, and who may use it now.
//!
//! A job has a number, its lease. Each statement of a handler takes the lock, looks whether its lease is still valid,
//! and gives the lock back. So a handler that was given up, on a thread that nobody can end, changes nothing any more
//! from the moment on in which its lease is revoked; and only the view commits.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use rusqlite::{Connection, InterruptHandle};

use crate::clock;
use crate::error::{Error, ErrorKind, Result};
use crate::projection::sqlite::file::{self, failed};
use crate::projection::sqlite::options::Options;

/// How often, and with what pauses, a statement that is being interrupted is waited for.
const TRIES: u32 = 2_000;
const PAUSE: Duration = Duration::from_millis(1);

/// The connection, shared by the view's threads.
pub(super) struct State {
    connection: Mutex<Guarded>,
    interrupt: InterruptHandle,
    in_handler: Arc<AtomicBool>,
    next_lease: AtomicU64,
    /// Leases up to this one are void.
    revoked: AtomicU64,
}

/// What the lock guards.
pub(super) struct Guarded {
    pub(super) connection: Connection,
    /// What the database, not the handler, failed at since the job began.
    pub(super) trouble: Option<Error>,
    /// The last lease whose job was committed.
    committed: u64,
}

impl State {
    pub(super) fn open(options: &Options, number: u32) -> Result<Self> {
        let in_handler = Arc::new(AtomicBool::new(false));
        let connection = file::open(options, number, &in_handler)?;
        let interrupt = connection.get_interrupt_handle();
        let guarded = Guarded { connection, trouble: None, committed: 0 };
        Ok(Self {
            connection: Mutex::new(guarded),
            interrupt,
            in_handler,
            next_lease: AtomicU64::new(1),
            revoked: AtomicU64::new(0),
        })
    }

    /// A number for the next job.
    pub(super) fn lease(&self) -> u64 {
        self.next_lease.fetch_add(1, Ordering::SeqCst)
    }

    /// The connection, for a job whose lease is valid.
    pub(super) fn lock(&self, lease: u64) -> Result<MutexGuard<'_, Guarded>> {
        // A panic leaves a transaction that is rolled back.
        let guard = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        if self.revoked.load(Ordering::SeqCst) < lease {
            return Ok(guard);
        }
        Err(Error::new(
            ErrorKind::Fenced,
            "this handler was given up: it took too long, or its runner is gone",
        ))
    }

    /// The same within a handler: some statements are refused.
    pub(super) fn in_handler<T>(
        &self,
        lease: u64,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T> {
        let mut guard = self.lock(lease)?;
        if let Some(trouble) = &guard.trouble {
            return Err(trouble.clone());
        }
        if guard.connection.is_autocommit() {
            return Err(rolled_back());
        }
        self.in_handler.store(true, Ordering::Relaxed);
        let result = work(&guard.connection);
        self.in_handler.store(false, Ordering::Relaxed);
        result.map_err(|source| {
            if file::is_of_the_database(&source) {
                let trouble = failed("a handler's statement", source);
                guard.trouble = Some(trouble.clone());
                return trouble;
            }
            Error::invalid("a handler's statement failed").caused_by(source)
        })
    }

    /// Begins a job's transaction.
    pub(super) fn begin(&self, lease: u64) -> Result<()> {
        let mut guard = self.lock(lease)?;
        self.in_handler.store(false, Ordering::Relaxed);
        guard.trouble = None;
        guard.roll_back();
        guard
            .connection
            .execute_batch("BEGIN IMMEDIATE")
            .map_err(|source| failed("beginning a transaction", source))
    }

    /// Writes the last of a job and commits it. Whatever goes wrong, it is rolled back, as far as SQLite knows.
    pub(super) fn commit(&self, lease: u64, last: impl FnOnce(&Connection) -> Result<()>) -> Result<()> {
        let mut guard = self.lock(lease)?;
        let check = match &guard.trouble {
            Some(trouble) => Err(trouble.clone()),
            None if guard.connection.is_autocommit() => Err(rolled_back()),
            None => Ok(()),
        };
        let written = check.and_then(|()| last(&guard.connection));
        let committed = written.and_then(|()| {
            guard.connection.execute_batch("COMMIT").map_err(|source| {
                Error::new(ErrorKind::Unknown, "sqlite: committing to a view failed").caused_by(source)
            })
        });
        if committed.is_ok() {
            guard.committed = lease;
        } else {
            guard.roll_back();
        }
        committed
    }

    /// Undoes a job, and says what the database failed at in it.
    pub(super) fn undo(&self, lease: u64) -> Result<Option<Error>> {
        let mut guard = self.lock(lease)?;
        guard.roll_back();
        Ok(guard.trouble.take())
    }

    /// Takes a job's right to change anything, and undoes what it did. True when nothing of it was committed.
    pub(super) fn revoke(&self, lease: u64) -> bool {
        self.revoked.fetch_max(lease, Ordering::SeqCst);
        for _ in 0..TRIES {
            let guard = match self.connection.try_lock() {
                Ok(guard) => guard,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => {
                    // It is in the middle of a statement.
                    self.interrupt.interrupt();
                    clock::pause(PAUSE);
                    continue;
                }
            };
            guard.roll_back();
            return guard.committed < lease;
        }
        // It hangs in a function that it gave to a query. It holds the lock for good, and can commit nothing.
        tracing::error!("a handler does not return from a query; its view is blocked until the process ends");
        false
    }
}

impl Guarded {
    fn roll_back(&self) {
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::warn!(%error, "sqlite: rolling a view back failed");
        }
    }
}

fn rolled_back() -> Error {
    Error::invalid("a handler's statement has rolled its transaction back")
        .advice("leave ROLLBACK to the view, in triggers and conflict clauses, too")
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("revoked", &self.revoked).finish_non_exhaustive()
    }
}
