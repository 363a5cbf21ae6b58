//! What is asked for.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

#[derive(Debug, Parser, Clone)]
#[command(
    name = "deliveries",
    about = "Messages that a killed service sends to a bad receiver",
    after_help = "Examples:\n  deliveries --messages 100000 --seed 1\n  deliveries --messages 20000 --sink nats\n  \
                  deliveries --store memory --sink channel\n\nThe last line is JSON. Exit code 1: something was lost, \
                  doubled, out of order, or a backlog's figure was wrong."
)]
pub(crate) struct Options {
    /// Messages to send: one command each.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(100..=100_000_000))]
    pub(crate) messages: u64,
    /// What happens is drawn from this number.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// `sqlite:PATH` of a store that is not there yet, or `memory`; a temporary SQLite store if nothing is said.
    #[arg(long)]
    pub(crate) store: Option<Place>,
    /// Where messages go.
    #[arg(long, value_enum, default_value = "http")]
    pub(crate) sink: SinkChoice,
    /// How long the receiver is down, in milliseconds; a minute for each 100,000 messages, and a second at least, if
    /// nothing is said.
    #[arg(long)]
    pub(crate) down_ms: Option<u64>,
    /// Accounts that the commands are about: as many keys.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) accounts: u64,
    /// Be the service, sending to this address.
    #[arg(long, hide = true)]
    pub(crate) as_service: Option<String>,
    /// The first command of the service.
    #[arg(long, hide = true, default_value_t = 0)]
    pub(crate) from: u64,
}

/// Where the log is.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    Sqlite(PathBuf),
    Memory,
}

impl From<&str> for Place {
    fn from(text: &str) -> Self {
        let path = || text.strip_prefix("sqlite:").unwrap_or(text).into();
        if text == "memory" { Self::Memory } else { Self::Sqlite(path()) }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SinkChoice {
    Http,
    Nats,
    Channel,
    File,
}

impl SinkChoice {
    /// How the command line calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Nats => "nats",
            Self::Channel => "channel",
            Self::File => "file",
        }
    }
}

impl Options {
    pub(crate) fn down(&self) -> Duration {
        let scaled = (self.messages * 60 / 100).max(1_000);
        Duration::from_millis(self.down_ms.unwrap_or(scaled))
    }
}
