//! Who waits for a partition's log to grow.

use tokio::sync::watch;

use crate::partition::PartitionId;
use crate::stream::Position;

/// How many waits one hint ends at most. One that is not true, or not yet, costs whoever waits no more than that.
#[cfg(any(feature = "postgres", test))]
const WAITS_OF_A_HINT: u32 = 64;

/// How far each partition's log is known to go, for whoever waits for it to go further.
#[derive(Debug)]
pub(crate) struct Changes(Vec<watch::Sender<Known>>);

/// What is known of one partition.
#[derive(Debug, Clone, Copy)]
struct Known {
    /// What this process saw.
    head: Position,
    /// What others told.
    hinted: Position,
    /// How many waits the hint may still end.
    waits: u32,
}

impl Known {
    const NOTHING: Self = Self { head: Position::START, hinted: Position::START, waits: 0 };

    fn is_past(&self, after: Position) -> bool {
        self.head > after || (self.waits > 0 && self.hinted > after)
    }
}

impl Changes {
    pub(crate) fn new(partitions: usize) -> Self {
        Self((0..partitions).map(|_| watch::Sender::new(Known::NOTHING)).collect())
    }

    /// Wakes those who wait for a record at or before `head`.
    pub(crate) fn advance(&self, partition: PartitionId, head: Position) {
        let Some(known) = self.0.get(usize::from(partition.get())) else { return };
        known.send_if_modified(|known| {
            let is_news = head > known.head;
            known.head = head.max(known.head);
            is_news
        });
    }

    /// The same, by hearsay: others may have written so far.
    #[cfg(any(feature = "postgres", test))]
    pub(crate) fn hint(&self, partition: PartitionId, head: Position) {
        let Some(known) = self.0.get(usize::from(partition.get())) else { return };
        known.send_modify(|known| (known.hinted, known.waits) = (head, WAITS_OF_A_HINT));
    }

    /// Others may have written anywhere.
    #[cfg(any(feature = "postgres", test))]
    pub(crate) fn hint_all(&self) {
        for known in &self.0 {
            known.send_modify(|known| (known.hinted, known.waits) = (Position::new(u64::MAX), 1));
        }
    }

    /// Returns once the log was seen to go past `after`, or somebody said so.
    pub(crate) async fn past(&self, partition: PartitionId, after: Position) {
        let Some(sender) = self.0.get(usize::from(partition.get())) else {
            return std::future::pending().await;
        };
        let seen = sender.subscribe().wait_for(|known| known.is_past(after)).await.map(|known| *known);
        if seen.is_ok_and(|known| known.head <= after) {
            sender.send_if_modified(|known| {
                known.waits = known.waits.saturating_sub(1);
                false
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    const HOME: PartitionId = PartitionId::new(0);

    fn is_woken(changes: &Changes, after: u64) -> bool {
        let waiting = pin!(changes.past(HOME, Position::new(after)));
        waiting.poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
    }

    #[test]
    fn a_hint_that_is_not_true_ends_a_few_waits_and_no_more() {
        let changes = Changes::new(1);
        assert!(!is_woken(&changes, 0));
        changes.hint(HOME, Position::new(9));
        assert!(!is_woken(&changes, 9), "nothing is said of what follows");
        let woken = (0..1_000).filter(|_| is_woken(&changes, 3)).count();
        assert_eq!(woken, 64);
        changes.hint(HOME, Position::new(10));
        assert!(is_woken(&changes, 3), "a new one counts anew");
        changes.hint_all();
        assert!(is_woken(&changes, 99) && !is_woken(&changes, 99));
    }

    #[test]
    fn what_was_seen_ends_every_wait() {
        let changes = Changes::new(1);
        changes.advance(HOME, Position::new(4));
        assert!((0..1_000).all(|_| is_woken(&changes, 3)));
        assert!(!is_woken(&changes, 4));
    }
}
