//! `sidestream parked`: what is parked, and what operators have done about it.

mod aggregate;
mod list;
mod message;
mod options;
mod outcome;

use crate::cli::failure::Failure;
pub(super) use crate::cli::parked::options::Options;
use crate::cli::parked::options::{Ask, Task};
use crate::cli::place::Place;
use crate::projection::{Action, Operator};

/// Lists, or asks and tells what became of it.
pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match &options.task {
        Task::List(options) => {
            print(&runtime.block_on(list::list(options))?);
            Ok(())
        }
        Task::Retry(options) => runtime.block_on(ask(options, Action::Retried)),
        Task::Skip(options) => runtime.block_on(ask(options, Action::Skipped)),
    }
}

async fn ask(options: &Ask, action: Action) -> Result<(), Failure> {
    let place = Place::parse(&options.store, "--store")?;
    let by = Operator::new(options.by.as_str(), options.reason.as_str()).map_err(Failure::of)?;
    let outcome = if options.destination.is_some() {
        message::ask(options, (&place, action), by).await?
    } else {
        aggregate::ask(options, (&place, action), by).await?
    };
    if options.json {
        print(&serde_json::to_string(&outcome)?);
    }
    match outcome.told() {
        Ok(told) if !options.json => print(&told),
        Ok(_) => {}
        Err(told) => return Err(Failure::Run(told)),
    }
    Ok(())
}

#[allow(clippy::print_stdout, reason = "what was found is the program's answer")]
fn print(text: &str) {
    println!("{text}");
}
