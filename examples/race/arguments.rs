//! What the program is told.

use clap::{Parser, ValueEnum};

#[derive(Parser, Debug, Clone)]
#[command(name = "race", about = "Writers that die against a projection that must miss nothing")]
pub(crate) struct Arguments {
    /// `postgres://USER@HOST/DATABASE`, or `sqlite:PATH`; a temporary SQLite store if nothing is said.
    #[arg(long)]
    pub(crate) store: Option<String>,
    /// How many processes write; SQLite has one, with as many writing tasks.
    #[arg(long, default_value_t = 4)]
    pub(crate) writers: u32,
    /// At least so many events are written.
    #[arg(long, default_value_t = 100_000)]
    pub(crate) events: u64,
    /// The share of transactions that are undone: refused, rolled back, or dropped half way.
    #[arg(long, default_value_t = 0.1)]
    pub(crate) abort: f64,
    /// The share of transactions at which their process is killed.
    #[arg(long, default_value_t = 0.001)]
    pub(crate) kill: f64,
    /// So many transactions a second, all writers together; as many as there can be if nothing is said.
    #[arg(long)]
    pub(crate) rate: Option<u64>,
    /// Keeps a writing transaction open in this other PostgreSQL database all the while.
    #[arg(long)]
    pub(crate) beside: Option<String>,
    #[arg(long, hide = true)]
    pub(crate) role: Option<Role>,
    /// The epoch of a process that projects.
    #[arg(long, hide = true, default_value_t = 1)]
    pub(crate) epoch: u64,
}

/// What a process of the race does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    Write,
    Project,
    Both,
}

impl Arguments {
    /// The command line of a process of the race.
    pub(crate) fn of(&self, role: Role, epoch: u64) -> Vec<String> {
        let role = match role {
            Role::Write => "write",
            Role::Project => "project",
            Role::Both => "both",
        };
        let mut all = vec![format!("--role={role}"), format!("--epoch={epoch}")];
        all.extend(self.store.as_ref().map(|store| format!("--store={store}")));
        all.extend(self.rate.map(|rate| format!("--rate={rate}")));
        all.push(format!("--writers={}", self.writers));
        all.push(format!("--events={}", self.events));
        all.push(format!("--abort={}", self.abort));
        all.push(format!("--kill={}", self.kill));
        all
    }
}
