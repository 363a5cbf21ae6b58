//! What is told at the end. The names of the fields are an interface: programs read them.

use std::time::Duration;

use serde::Serialize;

use crate::cli::bench::figures::{figure, per};

/// Everything that was measured. What was not asked for is null.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Report {
    pub(super) store: &'static str,
    /// Records of the log.
    pub(super) events: u64,
    pub(super) unit_events: u32,
    pub(super) accounts: u32,
    pub(super) partitions: u16,
    /// Cursors alone.
    pub(super) feed: Rate,
    /// A daemon whose handler does nothing.
    pub(super) handler: Rate,
    /// A daemon that keeps balances in SQLite.
    pub(super) view: Option<Rate>,
    pub(super) rare: Option<Rare>,
    pub(super) rebuild: Option<Rebuilt>,
}

/// How many, and how fast.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Rate {
    pub(super) events: u64,
    pub(super) seconds: f64,
    pub(super) events_per_second: f64,
}

/// A projection over rare types.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Rare {
    pub(super) types: usize,
    pub(super) rows_read: u64,
    pub(super) events: u64,
    pub(super) feed_ms: f64,
    pub(super) handler_ms: f64,
}

/// Rebuilds by one worker and by several, over all rounds.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Rebuilt {
    pub(super) cost_us: u64,
    pub(super) workers: usize,
    pub(super) rounds: u32,
    pub(super) one_per_second: f64,
    pub(super) several_per_second: f64,
    /// How many times as fast several are.
    pub(super) ratio: f64,
}

impl Rebuilt {
    pub(super) fn new(
        (cost_us, workers, rounds): (u64, usize, u32),
        events: u64,
        (one, several): (Duration, Duration),
    ) -> Self {
        let [one, several] = [one, several].map(|elapsed| Rate::new(events, elapsed).events_per_second);
        let ratio = if one > 0.0 { several / one } else { 0.0 };
        Self { cost_us, workers, rounds, one_per_second: one, several_per_second: several, ratio }
    }
}

impl Rate {
    pub(super) fn new(events: u64, elapsed: Duration) -> Self {
        let seconds = elapsed.as_secs_f64();
        Self { events, seconds, events_per_second: per(events, seconds).unwrap_or(0.0) }
    }
}

impl Report {
    /// The report as people read it.
    pub(super) fn show(&self) -> String {
        let mut table = comfy_table::Table::new();
        table.load_style(comfy_table::presets::UTF8_FULL_CONDENSED);
        table.set_header(["catching up", "events", "seconds", "events/s"]);
        let rates =
            [("feed", Some(self.feed)), ("empty handler", Some(self.handler)), ("balances", self.view)];
        for (what, rate) in rates.into_iter().filter_map(|(what, rate)| Some((what, rate?))) {
            let cells = [rate.seconds, rate.events_per_second];
            let [seconds, each] = cells.map(|figure| format!("{figure:.2}"));
            table.add_row([what.to_owned(), rate.events.to_string(), seconds, each]);
        }
        let rare = self.rare.map_or_else(String::new, |rare| {
            let Rare { types, rows_read, feed_ms, handler_ms, .. } = rare;
            let share = figure(rows_read) / figure(self.events.max(1)) * 100.0;
            format!("\n{types} rare types: {rows_read} rows read ({share:.4} %), {feed_ms:.1} ms; by a handler {handler_ms:.1} ms")
        });
        let rebuild = self.rebuild.map_or_else(String::new, |rebuilt| {
            let Rebuilt { cost_us, workers, rounds, one_per_second, several_per_second, ratio } = rebuilt;
            format!(
                "\nrebuild at {cost_us} µs an event, {rounds} rounds: {one_per_second:.0} events/s by one worker, \
                 {several_per_second:.0} by {workers}: {ratio:.2} times as fast"
            )
        });
        format!("{table}{rare}{rebuild}")
    }
}
