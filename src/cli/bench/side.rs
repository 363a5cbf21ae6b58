//! What one side of a comparison came to, over all of its rounds.

use std::time::Duration;

use crate::cli::bench::crew::Round;
use crate::cli::bench::figures::{figure, per};
use crate::cli::bench::latency::Latency;
use crate::cli::failure::Failure;

/// The sums over all rounds, and the figures of each.
#[derive(Debug)]
pub(super) struct Side {
    pub(super) commands: u64,
    pub(super) time: Duration,
    pub(super) latency: Latency,
    pub(super) cpu_seconds: Option<f64>,
    /// Commands a second of each round.
    pub(super) rates: Vec<f64>,
    /// The median time of each round, in milliseconds.
    pub(super) medians: Vec<f64>,
    /// Commits of all rounds, where the store counts them.
    pub(super) commits: Option<u64>,
    /// What the files have grown by; none for a store in memory.
    pub(super) bytes: Option<u64>,
    /// Commands that wrote something.
    pub(super) written: u64,
    /// Commands a second in each tenth.
    pub(super) parts: Vec<f64>,
}

impl Side {
    pub(super) fn new() -> Result<Self, Failure> {
        Ok(Self {
            commands: 0,
            time: Duration::ZERO,
            latency: Latency::new()?,
            cpu_seconds: Some(0.0),
            rates: Vec::new(),
            medians: Vec::new(),
            commits: None,
            bytes: None,
            written: 0,
            parts: Vec::new(),
        })
    }

    pub(super) fn add(&mut self, round: &Round) -> Result<(), Failure> {
        self.commands = self.commands.saturating_add(round.commands);
        self.time = self.time.saturating_add(round.time);
        self.latency.add(&round.latency)?;
        self.cpu_seconds = self.cpu_seconds.zip(round.cpu_seconds).map(|(sum, more)| sum + more);
        self.rates.push(per(round.commands, round.time.as_secs_f64()).unwrap_or(0.0));
        self.medians.push(round.latency.at(0.5));
        Ok(())
    }

    pub(super) fn seconds(&self) -> f64 {
        self.time.as_secs_f64()
    }

    pub(super) fn rate(&self) -> f64 {
        per(self.commands, self.seconds()).unwrap_or(0.0)
    }

    pub(super) fn commits_per_second(&self) -> Option<f64> {
        self.commits.and_then(|commits| per(commits, self.seconds()))
    }

    /// Commands that wrote, for each commit.
    pub(super) fn batch(&self) -> Option<f64> {
        self.commits.and_then(|commits| per(self.written, figure(commits)))
    }

    /// Bytes on disk for each command that wrote.
    pub(super) fn bytes_per_command(&self) -> Option<f64> {
        self.bytes.and_then(|bytes| per(bytes, figure(self.written)))
    }
}
