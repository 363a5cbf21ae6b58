//! The events of a process's own stream.

use serde::{Deserialize, Serialize};

/// What happens to a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProcessEvent<I> {
    /// It heard something.
    Heard(I),
    /// It hears nothing any more.
    Completed,
}
