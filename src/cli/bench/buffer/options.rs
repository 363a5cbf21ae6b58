//! What a run is told.

use crate::cli::bench::options::{StoreChoice, parse_store};

/// Measures what messages cost commands, and how fast they are sent.
///
/// Commands with one message each and commands without take turns, in one process, on one store; then all messages that the
/// store has are sent into a channel of this process, by publishers of all partitions at once. Every count is checked.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct BufferOptions {
    /// `sqlite:PATH`, `postgres://USER@HOST/DATABASE`, or `memory`. Without this, a store in a temporary directory (of
    /// TMPDIR), removed at the end.
    #[arg(long, value_name = "STORE", default_value = "temporary", hide_default_value = true, value_parser = parse_store)]
    pub(super) store: StoreChoice,

    /// Messages to record and send, at least.
    #[arg(long, value_name = "N", default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1_000..=1_000_000_000))]
    pub(super) messages: u64,

    /// Turns of each kind.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pub(super) rounds: u64,

    /// Commands under way at once.
    #[arg(long, value_name = "N", default_value_t = 2_048, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(super) at_once: u64,

    /// Accounts that the commands are about: as many keys.
    #[arg(long, value_name = "A", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub(super) accounts: u64,

    /// Prints one line of JSON and nothing else.
    #[arg(long)]
    pub(super) json: bool,
}
