//! The thread that keeps the indexes small.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::error::{Error, ErrorKind, Result};
use crate::store::sqlite::index::keeper::Keeper;
use crate::store::sqlite::index::live::Live;
use crate::store::sqlite::index::work::Work;
use crate::store::sqlite::request::{IndexWork, Request};
use crate::store::sqlite::status::Shared;
use crate::store::sqlite::writer::Writer;

/// How many full tables may wait to be written before appends are refused.
const TABLES_WAITING: usize = 8;
/// Units that may wait however small the tables are: about as much memory as one table of the usual size.
const UNITS_WAITING: usize = 1 << 16;
/// When blocks that a reader held are looked at again.
const READERS_PAUSE: Duration = Duration::from_millis(100);
/// When work that failed is tried again.
const FAILURE_PAUSE: Duration = Duration::from_secs(1);

/// The writer's side of the thread.
#[derive(Debug)]
pub(super) struct Keeping {
    /// Units that a table holds.
    full: usize,
    wake: Option<Sender<()>>,
    thread: Option<JoinHandle<Keeper>>,
}

/// The thread's own side.
struct Thread {
    keeper: Keeper,
    connection: Connection,
    requests: mpsc::WeakSender<Request>,
    woken: Receiver<()>,
    status: Shared,
    /// What the status says of it.
    told: Option<String>,
}

impl Keeping {
    /// Starts the thread. Its connection reads; what is to be written goes through the writer.
    pub(super) fn start(
        keeper: Keeper,
        connection: Connection,
        requests: mpsc::WeakSender<Request>,
        status: Shared,
        full: usize,
    ) -> std::io::Result<Self> {
        let (wake, woken) = channel();
        let thread = Thread { keeper, connection, requests, woken, status, told: None };
        let thread =
            std::thread::Builder::new().name("sidestream-index".to_owned()).spawn(move || thread.run())?;
        Ok(Self { full, wake: Some(wake), thread: Some(thread) })
    }

    /// Seals the table in use when it is full, and has it written.
    pub(super) fn seal(&self, live: &Live) {
        if live.seal(self.full)
            && let Some(wake) = &self.wake
        {
            wake.send(()).ok();
        }
    }

    /// Why nothing more may be appended now, if so.
    pub(super) fn refusal(&self, live: &Live) -> Option<Error> {
        let most = self.full.saturating_mul(TABLES_WAITING).max(UNITS_WAITING);
        let waiting = live.unflushed();
        (waiting > most).then(|| {
            Error::new(ErrorKind::Overloaded, "sqlite: the indexes are written too slowly")
                .expected(format!("at most {most} units that wait"), waiting)
                .advice("look at the disk; then retry with the same transaction id")
        })
    }

    /// Ends the thread, and gives back what it drove.
    pub(super) fn end(&mut self) -> Option<Keeper> {
        drop(self.wake.take());
        self.thread.take().and_then(|thread| thread.join().ok())
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        self.end();
    }
}

impl Thread {
    fn run(mut self) -> Keeper {
        loop {
            let pause = match self.keeper.step(&self.connection) {
                Ok(None) => self.keeper.waits_for_readers().then_some(READERS_PAUSE),
                Ok(Some(work)) => match self.hand_over(Arc::new(work)) {
                    None => {
                        self.keeper.failed();
                        return self.keeper;
                    }
                    Some(Ok(())) => {
                        self.keeper.done();
                        self.note(None);
                        continue;
                    }
                    Some(Err(error)) => {
                        self.keeper.failed();
                        self.note(Some(&error));
                        Some(FAILURE_PAUSE)
                    }
                },
                // A merge that cannot read goes on where it stands: begun anew, it would write the same blocks
                // again each time.
                Err(error) => {
                    self.note(Some(&error));
                    Some(FAILURE_PAUSE)
                }
            };
            if !self.wait(pause) {
                return self.keeper;
            }
        }
    }

    /// Has the writer write a piece, and waits until it is durable; `None` when there is no writer any more. A full
    /// write-ahead log is waited for: it starts over before long.
    fn hand_over(&self, work: Arc<Work>) -> Option<Result<()>> {
        loop {
            let sender = self.requests.upgrade()?;
            let (reply, answer) = oneshot::channel();
            let work = Arc::clone(&work);
            sender.blocking_send(Request::Index(IndexWork { work, reply })).ok()?;
            drop(sender);
            match answer.blocking_recv().ok()? {
                Err(error) if error.kind() == ErrorKind::Overloaded => {
                    if !self.wait(Some(READERS_PAUSE)) {
                        return None;
                    }
                }
                written => return Some(written),
            }
        }
    }

    /// Has the status say what is wrong, or that nothing is any more.
    fn note(&mut self, error: Option<&Error>) {
        let told = error.map(Error::to_string);
        if let Some(error) = &told {
            tracing::warn!(error, "sqlite: the indexes cannot be written; they stay in memory");
        }
        if self.told != told {
            self.told.clone_from(&told);
            self.status.change(|status| status.index_error = told);
        }
    }

    /// Waits for more to do; `false` when there will be no more.
    fn wait(&self, pause: Option<Duration>) -> bool {
        match pause {
            None => self.woken.recv().is_ok(),
            Some(pause) => self.woken.recv_timeout(pause) != Err(RecvTimeoutError::Disconnected),
        }
    }
}

/// Writes all that is in memory into runs, so that the next start has no tail to read.
pub(super) fn flush_all(keeper: &mut Keeper, writer: &mut Writer) -> Result<()> {
    writer.live().seal(1);
    while !writer.live().sealed().tables.is_empty() {
        step(keeper, writer)?;
    }
    Ok(())
}

/// One piece of work, on the writer's own connection.
pub(super) fn step(keeper: &mut Keeper, writer: &mut Writer) -> Result<bool> {
    let Some(work) = keeper.step(writer.connection())? else { return Ok(false) };
    match writer.apply(&work) {
        Ok(()) => keeper.done(),
        Err(error) => {
            keeper.failed();
            return Err(error);
        }
    }
    Ok(true)
}

/// Writes the tables that a long tail of the log fills, so that reading it takes no more memory than usual.
pub(super) fn catch_up(keeper: &mut Keeper, writer: &mut Writer, full: usize) -> Result<()> {
    let live: Arc<Live> = Arc::clone(writer.live());
    live.seal(full);
    while live.sealed().tables.len() > 1 {
        step(keeper, writer)?;
    }
    Ok(())
}
