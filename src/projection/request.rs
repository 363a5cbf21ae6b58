//! What operators ask of a runner.

use tokio::sync::{mpsc, oneshot};

use crate::error::{Error, ErrorKind, Result};
use crate::limits;
use crate::projection::parked::{Action, Operator, Repaired};

/// A request, carried out by the runner between two batches: it alone may write to the place.
#[derive(Debug)]
pub struct Request {
    pub(super) cardinal: String,
    pub(super) action: Action,
    pub(super) by: Operator,
    pub(super) reply: oneshot::Sender<Result<Repaired>>,
}

/// The way to a runner. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Requests(mpsc::Sender<Request>);

impl Requests {
    /// A way, and its end for the runner.
    #[must_use]
    pub fn channel() -> (Self, mpsc::Receiver<Request>) {
        let (sender, receiver) = mpsc::channel(limits::OPERATOR_REQUESTS);
        (Self(sender), receiver)
    }

    /// Asks for a parked aggregate to be retried, or its event to be skipped; returns when that is done.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) when it is not parked; [`Unavailable`](ErrorKind::Unavailable) when the runner is
    /// gone or stops over it: how far it came is kept.
    pub async fn ask(&self, cardinal: &str, action: Action, by: Operator) -> Result<Repaired> {
        let (reply, answer) = oneshot::channel();
        let request = Request { cardinal: cardinal.to_owned(), action, by, reply };
        let gone = || {
            Error::new(ErrorKind::Unavailable, "the projection does not run in this partition")
                .advice("look at its status for the reason, and ask again when it runs")
        };
        self.0.send(request).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}
