//! The program `sidestream`: a file or folder for each sub-command.
//!
//! A program of your own offers the same commands by calling [`main`], or [`run`] with arguments of its choice.

mod bench;
mod copy;
mod failure;
mod migrate;
mod parked;
mod place;
mod postgres_url;
mod rebuild;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::cli::failure::Failure;

#[derive(Debug, Parser)]
#[command(
    name = "sidestream",
    version,
    about = "Idempotent command handling over event streams: tools",
    after_help = "Exit codes: 0 done; 1 something failed or an answer was wrong; 2 the call was wrong and \
                  nothing was written."
)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    Bench(Box<bench::Options>),
    Copy(copy::Options),
    Migrate(migrate::Options),
    Parked(parked::Options),
    Rebuild(rebuild::Rebuild),
    Switch(rebuild::Switch),
}

/// Runs the program with the arguments of this process.
#[must_use]
pub fn main() -> ExitCode {
    run(std::env::args_os())
}

/// Runs the program with these arguments, the program's own name first. Figures go to stdout, everything else to
/// stderr.
#[must_use]
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match Arguments::try_parse_from(arguments) {
        Ok(Arguments { task: Task::Bench(options) }) => end(bench::run(&options)),
        Ok(Arguments { task: Task::Copy(options) }) => end(copy::run(&options)),
        Ok(Arguments { task: Task::Migrate(options) }) => end(migrate::run(&options)),
        Ok(Arguments { task: Task::Parked(options) }) => end(parked::run(&options)),
        Ok(Arguments { task: Task::Rebuild(options) }) => end(rebuild::rebuild(&options)),
        Ok(Arguments { task: Task::Switch(options) }) => end(rebuild::switch(&options)),
        Err(told) => {
            // A stdout that is closed is no reason to fail.
            told.print().ok();
            u8::try_from(told.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
        }
    }
}

#[allow(clippy::print_stderr, reason = "a program tells its user")]
fn end(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("sidestream: {failure}");
            failure.exit_code()
        }
    }
}
