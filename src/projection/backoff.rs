//! Pauses with jitter: partitions that failed together do not come back together.

use std::time::Duration;

use crate::clock::Clock;
use crate::feed::Pauses;

/// The pause before the so-manieth try, from 0, less up to half of it.
pub(super) fn pause(pauses: &Pauses, attempt: u32, clock: &dyn Clock) -> Duration {
    let whole = pauses.before(attempt);
    let [low, high] = clock.new_id().as_bytes().last_chunk().copied().unwrap_or([0, 0]);
    let share = u32::from(u16::from_le_bytes([low, high]));
    let less = whole.saturating_mul(share).checked_div(2 << 16).unwrap_or_default();
    whole.saturating_sub(less)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    #[test]
    fn pauses_grow_to_their_bound_and_lose_no_more_than_half() {
        let pauses = Pauses { shortest_ms: 100, longest_ms: 1_000 };
        for (attempt, whole) in [(0, 100), (1, 200), (3, 800), (4, 1_000), (200, 1_000)] {
            let found = pause(&pauses, attempt, &SystemClock);
            assert!(found <= Duration::from_millis(whole), "{found:?}");
            assert!(found >= Duration::from_millis(whole / 2), "{found:?}");
        }
    }
}
