//! The thread that handlers run on, and leaving one behind that does not come back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use tokio::sync::{Mutex, oneshot};

use crate::clock;
use crate::error::{Error, ErrorKind, Result};
use crate::limits;
use crate::projection::progress::Progress;

type Job = Box<dyn FnOnce() + Send>;

/// One thread, for one job at a time; others wait for their turn, in order.
///
/// A handler that never returns keeps its thread, which nobody can end. It is left behind: what it may do is revoked, and
/// the next job gets a new thread. The same happens where the caller of a job goes away.
#[derive(Debug)]
pub(super) struct Worker {
    thread: Mutex<Option<Thread>>,
    /// Threads that have not ended.
    alive: Arc<AtomicUsize>,
    /// How many workers count them together.
    several: usize,
}

#[derive(Debug)]
struct Thread {
    jobs: Sender<Job>,
    /// A job was begun, and nobody has seen its end.
    is_busy: bool,
}

/// Why a job has no answer.
#[derive(Debug)]
pub(super) enum Lost {
    /// The handler of this event did not return, and can do nothing any more.
    Stuck(usize),
    /// The job's end was not seen.
    Gone(Error),
}

impl Worker {
    #[cfg(feature = "sqlite")]
    pub(super) fn new() -> Self {
        Self { thread: Mutex::new(None), alive: Arc::default(), several: 1 }
    }

    /// So many of one view: what they leave behind is bounded together.
    pub(super) fn several(count: usize) -> Vec<Self> {
        let alive = Arc::default();
        let one = |_| Self { thread: Mutex::new(None), alive: Arc::clone(&alive), several: count };
        (0..count).map(one).collect()
    }

    /// Runs a job on the thread. `begin` makes it when its turn has come, with what revokes it: that is called when a
    /// handler takes longer than `timeout`, or the caller goes away, takes the job's right to change anything, and says
    /// whether it came in time.
    pub(super) async fn run<T, R, J>(
        &self,
        progress: Arc<Progress>,
        timeout: Duration,
        begin: impl FnOnce() -> (R, J) + Send,
    ) -> Result<T, Lost>
    where
        T: Send + 'static,
        R: FnOnce() -> bool + Send,
        J: FnOnce() -> T + Send + 'static,
    {
        let mut current = self.thread.lock().await;
        let thread = match current.take().filter(|thread| !thread.is_busy) {
            Some(thread) => thread,
            None => self.spawn().map_err(Lost::Gone)?,
        };
        let thread = current.insert(thread);
        thread.is_busy = true;
        let (revoke, job) = begin();
        let (reply, mut answer) = oneshot::channel();
        let job: Job = Box::new(move || drop(reply.send(job())));
        thread.jobs.send(job).map_err(|_| Lost::Gone(ended()))?;
        let mut guard = Guard { progress: Arc::clone(&progress), revoke: Some(revoke) };
        match watch(&mut answer, &progress, timeout).await {
            Ok(answer) => {
                guard.revoke = None;
                // A thread that died is not used again.
                thread.is_busy = answer.is_err();
                answer.map_err(|_| Lost::Gone(ended()))
            }
            Err(index) => {
                *current = None;
                Err(if guard.revoke() { Lost::Stuck(index) } else { Lost::Gone(late()) })
            }
        }
    }

    fn spawn(&self) -> Result<Thread> {
        let most = limits::ABANDONED_HANDLERS.saturating_add(self.several);
        if self.alive.load(Ordering::SeqCst) >= most {
            return Err(Error::new(ErrorKind::Unavailable, "too many handlers never returned")
                .expected(format!("at most {}", limits::ABANDONED_HANDLERS), "one more")
                .advice("mend the handler and start the process again: each keeps a thread"));
        }
        let (jobs, receiver) = channel();
        let alive = Arc::clone(&self.alive);
        alive.fetch_add(1, Ordering::SeqCst);
        let alive = Alive(alive);
        std::thread::Builder::new()
            .name("sidestream-view".to_owned())
            .spawn(move || serve(&receiver, alive))
            .map_err(|source| {
                Error::new(ErrorKind::Unavailable, "the thread of a view cannot be started").caused_by(source)
            })?;
        Ok(Thread { jobs, is_busy: false })
    }
}

/// The answer of a job, or the number of the handler that has run for longer than it may.
async fn watch<T>(
    answer: &mut oneshot::Receiver<T>,
    progress: &Progress,
    timeout: Duration,
) -> Result<Result<T, oneshot::error::RecvError>, usize> {
    let mut seen = None;
    loop {
        tokio::select! {
            biased;
            answer = &mut *answer => return Ok(answer),
            () = clock::sleep(timeout) => {}
        }
        let running = progress.running();
        match running {
            Some(index) if running == seen => return Err(index),
            _ => seen = running,
        }
    }
}

/// Ends with the worker, or when the thread is left behind.
fn serve(jobs: &Receiver<Job>, alive: Alive) {
    while let Ok(job) = jobs.recv() {
        job();
    }
    drop(alive);
}

/// Counts a thread for as long as it lives.
struct Alive(Arc<AtomicUsize>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Revokes a job whose end nobody has seen.
struct Guard<F: FnOnce() -> bool> {
    progress: Arc<Progress>,
    revoke: Option<F>,
}

impl<F: FnOnce() -> bool> Guard<F> {
    fn revoke(&mut self) -> bool {
        let Some(revoke) = self.revoke.take() else { return false };
        self.progress.call_off();
        revoke()
    }
}

impl<F: FnOnce() -> bool> Drop for Guard<F> {
    fn drop(&mut self) {
        self.revoke();
    }
}

fn ended() -> Error {
    Error::new(ErrorKind::Unknown, "the thread of a view ended before it answered")
}

fn late() -> Error {
    Error::new(ErrorKind::Unknown, "a handler was given up and returned in that moment")
}
