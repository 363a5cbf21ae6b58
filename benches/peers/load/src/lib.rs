//! The load that every peer carries: clients that send holds, each waiting for its answer before the next, and
//! what they measured.
//!
//! Each peer runs in a process of its own, so that nobody pays for another's memory, and because two versions
//! of SQLite cannot be linked into one program. [`words`] is what the processes say to each other.

pub mod clients;
pub mod words;
pub mod worker;

use std::future::Future;
use std::path::PathBuf;

use uuid::Uuid;

/// Anything that ends the run; its text says what happened.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The first deposit of every account: enough that no hold is ever refused.
pub const DEPOSIT: i64 = 1_000_000_000_000;

/// What a peer's process is started with.
#[derive(Debug, Clone, clap::Args)]
pub struct Load {
    /// Where the peer keeps its files.
    #[arg(long)]
    pub directory: PathBuf,
    /// Accounts, each with one deposit.
    #[arg(long)]
    pub accounts: u32,
    /// Clients.
    #[arg(long)]
    pub clients: u32,
    /// Commands that one client has under way at the same time.
    #[arg(long)]
    pub in_flight: u32,
}

/// Sets one minor unit aside on an account.
#[derive(Debug, Clone, Copy)]
pub struct Hold {
    /// The account, from 0.
    pub account: u32,
    /// The client's id for it. A retry has the same.
    pub transaction: Uuid,
}

/// How much a hold sets aside. One, so that what is held counts the holds.
pub const MINOR: i64 = 1;

/// A store with the program that a good user of it would write.
pub trait Peer: Send + Sync + 'static {
    /// Carries out a hold and returns once it is on disk, with the number of times that it had to begin again.
    /// A hold that was carried out before is answered and has no effect.
    fn hold(&self, client: usize, hold: Hold) -> impl Future<Output = Result<u64, Failure>> + Send;

    /// What all accounts hold together, as stored.
    fn held(&self) -> impl Future<Output = Result<u64, Failure>> + Send;

    /// Closes the store.
    fn close(self) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// The name of an account.
#[must_use]
pub fn account_name(account: u32) -> String {
    format!("{account:08}")
}
