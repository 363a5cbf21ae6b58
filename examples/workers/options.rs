//! What is asked for.

use std::path::{Path, PathBuf};

use clap::Parser;

use crate::store::Choice;

#[derive(Parser, Clone)]
#[command(name = "workers", about = "Workers that share partitions, killed and stopped at random")]
pub(crate) struct Options {
    /// `postgres://USER@HOST/DATABASE`, or `sqlite:PATH`; a temporary SQLite store if nothing is said.
    #[arg(long)]
    pub(crate) store: Option<Choice>,
    /// Workers at a time.
    #[arg(long, default_value_t = 4)]
    pub(crate) workers: usize,
    /// Partitions of a new store.
    #[arg(long, default_value_t = 16)]
    pub(crate) partitions: u16,
    /// How long things happen to workers.
    #[arg(long, default_value_t = 20)]
    pub(crate) seconds: u64,
    /// Events a second.
    #[arg(long, default_value_t = 500)]
    pub(crate) rate: u64,
    /// How long a lease lasts, in milliseconds.
    #[arg(long, default_value_t = 2_000)]
    pub(crate) lease_ms: u64,
    /// What happens to workers is drawn from this number.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// The folder of the views beside a SQLite store; a temporary one if nothing is said. On PostgreSQL they are in the
    /// store's database.
    #[arg(long)]
    pub(crate) views: Option<PathBuf>,
    /// Be a worker of this name until standard input ends.
    #[arg(long, hide = true)]
    pub(crate) as_worker: Option<String>,
}

impl Options {
    pub(crate) fn views(&self) -> &Path {
        self.views.as_deref().unwrap_or_else(|| Path::new("views"))
    }
}
