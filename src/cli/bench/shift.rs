//! One round's work: what is left to send, and what was heard.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::cli::bench::figures::{PARTS, figure};
use crate::cli::bench::latency::Latency;
use crate::cli::failure::Failure;
use crate::clock::Stopwatch;

/// What all rounds of a side share.
#[derive(Debug)]
pub(super) struct Course {
    commands: u64,
    answered: AtomicU64,
    /// When each tenth of the commands was answered, in nanoseconds of measured time.
    marks: [AtomicU64; PARTS],
}

impl Course {
    /// A course of so many commands.
    pub(super) fn new(commands: u64) -> Self {
        Self { commands, answered: AtomicU64::new(0), marks: [const { AtomicU64::new(0) }; PARTS] }
    }

    /// Commands that were answered.
    pub(super) fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Takes in answers that others heard.
    pub(super) fn see(&self, answers: u64) {
        self.answered.fetch_add(answers, Ordering::Relaxed);
    }

    /// Commands a second in each tenth of the course.
    pub(super) fn parts(&self) -> Vec<f64> {
        let ends = self.marks.iter().map(|mark| Duration::from_nanos(mark.load(Ordering::Relaxed)));
        let mut before = Duration::ZERO;
        let each = figure(self.commands) / figure(u64::try_from(PARTS).unwrap_or(1));
        let rate = |end: Duration| {
            let time = end.saturating_sub(before).as_secs_f64();
            before = end;
            if time > 0.0 { each / time } else { 0.0 }
        };
        ends.map(rate).collect()
    }

    /// Which tenth ends at or before so many commands.
    fn tenth(&self, answered: u64) -> usize {
        let tenths = u128::from(answered).saturating_mul(10).checked_div(u128::from(self.commands));
        usize::try_from(tenths.unwrap_or(0)).unwrap_or(PARTS)
    }

    fn note(&self, answers: u64, now: Duration) {
        let before = self.answered.fetch_add(answers, Ordering::Relaxed);
        let (from, to) = (self.tenth(before), self.tenth(before.saturating_add(answers)));
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let ended = self.marks.iter().take(to).skip(from);
        ended.for_each(|mark| mark.store(now, Ordering::Relaxed));
    }
}

/// One round.
#[derive(Debug)]
pub(super) struct Shift {
    course: Arc<Course>,
    left: AtomicU64,
    /// Measured time of the rounds before.
    before: Duration,
    watch: Stopwatch,
    latency: Mutex<Latency>,
}

impl Shift {
    /// A round of so many commands, which begins now.
    pub(super) fn begin(course: &Arc<Course>, commands: u64, before: Duration) -> Result<Self, Failure> {
        Ok(Self {
            course: Arc::clone(course),
            left: AtomicU64::new(commands),
            before,
            latency: Mutex::new(Latency::new()?),
            watch: Stopwatch::start(),
        })
    }

    /// How many commands a client may send next, at most `most`.
    pub(super) fn take(&self, most: u64) -> u64 {
        let rest = |left: u64| Some(left.saturating_sub(most));
        let left = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, rest);
        left.unwrap_or(0).min(most)
    }

    /// Sends the others home.
    pub(super) fn stop(&self) {
        self.left.store(0, Ordering::Relaxed);
    }

    /// Notes answers and the times that they took.
    pub(super) fn note(&self, times: &[Duration]) {
        let now = self.before.saturating_add(self.watch.elapsed());
        self.course.note(u64::try_from(times.len()).unwrap_or(0), now);
        let mut latency = self.latency.lock().unwrap_or_else(PoisonError::into_inner);
        times.iter().for_each(|time| latency.record(*time));
    }

    /// The time since the beginning, and the times of all commands.
    pub(super) fn end(&self) -> (Duration, Latency) {
        let time = self.watch.elapsed();
        (time, self.latency.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_all_is_taken() {
        let shift = Shift::begin(&Arc::new(Course::new(10)), 10, Duration::ZERO).expect("begun");
        assert_eq!([4, 4, 4, 4].map(|most| shift.take(most)), [4, 4, 2, 0]);
    }

    #[test]
    fn each_tenth_has_its_rate() {
        let course = Course::new(100);
        (1..=10).for_each(|second| course.note(10, Duration::from_secs(second)));
        assert_eq!(course.parts(), [10.0; PARTS]);
        assert_eq!(course.answered(), 100);
    }

    #[test]
    fn one_answer_may_end_several_tenths() {
        let course = Course::new(3);
        (1..=3).for_each(|second| course.note(1, Duration::from_secs(second)));
        assert_eq!(course.parts().iter().filter(|rate| **rate > 0.0).count(), 3);
    }
}
