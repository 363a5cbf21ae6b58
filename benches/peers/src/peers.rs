//! What is compared, and the process that each of them runs in.
//!
//! | | sent twice | for how long | another content under a known id | refusals |
//! |---|---|---|---|---|
//! | sidestream | the same answer, from a record | for ever, whatever the account's age | is told as a conflict | are recorded and repeated |
//! | cqrs-es | no effect: the program keeps ids in the aggregate | while the ids are kept; the load grows with them | is taken for a retry | are not recorded |
//! | UmaDB | no effect: the program finds the event by its tag | for ever; the load grows with the account | is taken for a retry | are not recorded |
//!
//! A program on either peer could do more, by writing more. The files below say what theirs does.

pub mod sidestream;
pub mod umadb;

use std::path::Path;
use std::process::{Command, Stdio};

use clap::ValueEnum;
use serde::Serialize;
use sidestream_peers_load::Failure;

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// This crate on its SQLite store: three records a hold.
    Sidestream,
    /// cqrs-es on sqlite-es: one event a hold.
    CqrsEs,
    /// UmaDB with its server and client: one event a hold.
    Umadb,
    /// UmaDB with three events a hold, with payloads of the sizes that sidestream writes.
    UmadbThree,
}

impl Kind {
    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sidestream => "sidestream",
            Self::CqrsEs => "cqrs-es",
            Self::Umadb => "umadb",
            Self::UmadbThree => "umadb-three",
        }
    }

    /// The command that runs its process, without the load.
    ///
    /// # Errors
    /// When this program does not know where it lies.
    pub fn command(self) -> Result<Command, Failure> {
        if self == Self::CqrsEs {
            return Ok(cqrs_es("run"));
        }
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["worker", self.name()]);
        Ok(command)
    }

    /// Builds it where it is a program of its own.
    ///
    /// # Errors
    /// When it does not build.
    pub fn build(self) -> Result<(), Failure> {
        if self != Self::CqrsEs {
            return Ok(());
        }
        let mut build = cqrs_es("build");
        let built = build.stdout(Stdio::null()).status()?;
        if built.success() { Ok(()) } else { Err(format!("{build:?} failed").into()) }
    }
}

/// A cargo command for the program that runs cqrs-es. It cannot be a part of this one: sqlx 0.8 and rusqlite
/// link different versions of SQLite's library, and cargo allows one.
fn cqrs_es(what: &str) -> Command {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("cqrs-es/Cargo.toml");
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args([what, "--release", "--locked", "--quiet", "--manifest-path"]).arg(manifest);
    if what == "run" {
        command.arg("--");
    }
    command
}
