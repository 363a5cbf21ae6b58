//! How long commands took, in a histogram of fixed size.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::cli::failure::Failure;

/// What is told apart below, in nanoseconds.
const FINEST: u64 = 1_000;
/// What is counted as this much above, in nanoseconds.
const LONGEST: u64 = 600_000_000_000;
/// Digits that are kept of each.
const DIGITS: u8 = 3;

/// Times from sending a command to its answer.
#[derive(Debug, Clone)]
pub(super) struct Latency(Histogram<u64>);

impl Latency {
    pub(super) fn new() -> Result<Self, Failure> {
        Ok(Self(Histogram::new_with_bounds(FINEST, LONGEST, DIGITS)?))
    }

    pub(super) fn record(&mut self, time: Duration) {
        self.0.saturating_record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(super) fn add(&mut self, other: &Self) -> Result<(), Failure> {
        Ok(self.0.add(&other.0)?)
    }

    /// The times that were noted, in nanoseconds, and how many commands took each.
    pub(super) fn counts(&self) -> Vec<(u64, u64)> {
        let noted = self.0.iter_recorded();
        noted.map(|step| (step.value_iterated_to(), step.count_at_value())).collect()
    }

    /// What was noted elsewhere.
    pub(super) fn of_counts(counts: &[(u64, u64)]) -> Result<Self, Failure> {
        let mut latency = Self::new()?;
        counts.iter().for_each(|(time, count)| latency.0.saturating_record_n(*time, *count));
        Ok(latency)
    }

    /// The time, in milliseconds, that this share of the commands took at most; 1 is the longest of all.
    pub(super) fn at(&self, share: f64) -> f64 {
        Duration::from_nanos(self.0.value_at_quantile(share)).as_secs_f64() * 1_000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_within_a_thousandth() {
        let mut latency = Latency::new().expect("bounds");
        (1..=10_000).for_each(|micros| latency.record(Duration::from_micros(micros)));
        for (share, expected) in [(0.5, 5.0), (0.99, 9.9), (0.999, 9.99), (1.0, 10.0)] {
            let found = latency.at(share);
            assert!((found / expected - 1.0).abs() < 0.002, "{share}: {found}");
        }
    }

    #[test]
    fn what_was_noted_elsewhere_is_the_same() {
        let mut latency = Latency::new().expect("bounds");
        (1..=1_000).for_each(|micros| latency.record(Duration::from_micros(micros)));
        let again = Latency::of_counts(&latency.counts()).expect("bounds");
        assert!([0.5, 0.99, 1.0].iter().all(|share| again.at(*share) == latency.at(*share)));
    }

    #[test]
    fn what_is_out_of_range_is_counted_at_its_end() {
        let mut latency = Latency::new().expect("bounds");
        latency.record(Duration::ZERO);
        latency.record(Duration::from_secs(100_000));
        assert!(latency.at(1.0) > 590_000.0);
        let mut sum = Latency::new().expect("bounds");
        sum.add(&latency).expect("the same bounds");
        assert!(sum.at(1.0) > 590_000.0);
    }
}
