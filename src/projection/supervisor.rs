//! Keeping a runner going.

use std::sync::Arc;

use tokio::sync::watch;

use crate::error::{Error, ErrorKind, Result};
use crate::processor::caught;
use crate::projection::bound::Bound;
use crate::projection::generation::Ceiling;
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

/// The same for a generation that is being built, as long as it is. Then it rests until it is told to stop, so that who
/// runs it does not begin anew.
pub(super) async fn build<V: View>(
    runner: Runner<V>,
    bound: Arc<dyn Bound>,
    mut stop: watch::Receiver<bool>,
) -> Result<()> {
    if bound.ceiling().await? != Ceiling::Over {
        keep(runner).await?;
    }
    drop(stop.wait_for(|stop| *stop).await);
    Ok(())
}

fn panicked() -> Error {
    Error::new(ErrorKind::Unknown, "a runner panicked").advice("report this with its log")
}
