//! What is told at the end. The names of the fields are an interface: programs read them.

use std::time::Duration;

use serde::Serialize;

use crate::cli::bench::figures::per;

/// Everything that was measured.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Report {
    pub(super) store: &'static str,
    pub(super) accounts: u64,
    pub(super) commands: Commands,
    /// Publishers of all partitions, into a channel.
    pub(super) published: Rate,
}

/// Commands that took turns; rates are those of the round in the middle.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Commands {
    pub(super) rounds: u64,
    pub(super) commands_a_round: u64,
    pub(super) with_message_per_second: f64,
    pub(super) without_per_second: f64,
    /// With a message, by without.
    pub(super) ratio: f64,
}

/// How many, and how fast.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Rate {
    pub(super) count: u64,
    pub(super) seconds: f64,
    pub(super) per_second: f64,
}

impl Rate {
    pub(super) fn new(count: u64, elapsed: Duration) -> Self {
        let seconds = elapsed.as_secs_f64();
        Self { count, seconds, per_second: per(count, seconds).unwrap_or(0.0) }
    }
}

impl Report {
    /// The report as people read it.
    pub(super) fn show(&self) -> String {
        let Commands { with_message_per_second: with, without_per_second: without, ratio, .. } =
            self.commands;
        let mut table = comfy_table::Table::new();
        table.load_style(comfy_table::presets::UTF8_FULL_CONDENSED);
        table.set_header(["what", "a second"]);
        table.add_row(["commands without a message".to_owned(), format!("{without:.0}")]);
        table.add_row(["commands with a message".to_owned(), format!("{with:.0}")]);
        table.add_row(["messages into a channel".to_owned(), format!("{:.0}", self.published.per_second)]);
        format!("{table}\n{ratio:.2} of the rate with a message")
    }
}
