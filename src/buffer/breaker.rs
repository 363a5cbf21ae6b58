//! A circuit breaker: a receiver that is down is left alone, and asked by one message at a time whether it is back.
//!
//! After Michael Nygard's *Release It!* (2007). Pure: whoever asks says what time it is.

use std::time::Duration;

/// Whether something may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// Yes.
    Open,
    /// Yes, this one: whether it is taken decides for the others.
    Probe,
    /// Not before this time.
    NotBefore(Duration),
    /// A probe is under way.
    Probing,
}

/// One receiver's, shared by all partitions. Times count from the breaker's making.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    /// Failures in a row.
    failures: u32,
    /// Times in a row that it was left alone.
    rests: u32,
    closed_until: Option<Duration>,
    is_probing: bool,
}

impl Breaker {
    /// Asks before something is sent.
    pub(super) fn admit(&mut self, now: Duration) -> Admission {
        match self.closed_until {
            None => Admission::Open,
            Some(until) if now < until => Admission::NotBefore(until),
            Some(_) if self.is_probing => Admission::Probing,
            Some(_) => {
                self.is_probing = true;
                Admission::Probe
            }
        }
    }

    /// The receiver answered, whatever it said of the message.
    pub(super) fn answered(&mut self) {
        *self = Self::default();
    }

    /// The receiver did not answer, or is too busy: after `most` such failures in a row it is left alone, for as long as
    /// `pause` says of the so-manieth time in a row.
    pub(super) fn failed(&mut self, now: Duration, most: u32, pause: impl FnOnce(u32) -> Duration) {
        self.failures = self.failures.saturating_add(1);
        if self.is_probing || (self.failures >= most && self.closed_until.is_none()) {
            self.closed_until = Some(now.saturating_add(pause(self.rests)));
            self.rests = self.rests.saturating_add(1);
            self.is_probing = false;
        }
    }

    /// What was admitted was not sent after all.
    pub(super) fn given_up(&mut self) {
        self.is_probing = false;
    }

    /// Whether it is left alone.
    pub(super) fn is_closed(&self) -> bool {
        self.closed_until.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_receiver_that_is_down_is_left_alone_and_probed_longer_apart_each_time() {
        let mut breaker = Breaker::default();
        let pause = |rests: u32| s(1 << rests);
        for _ in 0..2 {
            assert_eq!(breaker.admit(s(0)), Admission::Open);
            breaker.failed(s(0), 3, pause);
        }
        assert_eq!(breaker.admit(s(0)), Admission::Open, "twice is not thrice");
        breaker.failed(s(0), 3, pause);
        assert_eq!(breaker.admit(s(0)), Admission::NotBefore(s(1)));
        // What was under way when it closed moves nothing.
        breaker.failed(s(0), 3, pause);
        assert_eq!(breaker.admit(s(0)), Admission::NotBefore(s(1)));

        assert_eq!(breaker.admit(s(1)), Admission::Probe);
        assert_eq!(breaker.admit(s(1)), Admission::Probing, "one at a time");
        breaker.failed(s(2), 3, pause);
        assert_eq!(breaker.admit(s(3)), Admission::NotBefore(s(4)), "twice as long");
        assert_eq!(breaker.admit(s(4)), Admission::Probe);
        breaker.given_up();
        assert_eq!(breaker.admit(s(4)), Admission::Probe, "one that was not sent tells nothing");
        breaker.answered();
        assert_eq!(breaker.admit(s(4)), Admission::Open);
    }
}
