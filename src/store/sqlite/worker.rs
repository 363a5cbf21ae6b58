//! The writer's thread: takes all that waits, commits it, answers, and then looks after the WAL.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::error::{Error, ErrorKind, Result};
use crate::store::AppendFailure;
use crate::store::sqlite::fatal::FatalHandler;
use crate::store::sqlite::keeping::{self, Keeping};
use crate::store::sqlite::lock::WriterLock;
use crate::store::sqlite::prepared::PreparedList;
use crate::store::sqlite::request::{Append, IndexWork, Job, Request, Truncate};
use crate::store::sqlite::status::Shared;
use crate::store::sqlite::upkeep::Upkeep;
use crate::store::sqlite::writer::{Writer, answer_all};

/// Most records of one commit. A list that is larger by itself is a commit of its own.
const BATCH_RECORDS: usize = 16_384;
/// Most bytes of payload of one commit: well below what one transaction should put into the WAL.
const BATCH_BYTES: usize = 8 << 20;

/// All that the thread owns. Fields are dropped in order: the lock goes last.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) writer: Writer,
    pub(super) upkeep: Upkeep,
    pub(super) keeping: Keeping,
    pub(super) requests: mpsc::Receiver<Request>,
    pub(super) status: Shared,
    pub(super) fatal: Arc<dyn FatalHandler>,
    pub(super) _lock: WriterLock,
}

/// What is to be done next.
#[derive(Debug, Default)]
struct Round {
    appends: Vec<Append>,
    truncations: Vec<Truncate>,
    index: Vec<IndexWork>,
    jobs: Vec<Job>,
    closing: Option<oneshot::Sender<()>>,
    /// Every store's handle is gone.
    abandoned: bool,
    records: usize,
    bytes: usize,
}

impl Worker {
    /// Runs until the store is closed, dropped, or stops for good.
    pub(super) fn run(mut self) {
        let outcome = catch_unwind(AssertUnwindSafe(|| self.serve()));
        let error = match outcome {
            Ok(Ok(done)) => return self.leave(done),
            Ok(Err(error)) => error,
            Err(_) => Error::new(ErrorKind::Unavailable, "sqlite: the writer died").advice(
                "end this process; report this with its log; the next start finds out what was committed",
            ),
        };
        self.status.change(|status| status.stopped = Some(error.clone()));
        // Whoever still waits hears that the outcome is unknown, before the process may end.
        self.requests.close();
        while self.requests.blocking_recv().is_some() {}
        self.fatal.fatal(&error);
    }

    /// Closes the files and gives up the lock before anybody hears that the store is closed.
    fn leave(self, done: Option<oneshot::Sender<()>>) {
        drop(self);
        if let Some(done) = done {
            done.send(()).ok();
        }
    }

    fn serve(&mut self) -> Result<Option<oneshot::Sender<()>>> {
        let mut truncations = Vec::new();
        loop {
            let mut round = self.gather(std::mem::take(&mut truncations));
            self.commit(std::mem::take(&mut round.appends));
            truncations = self.truncate(std::mem::take(&mut round.truncations));
            self.index(std::mem::take(&mut round.index));
            self.jobs(std::mem::take(&mut round.jobs));
            self.upkeep.run(&self.writer);
            if let Some(error) = self.writer.stopped() {
                return Err(error.clone());
            }
            if let Some(done) = round.closing {
                self.drain();
                self.finish();
                return Ok(Some(done));
            }
            if round.abandoned && truncations.is_empty() {
                self.finish();
                return Ok(None);
            }
        }
    }

    /// Waits for something to do, then takes what waits besides, up to the bounds of one commit.
    fn gather(&mut self, truncations: Vec<Truncate>) -> Round {
        let mut round = Round { truncations, ..Round::default() };
        if round.truncations.is_empty() {
            match self.requests.blocking_recv() {
                Some(request) => round.take(request),
                None => round.abandoned = true,
            }
        }
        while round.has_room() {
            match self.requests.try_recv() {
                Ok(request) => round.take(request),
                Err(mpsc::error::TryRecvError::Empty) => break,
                Err(mpsc::error::TryRecvError::Disconnected) => {
                    round.abandoned = true;
                    break;
                }
            }
        }
        round
    }

    fn commit(&mut self, appends: Vec<Append>) {
        if appends.is_empty() {
            return;
        }
        let (mut lists, replies): (Vec<PreparedList>, Vec<_>) =
            appends.into_iter().map(|append| (append.list, append.reply)).unzip();
        let refusal = self.refusal();
        let results = match refusal {
            Some(error) => answer_all(&lists, &AppendFailure::Refused(error)),
            None => {
                self.status.change(|status| status.commits = status.commits.saturating_add(1));
                self.writer.commit(&mut lists)
            }
        };
        // A caller that went away does not need its answer.
        replies.into_iter().zip(results).for_each(|(reply, results)| drop(reply.send(results)));
        self.keeping.seal(self.writer.live());
    }

    /// Why nothing may be written now, if so.
    fn refusal(&mut self) -> Option<Error> {
        self.upkeep.refusal(&self.writer).or_else(|| self.keeping.refusal(self.writer.live()))
    }

    fn jobs(&mut self, jobs: Vec<Job>) {
        for job in jobs {
            let refusal = self.refusal();
            job.run(&mut self.writer, refusal);
            self.keeping.seal(self.writer.live());
            self.upkeep.run(&self.writer);
        }
    }

    /// Pieces of the indexes, a short transaction each. A full write-ahead log has no room for them either.
    fn index(&mut self, pieces: Vec<IndexWork>) {
        for IndexWork { work, reply } in pieces {
            let written = match self.upkeep.refusal(&self.writer) {
                Some(error) => Err(error),
                None => self.writer.apply(&work),
            };
            drop(reply.send(written));
        }
    }

    /// One slice of each truncation, so that commands do not wait for all of them; returns the unfinished.
    fn truncate(&mut self, truncations: Vec<Truncate>) -> Vec<Truncate> {
        let mut unfinished = Vec::new();
        for truncate in truncations {
            match self.writer.truncate(&truncate.stream, truncate.through) {
                Ok(floor) if floor < truncate.through && !truncate.reply.is_closed() => {
                    unfinished.push(truncate)
                }
                result => drop(truncate.reply.send(result)),
            }
        }
        unfinished
    }

    /// Commits what came before the door was closed. It waits for what is just being handed over, too: the thread
    /// of the indexes would wait for its answer for ever.
    fn drain(&mut self) {
        self.requests.close();
        while let Some(request) = self.requests.blocking_recv() {
            match request {
                Request::Append(append) => self.commit(vec![append]),
                Request::Truncate(truncate) => drop(self.truncate(vec![truncate])),
                Request::Index(work) => self.index(vec![work]),
                Request::Job(job) => self.jobs(vec![job]),
                Request::Close(done) => drop(done.send(())),
            }
        }
    }

    fn finish(&mut self) {
        self.requests.close();
        let keeper = self.keeping.end();
        if self.writer.stopped().is_some() {
            return;
        }
        if let Some(mut keeper) = keeper
            && let Err(error) = keeping::flush_all(&mut keeper, &mut self.writer)
        {
            tracing::warn!(%error, "sqlite: the indexes were not flushed; the next start reads the log's tail");
        }
        if let Err(error) = self.upkeep.finish(&self.writer) {
            tracing::warn!(%error, "sqlite: the last checkpoint failed; the next start reads the write-ahead log again");
        }
    }
}

impl Round {
    fn take(&mut self, request: Request) {
        match request {
            Request::Append(append) => {
                self.records = self.records.saturating_add(append.list.records());
                self.bytes = self.bytes.saturating_add(append.bytes);
                self.appends.push(append);
            }
            Request::Truncate(truncate) => self.truncations.push(truncate),
            Request::Index(work) => self.index.push(work),
            Request::Job(job) => self.jobs.push(job),
            Request::Close(done) => self.closing = Some(done),
        }
    }

    fn has_room(&self) -> bool {
        self.closing.is_none() && self.records < BATCH_RECORDS && self.bytes < BATCH_BYTES
    }
}
