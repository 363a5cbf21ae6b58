//! How far a place has come.

use crate::feed::JoinPositions;
use crate::stream::Position;

/// How far a place has come: a position in the partition's log; of a join, how many events it has handed out, and the
/// positions behind them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Checkpoint {
    pub(super) position: Position,
    /// None where there is no join, or they stay as they were.
    pub(super) joined: Option<JoinPositions>,
}

impl From<Position> for Checkpoint {
    fn from(position: Position) -> Self {
        Self { position, joined: None }
    }
}
