//! Lease rules, pure: until when a holder may trust its lease, and when it renews it.
//!
//! A lease is a row that its holder claims for a while, its *ttl*, by the store's clock. The holder never looks at
//! that clock: it measures on its own, which only has to run as fast as others do. The store grants the lease after
//! the request was sent, so the store's expiry is never before the moment of sending plus ttl. Whoever trusts the lease
//! until then at most, less a margin for clocks that run apart, stops before anybody else may begin. This is Gray and
//! Cheriton's *Leases* (1989), with a measured start in place of synchronised clocks.
//!
//! Trust saves work that would be refused; it protects nothing. Writes carry the lease's epoch, and that is what fences
//! them: a process that was stopped between looking at its trust and writing is refused by the store.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::error::{Error, Result};

/// A lease as it was read, for people and for pages of figures: the times are the store's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Who holds it.
    pub owner: String,
    /// The fencing number: it grows with every claim.
    pub epoch: u64,
    /// From then on others may claim it. Until they do, it is still the owner's.
    pub expires_at: Timestamp,
}

impl Lease {
    /// Whether others may claim it, where the store's time is `now`.
    #[must_use]
    pub fn is_free(&self, now: Timestamp) -> bool {
        self.expires_at <= now
    }
}

/// How long leases last. Plain data: put it into your own configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LeaseTimes {
    /// How long a claim or renewal lasts, by the store's clock.
    pub ttl: Duration,
    /// How much less the holder trusts it for: what two clocks may differ by in one `ttl`.
    pub margin: Duration,
}

impl Default for LeaseTimes {
    fn default() -> Self {
        Self { ttl: Duration::from_secs(10), margin: Duration::from_secs(1) }
    }
}

impl LeaseTimes {
    /// Checks that there is time to renew a lease before its trust ends.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when the margin takes more than half of the ttl, or the ttl is zero.
    pub fn check(&self) -> Result<()> {
        if !self.ttl.is_zero() && self.margin.saturating_mul(2) <= self.ttl {
            return Ok(());
        }
        Err(Error::invalid("a lease's times leave no room to renew it")
            .expected("a margin of at most half of the ttl", format!("{:?} of {:?}", self.margin, self.ttl)))
    }

    /// For how long a holder may trust its lease, from the moment before it sent the claim or renewal that was
    /// acknowledged.
    #[must_use]
    pub fn trust(&self) -> Duration {
        self.ttl.saturating_sub(self.margin)
    }

    /// How long after that moment it sends the next renewal: a third of its trust, so that two may fail.
    #[must_use]
    pub fn renew_after(&self) -> Duration {
        self.trust().checked_div(3).unwrap_or_default()
    }
}

/// What a holder is to do about its lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseDuty {
    /// Work, and look again when so much time has passed.
    Work(Duration),
    /// Work, and renew now.
    Renew,
    /// Stop: others may hold it. Whether it is lost for good, the next renewal with its epoch tells.
    Stop,
}

/// A holder's trust in its lease, by a clock of its own that only moves on. Times are durations on that clock, from any
/// start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trust {
    times: LeaseTimes,
    granted: Duration,
}

impl Trust {
    /// The trust that an acknowledged claim gives, whose request was sent after `sent`.
    #[must_use]
    pub fn new(times: LeaseTimes, sent: Duration) -> Self {
        Self { times, granted: sent }
    }

    /// Takes in an acknowledged renewal whose request was sent after `sent`. One that comes late changes nothing: trust
    /// never ends sooner for it.
    #[must_use]
    pub fn renewed(self, sent: Duration) -> Self {
        Self { granted: self.granted.max(sent), ..self }
    }

    /// When it ends, if no renewal comes.
    #[must_use]
    pub fn ends(&self) -> Duration {
        self.granted.saturating_add(self.times.trust())
    }

    /// What is to be done at `now`.
    #[must_use]
    pub fn duty(&self, now: Duration) -> LeaseDuty {
        let renew_at = self.granted.saturating_add(self.times.renew_after());
        match renew_at.checked_sub(now) {
            _ if now >= self.ends() => LeaseDuty::Stop,
            Some(rest) if !rest.is_zero() => LeaseDuty::Work(rest),
            _ => LeaseDuty::Renew,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects, reason = "tests fail by panicking")]

    use proptest::prelude::*;

    use super::*;
    use crate::testkit::effort;

    const TIMES: LeaseTimes = LeaseTimes { ttl: Duration::from_secs(10), margin: Duration::from_secs(1) };
    const S: fn(u64) -> Duration = Duration::from_secs;

    #[test]
    fn a_lease_is_renewed_in_time_and_distrusted_in_time() {
        let trust = Trust::new(TIMES, S(100));
        let duties = [100, 102, 103, 108, 109, 200].map(|now| trust.duty(S(now)));
        let (work, renew, stop) = (LeaseDuty::Work, LeaseDuty::Renew, LeaseDuty::Stop);
        assert_eq!(duties, [work(S(3)), work(S(1)), renew, renew, stop, stop]);
        let renewed = trust.renewed(S(104));
        assert_eq!((renewed.ends(), renewed.duty(S(109))), (S(113), renew));
        assert_eq!(renewed.renewed(S(90)), renewed, "an answer that was long under way");
    }

    #[test]
    fn times_that_leave_no_room_are_refused() {
        TIMES.check().unwrap();
        LeaseTimes::default().check().unwrap();
        for (ttl, margin) in [(S(10), S(6)), (S(0), S(0)), (S(1), Duration::MAX)] {
            assert_eq!(LeaseTimes { ttl, margin }.check().unwrap_err().code(), "invalid");
        }
    }

    proptest! {
        #![proptest_config(effort::proptest_config(256, "proptest-regressions/lease.txt"))]

        /// However long requests and answers are under way, and however far the store's clock is off: while the holder
        /// trusts, the lease is not free, as long as the two clocks run apart by no more than the margin in a ttl.
        #[test]
        fn nobody_else_may_claim_while_the_holder_trusts(
            renewals in prop::collection::vec((0_u64..4_000, 0_u64..4_000, 0_u64..4_000), 1..20),
            offset in 0_u64..1_000_000_000,
            // The store's clock runs faster by so many thousandths; the margin allows 100.
            faster in 0_u64..100,
            looked in 0_u64..20_000,
        ) {
            let ms = Duration::from_millis;
            let store_clock = |now: u64| offset + now + now * faster / 1_000;
            let (mut now, mut expires, mut trust) = (0, 0, None::<Trust>);
            for (pause, there, back) in renewals {
                let sent = now + pause;
                expires = store_clock(sent + there) + 10_000;
                // The answer takes a while; only what was sent before counts.
                now = sent + there + back;
                trust = Some(trust.map_or(Trust::new(TIMES, ms(sent)), |trust| trust.renewed(ms(sent))));
            }
            let at = now + looked;
            let trust = trust.unwrap();
            prop_assert!(trust.duty(ms(at)) == LeaseDuty::Stop || store_clock(at) < expires);
        }
    }
}
