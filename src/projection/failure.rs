//! Why a view did not commit.

use std::time::Duration;

use crate::error::{Error, ErrorKind};
use crate::projection::place::Place;
use crate::projection::worker::Lost;

/// Why a transaction was not committed, as far as is known.
#[derive(Debug, Clone)]
pub enum ViewFailure {
    /// A handler failed, and nothing was committed.
    Handler {
        /// Which event of the batch, from 0.
        index: usize,
        /// What it said.
        cause: String,
        /// Set where it said that something outside is down.
        error: Option<Error>,
    },
    /// The database failed, or somebody else has the place. Only opening it again tells what was committed.
    View(Error),
}

impl From<Error> for ViewFailure {
    fn from(error: Error) -> Self {
        Self::View(error)
    }
}

/// A lost job, as a view tells it.
pub(super) fn lost(how: Lost, timeout: Duration) -> ViewFailure {
    match how {
        Lost::Stuck(index) => {
            let cause = format!("the handler did not return within {timeout:?}");
            ViewFailure::Handler { index, cause, error: None }
        }
        Lost::Gone(error) => ViewFailure::View(error),
    }
}

/// Somebody else has the place.
pub(super) fn fenced(place: &Place) -> Error {
    Error::new(ErrorKind::Fenced, format!("{place} was opened by another runner, or stands elsewhere"))
        .advice("stop this runner; nothing of its last batch was committed")
}
