//! How callers hear: each command by itself, or a list of them at once.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use crate::command::outcome::Outcome;
use crate::decider::Decider;
use crate::error::Result;
use crate::id::StepName;

/// How a task ended.
pub(super) struct Finished<R> {
    /// The step that was settled and what it came to; `None` where nothing was.
    pub(super) settled: Option<(StepName, Outcome<R>)>,
    /// Records that its scans read.
    pub(super) scanned: u64,
}

pub(super) type Ending<D> = Result<Finished<<D as Decider>::Rejection>>;

/// Who waits for a task. One whose task is dropped without an ending hears that.
pub(super) enum Caller<D: Decider> {
    Alone(oneshot::Sender<Ending<D>>),
    Listed { list: Arc<List<D>>, at: usize },
    Nobody,
}

impl<D: Decider> Caller<D> {
    pub(super) fn hear(self, ending: Ending<D>) {
        match self {
            // One that went away needs no answer.
            Self::Alone(caller) => drop(caller.send(ending)),
            Self::Listed { list, at } => list.note(at, ending),
            Self::Nobody => {}
        }
    }
}

/// The endings of a list, in its order; none where a task was dropped.
pub(super) type Endings<D> = Vec<Option<Ending<D>>>;

/// A list whose caller is woken once: when the last of its tasks has let go of it.
pub(super) struct List<D: Decider> {
    endings: Mutex<Endings<D>>,
    caller: Option<oneshot::Sender<Endings<D>>>,
}

impl<D: Decider> List<D> {
    pub(super) fn new(tasks: usize) -> (Arc<Self>, oneshot::Receiver<Endings<D>>) {
        let (caller, endings) = oneshot::channel();
        let none = (0..tasks).map(|_| None).collect();
        (Arc::new(Self { endings: Mutex::new(none), caller: Some(caller) }), endings)
    }

    fn note(&self, at: usize, ending: Ending<D>) {
        let mut endings = self.endings.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = endings.get_mut(at) {
            *place = Some(ending);
        }
    }
}

impl<D: Decider> Drop for List<D> {
    fn drop(&mut self) {
        let endings = self.endings.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(caller) = self.caller.take() {
            drop(caller.send(std::mem::take(endings)));
        }
    }
}
