//! What a view elsewhere keeps beside each row.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::partition::PartitionId;
use crate::stream::Position;

/// What a view elsewhere keeps beside each row: where the last event lies that changed it, and the epoch of who wrote it.
/// Plain data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Stamp {
    /// The partition of the event.
    pub partition: PartitionId,
    /// Its position there.
    pub position: Position,
    /// Whoever holds the place under a higher epoch writes; others are too late.
    pub epoch: u64,
}

impl Stamp {
    /// Whether the event of this stamp is to change a row that has `stored` beside it: where it has not done so, and
    /// nobody with a higher epoch has written. Look and write must be one step of the system that the row is in.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when the row was changed by an event of another partition: positions say
    /// nothing then. Keep a row for each aggregate.
    pub fn is_due(&self, stored: Option<&Self>) -> Result<bool> {
        let Some(stored) = stored else { return Ok(true) };
        if stored.partition != self.partition {
            return Err(Error::invalid("events of two partitions change one row of a view elsewhere")
                .expected(format!("partition {}", stored.partition), self.partition)
                .advice("keep a row for each aggregate, and add up when reading"));
        }
        Ok(stored.position < self.position && stored.epoch <= self.epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(partition: u16, position: u64, epoch: u64) -> Stamp {
        Stamp { partition: PartitionId::new(partition), position: Position::new(position), epoch }
    }

    #[test]
    fn an_event_is_due_once_and_nobody_below_an_epoch_writes() {
        let stored = stamp(1, 5, 3);
        assert!(stamp(1, 1, 1).is_due(None).unwrap());
        for (position, epoch, is_due) in
            [(4, 3, false), (5, 3, false), (6, 3, true), (6, 4, true), (6, 2, false), (5, 9, false)]
        {
            let found = stamp(1, position, epoch).is_due(Some(&stored)).unwrap();
            assert_eq!(found, is_due, "{position} {epoch}");
        }
        assert!(stamp(2, 6, 3).is_due(Some(&stored)).is_err());
    }
}
