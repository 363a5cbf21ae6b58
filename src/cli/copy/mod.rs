//! `sidestream copy`: moves a store to another place, of either kind.

mod bar;
mod options;
mod report;

use crate::cli::copy::bar::Bar;
pub(super) use crate::cli::copy::options::Options;
use crate::cli::copy::report::Report;
use crate::cli::failure::Failure;
use crate::cli::place::Place;
use crate::clock::Stopwatch;
use crate::store::transfer::{self, Mark, Places};

/// Copies, or takes the seal off, and says what was done.
pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let from = Place::parse(&options.from, "--from")?;
    if options.unseal {
        return runtime.block_on(unseal(&from));
    }
    let to = options.to.as_deref().unwrap_or_default();
    let to = Place::parse(to, "--to")?;
    print(&runtime.block_on(copy(options, &from, &to))?);
    Ok(())
}

async fn copy(options: &Options, from: &Place, to: &Place) -> Result<String, Failure> {
    let watch = Stopwatch::start();
    let places = Places { source: from.name()?, target: to.name()? };
    if places.source == places.target {
        return Err(Failure::Call(format!("--from and --to are the same place, {}", places.source)));
    }
    let source = from.source().await.map_err(Failure::of)?;
    let target = to.target(source.as_transfer()).await.map_err(Failure::of)?;
    let bar = Bar::new(!options.json);
    let copied = transfer::copy(source.share(), target.share(), &places, bar.watcher()).await;
    drop(bar);
    let report = Report::new(copied.map_err(Failure::of)?, watch.elapsed(), &places);
    // What is closed cleanly needs nothing of the next start.
    target.close().await?;
    source.close().await?;
    report.show(options.json)
}

async fn unseal(from: &Place) -> Result<(), Failure> {
    let source = from.source().await.map_err(Failure::of)?;
    let mark = transfer::unseal(source.as_transfer()).await.map_err(Failure::of)?;
    source.close().await?;
    print(&match mark {
        Mark::None | Mark::Copying => format!("{} was not sealed", from.name()?),
        Mark::Copied { to } => {
            format!("{} is no longer being copied to {to}: remove what is there", from.name()?)
        }
        Mark::Moved { to } => format!(
            "{} takes writes again. Never serve commands from it and from {to}: what was written there is not here",
            from.name()?
        ),
    });
    Ok(())
}

#[allow(clippy::print_stdout, reason = "what was done is the program's answer")]
fn print(text: &str) {
    println!("{text}");
}
