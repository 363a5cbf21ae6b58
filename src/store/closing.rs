//! Closing a partition at a time: the rule that every store shares, pure.
//!
//! A partition has a *least* time: the next unit is stamped with it or a later one. It is the last stamp, as stamps
//! never go back; to close the partition at a time is to raise it above that time. So one number carries both, and
//! writers need not know that there is such a thing as closing.

use std::time::Duration;

use crate::clock::Timestamp;

const ONE: Duration = Duration::from_micros(1);

/// Closes a partition with this least time, at `now`: the time at which it is closed, and its least time from then on.
/// That is the same one where the partition's own records have passed `through`. Otherwise the last of them are
/// covered, too.
pub(super) fn close(least: Timestamp, through: Timestamp, now: Timestamp) -> (Timestamp, Timestamp) {
    let closed = least.before(ONE);
    if closed >= through {
        return (closed, least);
    }
    let closed = least.max(now);
    (closed, closed.after(ONE))
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: fn(i64) -> Timestamp = Timestamp::from_micros;

    #[test]
    fn an_idle_partition_follows_the_clock_and_one_that_has_passed_writes_nothing() {
        assert_eq!(close(T(10), T(20), T(30)), (T(30), T(31)), "the last record is covered");
        assert_eq!(close(T(31), T(30), T(50)), (T(30), T(31)), "asked again, nothing moves");
        assert_eq!(close(T(40), T(20), T(50)), (T(39), T(40)), "others were recorded later");
        assert_eq!(close(T(31), T(60), T(5)), (T(31), T(32)), "a clock that went back");
        assert_eq!(close(T(31), Timestamp::MAX, T(50)), (T(50), T(51)));
    }
}
