//! Waiting at the head of a log.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::{self, Clock};
use crate::partition::PartitionId;
use crate::store::EventStore;
use crate::stream::Position;

/// How long is paused between looks, or between tries: from the shortest, twice as long each time. Plain data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pauses {
    /// The first pause, in milliseconds.
    pub shortest_ms: u64,
    /// The longest, in milliseconds.
    pub longest_ms: u64,
}

impl Pauses {
    /// The pause before the so-manieth look or try, from 0.
    #[must_use]
    pub fn before(&self, attempt: u32) -> Duration {
        let factor = 1_u64.checked_shl(attempt.min(63)).unwrap_or(u64::MAX);
        let longest = self.longest_ms.max(1);
        Duration::from_millis(self.shortest_ms.max(1).saturating_mul(factor).min(longest))
    }

    /// The same, less up to half of it: what failed together does not come back together.
    #[must_use]
    pub fn jittered(&self, attempt: u32, clock: &dyn Clock) -> Duration {
        let whole = self.before(attempt);
        let [low, high] = clock.new_id().as_bytes().last_chunk().copied().unwrap_or([0, 0]);
        let share = u32::from(u16::from_le_bytes([low, high]));
        let less = whole.saturating_mul(share).checked_div(2 << 16).unwrap_or_default();
        whole.saturating_sub(less)
    }
}

impl Default for Pauses {
    fn default() -> Self {
        Self { shortest_ms: 5, longest_ms: 1_000 }
    }
}

/// Waits at a log's head until there may be more: until the store says so ([`EventStore::changed`]), or for a pause that
/// grows while nothing comes. Polling alone is enough; the store's word only makes it faster.
#[derive(Debug, Clone, Copy)]
pub struct Wake {
    pauses: Pauses,
    in_vain: u32,
}

impl Wake {
    /// Waits by these pauses.
    #[must_use]
    pub fn new(pauses: Pauses) -> Self {
        Self { pauses, in_vain: 0 }
    }

    /// Returns when the log may have got past `after`.
    pub async fn wait(&mut self, store: &dyn EventStore, partition: PartitionId, after: Position) {
        let pause = self.pauses.before(self.in_vain);
        self.in_vain = self.in_vain.saturating_add(1);
        tokio::select! {
            () = store.changed(partition, after) => {}
            () = clock::sleep(pause) => {}
        }
    }

    /// Something came: the next pause is short again.
    pub fn found(&mut self) {
        self.in_vain = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    #[test]
    fn pauses_grow_to_their_bound_and_lose_no_more_than_half() {
        let pauses = Pauses { shortest_ms: 100, longest_ms: 1_000 };
        for (attempt, whole) in [(0, 100), (1, 200), (3, 800), (4, 1_000), (200, 1_000)] {
            let found = pauses.jittered(attempt, &SystemClock);
            assert!(found <= Duration::from_millis(whole), "{found:?}");
            assert!(found >= Duration::from_millis(whole / 2), "{found:?}");
        }
    }
}
