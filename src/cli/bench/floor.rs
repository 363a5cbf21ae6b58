//! The bare loop: what the disk and SQLite give to anybody who writes as much, as safely, with nothing in between.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::cli::bench::bodies::Bodies;
use crate::cli::bench::crew::Target;
use crate::cli::bench::plan::Order;
use crate::cli::failure::Failure;

/// Most commands that wait for the thread; further clients wait for room.
const QUEUE: usize = 4_096;
/// A commit takes no further jobs from so many commands on.
const BATCH: usize = 2_048;
/// From here on the write-ahead log is checkpointed, as the store's own is.
const CHECKPOINT_FRAMES: u64 = (8 << 20) / 4_120;

const OPEN: &str = include_str!("sql/floor_open.sql");
const INSERT: &str = include_str!("sql/floor_insert.sql");

/// A client's commands, which wait for their commit.
struct Job {
    bodies: Vec<[Vec<u8>; 3]>,
    reply: oneshot::Sender<()>,
}

/// The way to the thread that writes.
#[derive(Debug, Clone)]
pub(super) struct Door {
    sender: mpsc::Sender<Job>,
    bodies: Arc<Bodies>,
}

impl Target for Door {
    async fn carry_out(&self, orders: Vec<Order>) -> Result<(), Failure> {
        let (reply, answer) = oneshot::channel();
        let died = || Failure::Run("the bare loop stopped before it answered".to_owned());
        let bodies = orders.into_iter().map(|order| self.bodies.of(order.transaction)).collect();
        let job = Job { bodies, reply };
        self.sender.send(job).await.map_err(|_| died())?;
        answer.await.map_err(|_| died())
    }
}

/// The thread that writes.
#[derive(Debug)]
pub(super) struct Floor {
    thread: JoinHandle<rusqlite::Result<()>>,
    commits: Arc<AtomicU64>,
}

impl Floor {
    /// Makes the file and starts the thread. It ends once every door is gone.
    pub(super) async fn start(path: &Path) -> Result<(Self, Door), Failure> {
        let connection = Connection::open(path)?;
        connection.execute_batch(OPEN)?;
        let (sender, jobs) = mpsc::channel(QUEUE);
        let commits = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&commits);
        let thread = std::thread::Builder::new()
            .name("bare-loop".to_owned())
            .spawn(move || serve(&connection, jobs, &counted))?;
        let bodies = Arc::new(Bodies::record(path).await?);
        Ok((Self { thread, commits }, Door { sender, bodies }))
    }

    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Waits for the thread, which closes the file. Every door must be gone.
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
    let mut batch = Vec::with_capacity(BATCH);
    while let Some(job) = jobs.blocking_recv() {
        let mut commands = job.bodies.len();
        batch.push(job);
        while commands < BATCH {
            let Ok(job) = jobs.try_recv() else { break };
            commands = commands.saturating_add(job.bodies.len());
            batch.push(job);
        }
        commit(connection, &batch)?;
        commits.fetch_add(1, Ordering::Relaxed);
        for job in batch.drain(..) {
            // A client that went away does not need its answer.
            job.reply.send(()).ok();
        }
        checkpoint(connection)?;
    }
    Ok(())
}

fn commit(connection: &Connection, batch: &[Job]) -> rusqlite::Result<()> {
    connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    let mut insert = connection.prepare_cached(INSERT)?;
    for body in batch.iter().flat_map(|job| job.bodies.iter().flatten()) {
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
