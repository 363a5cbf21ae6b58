//! `sidestream rebuild` and `sidestream switch`: a view is made anew by whoever has its rules.

mod bar;
mod options;
mod report;

use std::time::Duration;

use crate::cli::failure::Failure;
use crate::cli::place::{Open, Place};
use crate::cli::rebuild::bar::Bar;
use crate::cli::rebuild::options::Of;
pub(super) use crate::cli::rebuild::options::{Rebuild, Switch};
use crate::cli::rebuild::report::Report;
use crate::clock;
use crate::error::Result as Done;
use crate::projection::{Operator, RebuildAction, RebuildRows, RebuildStand};

/// How often it is looked how far it is.
const LOOK: Duration = Duration::from_millis(100);

/// Asks for a rebuild, or says how it stands.
pub(super) fn rebuild(options: &Rebuild) -> Result<(), Failure> {
    let (by, why) = (options.by.as_deref(), options.reason.as_deref());
    run(&options.of, options.action().map(|action| (action, by.unwrap_or_default(), why.unwrap_or_default())))
}

/// Asks for a switch.
pub(super) fn switch(options: &Switch) -> Result<(), Failure> {
    run(&options.of, Some((RebuildAction::Switch, &options.by, &options.reason)))
}

/// What is asked, by whom, and why.
type Asks<'a> = (RebuildAction, &'a str, &'a str);

fn run(of: &Of, asks: Option<Asks<'_>>) -> Result<(), Failure> {
    let place = Place::parse(&of.store, "--store")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(report(of, &place, asks))?;
    if of.json {
        print(&serde_json::to_string(&report)?);
    }
    match report.told() {
        Ok(told) if !of.json => print(&told),
        Ok(_) => {}
        Err(told) => return Err(Failure::Run(told)),
    }
    Ok(())
}

async fn report(of: &Of, place: &Place, asks: Option<Asks<'_>>) -> Result<Report, Failure> {
    let reader = place.read().await?;
    let view = known(&reader, &of.name).await?;
    let Some((action, by, why)) = asks else {
        reader.close().await?;
        return Ok(Report { view, asked: None, timed_out: false });
    };
    let by = Operator::new(by, why).map_err(Failure::of)?;
    let store = reader.into_writer(place).await?;
    let rows = RebuildRows::new(store.store(), of.name.as_str()).map_err(Failure::of)?;
    let asked = rows.ask(action, of.more_parked, by).await;
    let has_to_wait = !of.no_wait && store.is_shared();
    let done = match asked {
        Ok(()) if has_to_wait => wait(of, &rows).await.map(Some),
        asked => asked.map(|()| None),
    };
    let told = match done {
        Ok(done) => Ok((rows.stand().await, rows.find().await, done)),
        Err(error) => Err(error),
    };
    store.close().await?;
    let (stand, asked, done) = told.map_err(Failure::of)?;
    Ok(Report { view: stand?.unwrap_or(view), asked: asked?, timed_out: done == Some(false) })
}

/// The view of that name.
async fn known(store: &Open, name: &str) -> Result<RebuildStand, Failure> {
    let all = RebuildRows::all(&*store.store()).await?;
    let names: Vec<_> = all.iter().map(|stand| stand.name.clone()).collect();
    all.into_iter().find(|stand| stand.name == name).ok_or_else(|| {
        let known = if names.is_empty() { "there is none".to_owned() } else { names.join(", ") };
        Failure::Call(format!(
            "no view {name:?} can be made anew by request over this store: {known}. A service has to run its Rebuilder"
        ))
    })
}

/// Waits for an answer and shows how far it is; false where the time is over.
async fn wait(of: &Of, rows: &RebuildRows) -> Done<bool> {
    let bar = Bar::new(!of.json);
    let answered = async {
        loop {
            if rows.find().await?.is_none_or(|asked| asked.answer.is_some()) {
                return Ok(true);
            }
            if let Some(stand) = rows.stand().await? {
                bar.show(&stand);
            }
            clock::sleep(LOOK).await;
        }
    };
    match of.wait {
        Some(limit) => clock::within(limit, answered).await.unwrap_or(Ok(false)),
        None => answered.await,
    }
}

#[allow(clippy::print_stdout, reason = "what was done is the program's answer")]
fn print(text: &str) {
    println!("{text}");
}
