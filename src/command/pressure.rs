//! Back-pressure: who may say that no further messages are to be recorded for now.

use std::fmt;

use crate::error::Result;
use crate::message::Topic;

/// Asked for each message of a decision that is about to be recorded. It is asked often: answer from memory.
///
/// A backlog's limit is one: see [`BacklogLimit`](crate::buffer::BacklogLimit).
pub trait Pressure: fmt::Debug + Send + Sync + 'static {
    /// Whether one more message of this topic may be recorded.
    ///
    /// # Errors
    /// [`Overloaded`](crate::ErrorKind::Overloaded): the command is answered with it, nothing is written, and the same id
    /// may be tried again later. What was settled before is answered as ever, and so are commands that send nothing there.
    fn admit(&self, topic: &Topic) -> Result<()>;
}
