//! What a move tells while it runs.

use std::sync::Arc;

/// What a move does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The log is copied while the source serves.
    Copying,
    /// What was copied is compared.
    Comparing,
    /// The source is sealed: the rest is copied and compared.
    Sealed,
}

/// What a move tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// A phase begins, with this many positions before it.
    Begins(Phase, u64),
    /// So many positions more are done.
    Done(u64),
}

/// Who is told. It is called often, from several tasks, and must not block.
pub type Watcher = Arc<dyn Fn(Progress) + Send + Sync>;
