//! What happens when the store can no longer tell what is on disk.

use std::fmt;

use crate::error::Error;

/// Called once, on the writer's thread, after every waiting caller was answered, when the writer has to stop
/// for good: a commit failed and could not be fenced off, or the writer died. What is on disk can only
/// be told by a new start, so the process should end, with an exit code that its supervisor sees.
pub trait FatalHandler: fmt::Debug + Send + Sync + 'static {
    /// Ends the process, or hands that on.
    fn fatal(&self, error: &Error);
}

/// Logs the error and aborts the process.
#[derive(Debug, Clone, Copy, Default)]
pub struct Abort;

impl FatalHandler for Abort {
    fn fatal(&self, error: &Error) {
        tracing::error!(%error, "sqlite: the store has stopped for good; the process ends");
        std::process::abort();
    }
}
