//! What a run is told.

use std::path::PathBuf;

use serde::Serialize;

use crate::cli::bench::buffer::BufferOptions;
use crate::cli::bench::daemon::DaemonOptions;
use crate::cli::failure::Failure;
use crate::cli::postgres_url::PostgresUrl;
use crate::command::Settings;

/// Most commands that wait for their answers at once, over all clients.
const MOST_IN_FLIGHT: u64 = 262_144;
/// Most rounds that a run is cut into.
const MOST_ROUNDS: u32 = 100;

/// Measures how many durable commands a second this machine and its disk carry out, and how long each takes.
///
/// A client sends --in-flight commands, waits for all their answers, and sends the next. Every command is on disk
/// before its answer, and writes three records: Requested and Accepted on its side stream, and one event on its
/// account. Every answer is checked; a wrong one ends the run with exit code 1.
#[derive(Debug, Clone, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  \
    sidestream bench                                              100,000 commands on a temporary store\n  \
    sidestream bench --store sqlite:bench.db --commands 1000000   on the disk that counts, and kept\n  \
    sidestream bench --clients 1 --in-flight 1 --commands 2000    what one command costs\n  \
    sidestream bench --floor --json                               beside a bare loop, for programs\n  \
    sidestream bench --hot --duplicates 0.3                       one account, a third of it sent again\n  \
    sidestream bench --age 1000000                                an account with a long history\n  \
    sidestream bench --restart --open-steps 10000                 what a crash costs\n  \
    sidestream bench --store postgres://pay@db/bench --processes 4   a database that four processes share\n  \
    sidestream bench daemon --view --types 3                      how fast projections catch up"
)]
pub(crate) struct Options {
    /// `sqlite:PATH`, `postgres://USER@HOST/DATABASE`, or `memory`. PATH is made, or is the store of an earlier run,
    /// which goes on behind its history; any other file is refused. So is a database's schema `sidestream`; the
    /// database itself must exist. The store stays. Without this, a store in a temporary directory (of TMPDIR), removed
    /// at the end.
    #[arg(long, value_name = "STORE", default_value = "temporary", hide_default_value = true, value_parser = parse_store)]
    pub(super) store: StoreChoice,

    /// Clients that send side by side.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(super) clients: u32,

    /// Commands that each client sends before it waits for all their answers.
    #[arg(long, value_name = "M", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(super) in_flight: u32,

    /// Each client hands its commands over, and hears their answers, in one list (`handle_many`).
    #[arg(long)]
    pub(super) lists: bool,

    /// Accounts that commands are drawn for, evenly.
    #[arg(long, value_name = "A", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(super) accounts: u32,

    /// Commands that are measured.
    #[arg(long, value_name = "C", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000_000))]
    pub(super) commands: u64,

    /// The version of the transaction ids: v7 is ordered by time, v4 is random.
    #[arg(long, value_enum, default_value_t = Ids::V7)]
    pub(super) ids: Ids,

    /// The share of the commands that repeats an earlier one, drawn evenly from all of this run.
    #[arg(long, value_name = "R", default_value_t = 0.0, value_parser = parse_share, allow_negative_numbers = true)]
    pub(super) duplicates: f64,

    /// Sends every command to one account.
    #[arg(long)]
    pub(super) hot: bool,

    /// Gives one account this many events first, and sends every command to it. The first load of it, from a handler
    /// that does not know it, is reported, too.
    #[arg(long, value_name = "EVENTS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=10_000_000_000))]
    pub(super) age: u64,

    /// Keeps one account of each partition in memory and no more, so that nearly every command loads its account
    /// where there are many. Makes no difference with --hot or --age.
    #[arg(long)]
    pub(super) cold: bool,

    /// Chooses accounts and amounts. Transaction ids are new in each run.
    #[arg(long, default_value_t = 7)]
    pub(super) seed: u64,

    /// Measures a bare loop beside it, in turns: the same clients and a thread that writes the same bytes to the same
    /// disk through SQLite, or four connections that write them to the same server, with nothing in between. It knows no
    /// duplicates: it writes every command.
    #[arg(long)]
    pub(super) floor: bool,

    /// Turns that the commands are cut into with --floor.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_ROUNDS)))]
    pub(super) rounds: u32,

    /// Has another process write to the store afterwards, kills it, and measures the time from opening the store to
    /// the first answer.
    #[arg(long)]
    pub(super) restart: bool,

    /// Leaves this many steps open afterwards, ten to an account, and measures how long a new process takes to recover
    /// them.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=10_000_000))]
    pub(super) open_steps: u64,

    /// Events that follow the open steps on each of their accounts: what recovery has to look through.
    #[arg(long, value_name = "EVENTS", default_value_t = 100, value_parser = clap::value_parser!(u64).range(0..=1_000))]
    pub(super) tail: u64,

    /// Processes that share the database and the clients: `postgres://` only.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(super) processes: u32,

    /// Works off rounds that the parent asks for: one of --processes.
    #[arg(long, hide = true)]
    pub(super) worker: bool,

    /// Writes until it is killed: the other process of --restart.
    #[arg(long, hide = true)]
    pub(super) until_killed: bool,

    /// Prints one line of JSON and nothing else.
    #[arg(long)]
    pub(super) json: bool,

    #[command(subcommand)]
    pub(super) part: Option<Part>,
}

/// What else can be measured.
#[derive(Debug, Clone, clap::Subcommand)]
pub(super) enum Part {
    Daemon(DaemonOptions),
    Buffer(BufferOptions),
}

/// Where the run's records go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum StoreChoice {
    /// SQLite, in a directory that is removed at the end.
    Temporary,
    /// SQLite at this path.
    Sqlite(PathBuf),
    /// PostgreSQL, in this database.
    Postgres(PostgresUrl),
    /// The store in memory.
    Memory,
}

/// How the clients work.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    pub(super) clients: u32,
    pub(super) in_flight: u32,
    pub(super) lists: bool,
    pub(super) duplicates: f64,
}

/// The kind of transaction ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Ids {
    /// Ordered by time.
    V7,
    /// Random.
    V4,
}

impl Options {
    /// Checks what no single option can see.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let waiting = u64::from(self.clients).saturating_mul(u64::from(self.in_flight));
        if waiting > MOST_IN_FLIGHT {
            return Err(Failure::Call(format!(
                "--clients {} times --in-flight {} is more than {MOST_IN_FLIGHT} commands at once; choose less",
                self.clients, self.in_flight
            )));
        }
        if self.commands < u64::from(self.rounds()) {
            return Err(Failure::Call(format!(
                "--commands {} cannot be cut into {} rounds; choose more commands, or fewer --rounds",
                self.commands, self.rounds
            )));
        }
        if self.restart && self.store == StoreChoice::Memory {
            return Err(Failure::Call(
                "--restart needs a store that outlives its process; leave out --store memory".to_owned(),
            ));
        }
        self.check_postgres()
    }

    fn check_postgres(&self) -> Result<(), Failure> {
        let is_postgres = matches!(self.store, StoreChoice::Postgres(_));
        let refuse = |why: String| Err(Failure::Call(why));
        if is_postgres && self.restart {
            return refuse(
                "--restart kills a process that owns its store; the server of a postgres:// store lives on: leave it out"
                    .to_owned(),
            );
        }
        if self.processes > 1 && !is_postgres {
            return refuse(
                "--processes needs a store that processes can share; use --store postgres://…".to_owned(),
            );
        }
        if self.processes > self.clients {
            return refuse(format!(
                "--processes {} cannot share --clients {}; choose as many clients, or more",
                self.processes, self.clients
            ));
        }
        Ok(())
    }

    /// Turns that the commands are cut into.
    pub(super) fn rounds(&self) -> u32 {
        if self.floor { self.rounds } else { 1 }
    }

    /// Whether all commands go to the first account.
    fn one_account(&self) -> bool {
        self.hot || self.age > 0
    }

    /// Accounts that commands go to.
    pub(super) fn used_accounts(&self) -> u32 {
        if self.one_account() { 1 } else { self.accounts }
    }

    /// How our command handler is set.
    pub(super) fn settings(&self) -> Settings {
        let mut settings = Settings::default();
        if self.cold {
            settings.limits.cached_aggregates = 1;
        }
        settings
    }

    /// How the clients work.
    pub(super) fn manner(&self) -> Manner {
        let (clients, in_flight) = (self.clients, self.in_flight);
        Manner { clients, in_flight, lists: self.lists, duplicates: self.duplicates }
    }
}

pub(super) fn parse_store(text: &str) -> Result<StoreChoice, String> {
    if let Some(url) = PostgresUrl::of(text) {
        return Ok(StoreChoice::Postgres(url));
    }
    match text.split_once(':') {
        Some(("sqlite", path)) if !path.is_empty() => Ok(StoreChoice::Sqlite(path.into())),
        None if text == "memory" => Ok(StoreChoice::Memory),
        None if text == "temporary" => Ok(StoreChoice::Temporary),
        _ => Err(format!("{text:?} is no store; use sqlite:PATH, postgres://… or memory")),
    }
}

fn parse_share(text: &str) -> Result<f64, String> {
    let share: f64 = text.parse().map_err(|_| format!("{text:?} is no number"))?;
    if (0.0..=0.95).contains(&share) { Ok(share) } else { Err(format!("{share} is not between 0 and 0.95")) }
}
