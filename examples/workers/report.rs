//! What it came to.

use std::time::Duration;

use comfy_table::Table;
use serde::Serialize;

use crate::audit::Audited;
use crate::fleet::Course;

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Events that were written.
    events: u64,
    /// Events that a view lacks, over all views.
    missed: usize,
    /// Events that a view has more than once, or should not have.
    doubled: usize,
    /// Events that a view has after a later one.
    out_of_order: usize,
    /// How long after their commit 99 of 100 events were applied at most.
    lag_p99_ms: u64,
    /// Runs that a view refused, and leases that others had by the time, as told by workers that left.
    fenced: u64,
    /// How long 99 of 100 partitions of workers that were killed or stopped had no other one at most.
    takeover_p99_ms: u64,
    /// How long it took at most until the partitions were spread evenly: when all came, after all that happened to them, when
    /// one left, and when one joined.
    even_max_ms: u64,
}

impl Report {
    pub(crate) fn new(
        events: u64,
        audited: &Audited,
        course: &Course,
        (takeovers, evens): (Vec<Duration>, Vec<Duration>),
    ) -> Self {
        let millis = |took: Duration| u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        Self {
            events,
            missed: audited.missed,
            doubled: audited.doubled,
            out_of_order: audited.out_of_order,
            lag_p99_ms: p99(audited.lags_ms.clone()),
            fenced: course.told.fenced + course.told.lost,
            takeover_p99_ms: p99(takeovers.into_iter().map(millis).collect()),
            even_max_ms: evens.into_iter().map(millis).max().unwrap_or(0),
        }
    }

    /// Shows it, and says whether all is well.
    pub(crate) fn show(&self, course: &Course) -> bool {
        let mut table = Table::new();
        table.set_header(["what", "how much"]);
        let rows = [
            ("events written", self.events),
            ("workers started", course.started),
            ("killed", course.killed),
            ("stopped for three lease times", course.stopped),
            ("told to leave", course.left),
            ("runs that a view refused", course.told.fenced),
            ("leases that others had by the time", course.told.lost),
            ("runs ended because a lease was not trusted", course.told.distrusted),
            ("p99 from commit to view, in ms", self.lag_p99_ms),
            ("p99 until a partition had another worker, in ms", self.takeover_p99_ms),
            ("longest until partitions were spread evenly, in ms", self.even_max_ms),
        ];
        for (what, number) in rows {
            table.add_row([what.to_owned(), number.to_string()]);
        }
        for (what, number) in
            [("missed", self.missed), ("doubled", self.doubled), ("out of order", self.out_of_order)]
        {
            table.add_row([what.to_owned(), number.to_string()]);
        }
        eprintln!("{table}");
        println!("{}", serde_json::to_string(self).unwrap_or_default());
        self.missed == 0 && self.doubled == 0 && self.out_of_order == 0
    }
}

fn p99(mut numbers: Vec<u64>) -> u64 {
    numbers.sort_unstable();
    let at = (numbers.len() * 99).div_ceil(100).saturating_sub(1);
    numbers.get(at).copied().unwrap_or(0)
}
