//! What is asked for.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Parser;

const EXAMPLES: &str = "Examples:
  transfers --accounts 200 --transfers 20000 --crashes 200 --stores 2 --seed 1
  transfers --transfers 2000 --crashes 0 --stores 3
  transfers --transfers 2000 --crashes 20 --postgres postgres://me@a/pay --postgres postgres://me@b/pay

Every transfer and every crash is drawn from the seed. Databases in PostgreSQL have to be new ones.";

#[derive(Parser, Clone, Debug)]
#[command(
    name = "transfers",
    about = "Transfers between accounts in several databases, by a service that is killed again and again",
    after_help = EXAMPLES
)]
pub(crate) struct Options {
    /// Accounts, at least 2.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(2..))]
    pub(crate) accounts: u64,
    /// Transfers.
    #[arg(long, default_value_t = 20_000)]
    pub(crate) transfers: u64,
    /// How often the service is killed.
    #[arg(long, default_value_t = 200)]
    pub(crate) crashes: u64,
    /// SQLite files that the partitions are placed on.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) stores: u16,
    /// What accounts, amounts, deadlines and crashes are drawn from.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// The folder of the SQLite files; a temporary one if nothing is said.
    #[arg(long)]
    pub(crate) folder: Option<PathBuf>,
    /// `postgres://USER@HOST/DATABASE`, instead of SQLite files; once for each database.
    #[arg(long)]
    pub(crate) postgres: Vec<String>,
    /// How long a lease lasts, in milliseconds: so long nothing goes on after a crash. If nothing is said, 250 with
    /// SQLite files, and 1,000 with PostgreSQL, where a renewal that comes late is no rare thing on a busy machine.
    #[arg(long)]
    lease_ms: Option<u64>,
    /// Set by the program itself: be the service.
    #[arg(long, hide = true)]
    pub(crate) life: Option<Life>,
}

/// What a service is to do: begin transfers from one number up to another, and say when all transfers are complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Life {
    pub(crate) from: u64,
    pub(crate) up_to: u64,
    pub(crate) is_last: bool,
}

impl FromStr for Life {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers: Vec<u64> = text.split('-').flat_map(str::parse).collect();
        match numbers.as_slice() {
            [from, up_to, last] => Ok(Self { from: *from, up_to: *up_to, is_last: *last == 1 }),
            _ => Err(format!("{text:?} is not FROM-UP_TO-LAST")),
        }
    }
}

impl Options {
    pub(crate) fn lease(&self) -> Duration {
        let usual = if self.postgres.is_empty() { 250 } else { 1_000 };
        Duration::from_millis(self.lease_ms.unwrap_or(usual))
    }

    /// What starts the program again as a service.
    pub(crate) fn of(&self, life: Life) -> Vec<String> {
        let Life { from, up_to, is_last } = life;
        let mut all = vec![format!("--life={from}-{up_to}-{}", u64::from(is_last))];
        all.extend(self.postgres.iter().map(|url| format!("--postgres={url}")));
        all.extend(self.folder.iter().map(|folder| format!("--folder={}", folder.display())));
        all.push(format!("--accounts={}", self.accounts));
        all.push(format!("--transfers={}", self.transfers));
        all.push(format!("--stores={}", self.stores));
        all.push(format!("--seed={}", self.seed));
        all.extend(self.lease_ms.map(|lease_ms| format!("--lease-ms={lease_ms}")));
        all
    }
}
