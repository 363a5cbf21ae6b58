//! What it came to.

use std::time::Duration;

use comfy_table::Table;
use serde::Serialize;

use crate::audit::Verdict;

/// What was seen on the way.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    #[serde(flatten)]
    verdict: Verdict,
    /// Messages that came again, with the same id and content.
    duplicates: u64,
    /// Services that were killed.
    pub(crate) kills: u64,
    seconds: f64,
    per_second: f64,
    /// The most that waited at a time.
    backlog_max: u64,
    /// Looks at a backlog whose depth was known, and those that were wrong.
    pub(crate) looks: u64,
    pub(crate) backlog_wrong: u64,
    /// The most memory that a service had, and what it had when most waited.
    rss_max_mib: f64,
    rss_at_backlog_max_mib: f64,
}

impl Report {
    pub(crate) fn saw(&mut self, depth: u64, rss_kib: u64) {
        let mib = f64::from(u32::try_from(rss_kib).unwrap_or(u32::MAX)) / 1_024.0;
        self.rss_max_mib = self.rss_max_mib.max(mib);
        if depth >= self.backlog_max {
            (self.backlog_max, self.rss_at_backlog_max_mib) = (depth, mib);
        }
    }

    pub(crate) fn took(&mut self, all: Duration) {
        self.seconds = all.as_secs_f64();
    }

    /// Shows it, and says whether all is well.
    pub(crate) fn show(mut self, verdict: Verdict, duplicates: u64) -> bool {
        (self.verdict, self.duplicates) = (verdict, duplicates);
        let received = f64::from(u32::try_from(verdict.received).unwrap_or(u32::MAX));
        self.per_second = received / self.seconds.max(0.001);
        let mut table = Table::new();
        table.set_header(["what", "how much"]);
        let counts = [
            ("messages recorded", verdict.sent),
            ("messages received", verdict.received),
            ("lost", verdict.lost),
            ("ids with two contents, or unknown", verdict.doubled_ids),
            ("out of order", verdict.out_of_order),
            ("came again", duplicates),
            ("services killed", self.kills),
            ("most that waited", self.backlog_max),
            ("looks at the backlog", self.looks),
            ("of these wrong", self.backlog_wrong),
        ];
        for (what, count) in counts {
            table.add_row([what.to_owned(), count.to_string()]);
        }
        for (what, figure) in [
            ("seconds", self.seconds),
            ("messages a second, outages included", self.per_second),
            ("most memory of a service, in MiB", self.rss_max_mib),
            ("memory when most waited, in MiB", self.rss_at_backlog_max_mib),
        ] {
            table.add_row([what.to_owned(), format!("{figure:.1}")]);
        }
        eprintln!("{table}");
        println!("{}", serde_json::to_string(&self).unwrap_or_default());
        verdict.is_good() && self.backlog_wrong == 0
    }
}
