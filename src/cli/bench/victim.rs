//! The process that is killed while it writes.

use std::ffi::OsString;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use crate::cli::bench::crew::Crew;
use crate::cli::bench::options::Options;
use crate::cli::bench::ours::{self, Ours};
use crate::cli::bench::place::Place;
use crate::cli::bench::plan::Plan;
use crate::cli::bench::shift::Course;
use crate::cli::bench::stores::Store;
use crate::cli::failure::Failure;
use crate::command::Settings;

/// What it says once its first commands were answered.
pub(super) const WRITING: &str = "writing";
/// Commands that it sends before it says so.
const FIRST: u64 = 1_000;

/// What the program is called with to become one.
pub(super) fn arguments(options: &Options, path: &Path) -> Vec<OsString> {
    let mut store = OsString::from("sqlite:");
    store.push(path);
    let mut arguments = vec!["bench".into(), "--until-killed".into(), "--store".into(), store];
    let numbers = [
        ("--clients", u64::from(options.clients)),
        ("--in-flight", u64::from(options.in_flight)),
        ("--accounts", u64::from(options.accounts)),
        ("--seed", options.seed),
    ];
    for (name, number) in numbers {
        arguments.extend([name.into(), number.to_string().into()]);
    }
    if options.used_accounts() == 1 {
        arguments.push("--hot".into());
    }
    arguments
}

/// Writes until the process is killed, or its parent is gone.
#[allow(clippy::print_stdout, reason = "the parent waits for it")]
pub(super) async fn write(options: &Options) -> Result<(), Failure> {
    end_with_parent()?;
    let plan = Plan::new(options);
    let place = Place::choose(&options.store, options.floor, plan.run())?;
    let store = Store::open(&place).await?;
    store.note(plan.run()).await?;
    let accounts = ours::accounts(options.used_accounts())?;
    let ours = Ours::new(store.handler(Settings::default()), accounts);
    let mut crew = Crew::new(ours, plan, options.manner(), &Arc::new(Course::new(FIRST)));
    crew.round(FIRST).await?;
    println!("{WRITING}");
    loop {
        crew.round(u64::from(u32::MAX)).await?;
    }
}

/// The parent holds the other end of stdin. When it is gone, nobody would kill this process any more.
fn end_with_parent() -> Result<(), Failure> {
    let wait = || {
        std::io::stdin().read_to_end(&mut Vec::new()).ok();
        std::process::exit(1);
    };
    std::thread::Builder::new().name("parent".to_owned()).spawn(wait)?;
    Ok(())
}
