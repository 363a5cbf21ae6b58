//! The bare loop over SQLite: a thread that commits what waits.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::mpsc;

use crate::cli::bench::bodies::Bodies;
use crate::cli::bench::floor_queue::{self, Stamp, Way, take_waiting};
use crate::cli::failure::Failure;
use crate::id::TransactionId;

/// From here on the write-ahead log is checkpointed, as the store's own is.
const CHECKPOINT_FRAMES: u64 = (8 << 20) / 4_120;

const OPEN: &str = include_str!("sql/floor_open.sql");
const INSERT: &str = include_str!("sql/floor_insert.sql");

type Job = floor_queue::Job<[Vec<u8>; 3]>;

impl Stamp for Bodies {
    type Rows = [Vec<u8>; 3];

    fn of(&self, transaction: TransactionId) -> [Vec<u8>; 3] {
        self.stamped(transaction)
    }
}

/// The thread that writes.
#[derive(Debug)]
pub(super) struct SqliteFloor {
    thread: JoinHandle<rusqlite::Result<()>>,
    commits: Arc<AtomicU64>,
}

impl SqliteFloor {
    /// Makes the file and starts the thread. It ends once every way to it is gone.
    pub(super) async fn start(path: &Path) -> Result<(Self, Way<Bodies>), Failure> {
        let connection = Connection::open(path)?;
        connection.execute_batch(OPEN)?;
        let (way, jobs) = floor_queue::way(Bodies::record(path).await?);
        let commits = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&commits);
        let thread = std::thread::Builder::new()
            .name("bare-loop".to_owned())
            .spawn(move || serve(&connection, jobs, &counted))?;
        Ok((Self { thread, commits }, way))
    }

    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Waits for the thread, which closes the file. Every way to it must be gone.
    pub(super) fn finish(self) -> Result<(), Failure> {
        let ended = self.thread.join().map_err(|_| Failure::Run("the bare loop panicked".to_owned()))?;
        Ok(ended?)
    }
}

fn serve(
    connection: &Connection,
    mut jobs: mpsc::Receiver<Job>,
    commits: &AtomicU64,
) -> rusqlite::Result<()> {
    let mut batch = Vec::new();
    while let Some(job) = jobs.blocking_recv() {
        take_waiting(&mut jobs, job, &mut batch);
        commit(connection, &batch)?;
        commits.fetch_add(1, Ordering::Relaxed);
        batch.drain(..).for_each(Job::answer);
        checkpoint(connection)?;
    }
    Ok(())
}

fn commit(connection: &Connection, batch: &[Job]) -> rusqlite::Result<()> {
    connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    let mut insert = connection.prepare_cached(INSERT)?;
    for body in batch.iter().flat_map(|job| job.rows.iter().flatten()) {
        insert.execute([body])?;
    }
    connection.prepare_cached("COMMIT")?.execute([])?;
    Ok(())
}

/// Moves the log into the database once it is long enough; the next commit then lets it start over.
fn checkpoint(connection: &Connection) -> rusqlite::Result<()> {
    let (in_log, moved) = frames(connection, "PRAGMA wal_checkpoint(NOOP)")?;
    if in_log >= CHECKPOINT_FRAMES && moved < in_log {
        frames(connection, "PRAGMA wal_checkpoint(PASSIVE)")?;
    }
    Ok(())
}

fn frames(connection: &Connection, sql: &str) -> rusqlite::Result<(u64, u64)> {
    connection.prepare_cached(sql)?.query_row([], |row| {
        let count = |column| row.get::<_, i64>(column).map(|count| u64::try_from(count).unwrap_or(0));
        Ok((count(1)?, count(2)?))
    })
}
