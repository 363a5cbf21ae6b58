//! Runs the same payment holds through sidestream, cqrs-es and UmaDB, in turn, each durable before its answer.
//!
//! ```text
//! cargo run --release --manifest-path benches/peers/Cargo.toml -- --help
//! ```

mod disk;
mod peers;
mod report;
mod round;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use sidestream_peers_load::{Failure, Load, worker};

use peers::Kind;

/// The versions that this program was built with.
const LOCK: &str = include_str!("../Cargo.lock");

#[derive(Parser)]
#[command(
    name = "peers",
    about = "The same payment holds through sidestream and its peers, every command durable before its answer"
)]
struct Arguments {
    #[command(subcommand)]
    role: Option<Role>,
    /// Who takes part.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Kind::value_variants().to_vec())]
    peers: Vec<Kind>,
    /// Rounds; in each of them every peer has one turn.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Measured seconds of a turn.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Seconds of the same load before them.
    #[arg(long, default_value_t = 1.0)]
    warm_up: f64,
    /// Clients.
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..))]
    clients: u32,
    /// Commands that one client has under way at the same time.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    in_flight: u32,
    /// Accounts.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    accounts: u32,
    /// Where the stores are made, each run in a new directory that is removed at its end. On a disk. Without
    /// this, beside this program.
    #[arg(long)]
    directory: Option<PathBuf>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Subcommand)]
enum Role {
    /// One peer's process, which the measuring program starts.
    #[command(hide = true)]
    Worker {
        #[arg(value_enum)]
        kind: Kind,
        #[command(flatten)]
        load: Load,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match &arguments.role {
        Some(Role::Worker { kind, load }) => work(*kind, load.clone()),
        None => match measure(&arguments) {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                eprintln!("peers: {failure}");
                ExitCode::FAILURE
            }
        },
    }
}

fn work(kind: Kind, load: Load) -> ExitCode {
    match kind {
        Kind::Sidestream => worker::work(load, peers::sidestream::open),
        Kind::Umadb => worker::work(load, |load| peers::umadb::open(load, false)),
        Kind::UmadbThree => worker::work(load, |load| peers::umadb::open(load, true)),
        Kind::CqrsEs => {
            eprintln!("peers: cqrs-es is a program of its own");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &Arguments) -> Result<(), Failure> {
    let parent = match &arguments.directory {
        Some(directory) => directory.clone(),
        None => std::env::current_exe()?.parent().map(Path::to_owned).ok_or("this program lies nowhere")?,
    };
    std::fs::create_dir_all(&parent)?;
    disk::refuse_memory(&parent)?;
    let directory = tempfile::Builder::new().prefix("peers-").tempdir_in(parent)?;
    eprintln!("stores in {}", directory.path().display());
    let sync = disk::time_of_a_sync(directory.path())?;
    let runs = round::run_all(arguments, directory.path())?;
    let report = report::Report::new(arguments, directory.path(), sync, &runs);
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        report.print();
    }
    Ok(())
}
