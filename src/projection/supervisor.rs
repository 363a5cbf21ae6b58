//! Keeping a runner going.

use crate::error::{Error, ErrorKind, Result};
use crate::processor::caught;
use crate::projection::runner::Runner;
use crate::projection::status::State;
use crate::projection::view::View;

/// Runs a runner again, after growing pauses, when it fails or panics, until it is told to stop; and no more after an
/// error that would come again or must be looked at first, which is then the answer.
pub(super) async fn keep<V: View>(mut runner: Runner<V>) -> Result<()> {
    loop {
        let ended = caught(runner.run()).await.unwrap_or_else(|| Err(panicked()));
        let Err(error) = ended else { return Ok(()) };
        tracing::error!(%error, place = %runner.parts.place, "a projection failed");
        if matches!(error.kind(), ErrorKind::Fenced | ErrorKind::Corrupt | ErrorKind::LostHistory) {
            runner.parts.tell(State::Stopped(Some(error.clone())));
            return Err(error);
        }
        runner.parts.tell(State::Failed(error));
        if runner.rest_after_failure().await {
            runner.parts.tell(State::Stopped(None));
            return Ok(());
        }
    }
}

fn panicked() -> Error {
    Error::new(ErrorKind::Unknown, "a runner panicked").advice("report this with its log")
}
