//! Events on their way through a projection's handler.

use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::runtime::Handle;

use crate::codec::Codecs;
use crate::error::{Error, ErrorKind};
use crate::event::Record;
use crate::projection::definition::{Definition, Failure, Local, Rules};
use crate::projection::failure::ViewFailure;
use crate::projection::progress::Progress;

/// Events that a view applies in one transaction, by [`run`](Self::run).
pub struct Batch<R> {
    rules: Arc<dyn Rules<R>>,
    what: What,
}

enum What {
    Prepare,
    Apply(Arc<Vec<Record>>, Range<usize>, Codecs, bool),
}

impl<R: 'static> Batch<R> {
    pub(super) fn of(
        definition: &Definition<R>,
        (codecs, is_replay): (&Codecs, bool),
        records: &Arc<Vec<Record>>,
        range: Range<usize>,
    ) -> Self {
        let what = What::Apply(Arc::clone(records), range, codecs.clone(), is_replay);
        Self { rules: definition.rules(), what }
    }

    /// What [`prepare`](super::Projection::prepare) does.
    #[must_use]
    pub fn preparing(definition: &Definition<R>) -> Self {
        Self { rules: definition.rules(), what: What::Prepare }
    }

    /// How many events there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.what {
            What::Prepare => 0,
            What::Apply(_, range, ..) => range.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Calls the handler for one event after the other on this thread, and blocks until all have returned, one fails, or
    /// the batch is called off. Futures run on this thread; their timers and sockets are those of `runtime`.
    ///
    /// # Errors
    /// [`Handler`](ViewFailure::Handler) with the number of the event. What was done to the rows has to be rolled back.
    pub fn run(self, rows: &mut R, progress: &Progress, runtime: &Handle) -> Result<(), ViewFailure> {
        let work = || runtime.block_on(self.until_called_off(rows, progress));
        let result = catch_unwind(AssertUnwindSafe(work));
        let index = progress.running().unwrap_or(0);
        progress.end();
        let failure = match result {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(failure)) => failure,
            Err(panic) => Failure::from(format!("the handler panicked: {}", text_of(&*panic))),
        };
        Err(ViewFailure::Handler { index, cause: describe(&*failure), error: outage(failure) })
    }

    async fn until_called_off(&self, rows: &mut R, progress: &Progress) -> Result<(), Failure> {
        tokio::select! {
            biased;
            result = self.start(rows, progress) => result,
            () = progress.called_off() => Err(Failure::from("the handler was called off")),
        }
    }

    fn start<'a>(&'a self, rows: &'a mut R, progress: &'a Progress) -> Local<'a, Result<(), Failure>> {
        match &self.what {
            What::Prepare => {
                progress.begin_next();
                self.rules.prepare(rows)
            }
            What::Apply(records, range, codecs, is_replay) => {
                let records = records.get(range.clone()).unwrap_or_default();
                self.rules.apply_all(rows, records, (codecs, *is_replay), progress)
            }
        }
    }
}

impl<R> fmt::Debug for Batch<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let range = match &self.what {
            What::Prepare => 0..0,
            What::Apply(_, range, ..) => range.clone(),
        };
        f.debug_struct("Batch").field("range", &range).finish_non_exhaustive()
    }
}

fn text_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().map(str::to_owned);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

/// An error with its causes. Ours tell theirs by themselves.
fn describe(failure: &(dyn std::error::Error + 'static)) -> String {
    let mut text = failure.to_string();
    let mut cause = if failure.is::<Error>() { None } else { failure.source() };
    while let Some(source) = cause {
        text = format!("{text}: {source}");
        cause = source.source();
    }
    text
}

/// The error of a handler that says that something outside is down.
fn outage(failure: Failure) -> Option<Error> {
    let error = failure.downcast::<Error>().ok()?;
    (error.kind() == ErrorKind::Unavailable).then_some(*error)
}
