//! Where a join stands.

use serde::{Deserialize, Serialize};

#[cfg(any(feature = "sqlite", feature = "postgres"))]
use crate::error::{Error, Result};
use crate::partition::PartitionId;
use crate::stream::Position;

/// Where a join stands: by input and partition, everything up to these positions was handed out. Plain data, to be kept
/// beside what was made of the records.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JoinPositions(pub(super) Vec<Vec<Position>>);

impl JoinPositions {
    /// Up to where every input was handed out in a partition of its store: the lowest of their positions.
    #[must_use]
    pub fn in_partition(&self, partition: PartitionId) -> Position {
        let at = usize::from(partition.get());
        let of_inputs = self.0.iter().map(|of| of.get(at).copied().unwrap_or(Position::START));
        of_inputs.min().unwrap_or(Position::START)
    }

    /// As it is kept, in JSON: a list of positions for each input.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid), never for positions of a join.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) fn text(&self) -> Result<String> {
        let fail = |source| Error::invalid("a join's positions cannot be written as JSON").caused_by(source);
        serde_json::to_string(self).map_err(fail)
    }

    /// What was kept.
    ///
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt) when it is something else.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let fail = |source| Error::corrupt("a view keeps no positions of a join").caused_by(source);
        serde_json::from_str(text).map_err(fail)
    }

    /// The position of the input that stands furthest in a partition of its store.
    pub(crate) fn furthest_in(&self, partition: PartitionId) -> Position {
        let at = usize::from(partition.get());
        self.0.iter().filter_map(|of| of.get(at)).max().copied().unwrap_or(Position::START)
    }

    /// Goes on to where another one of the same join stands, where that is further.
    pub(crate) fn advance(&mut self, to: &Self) {
        for (of, to) in self.0.iter_mut().zip(&to.0) {
            for (known, to) in of.iter_mut().zip(to) {
                *known = (*known).max(*to);
            }
        }
    }

    /// Behind a record that was handed out, where all inputs are of one store: times never go back within a partition, so
    /// whatever any input selects there before the record was handed out before it.
    pub(crate) fn hand_out(&mut self, partition: PartitionId, position: Position) {
        let at = usize::from(partition.get());
        for known in self.0.iter_mut().filter_map(|of| of.get_mut(at)) {
            *known = position.max(*known);
        }
    }
}
