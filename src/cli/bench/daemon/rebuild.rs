//! A rebuild beside a live view, with a handler that costs something: by one worker, and by several.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::bench::account::Account;
use crate::cli::bench::daemon::options::DaemonOptions;
use crate::cli::bench::daemon::report::Rebuilt;
use crate::cli::failure::Failure;
use crate::clock::{self, Stopwatch};
use crate::decider::Decider;
use crate::error::Result;
use crate::feed::Selection;
use crate::projection::{
    Daemon, Demands, Event, Failure as HandlerFailure, MemoryContent, MemoryView, Projection, Rebuild,
    Switched,
};
use crate::store::EventStore;

/// Each is measured so often, in turns: what the machine does besides hits both alike.
const ROUNDS: u32 = 3;
/// How often it is looked how far a rebuild is.
const LOOK: Duration = Duration::from_millis(5);
/// Turns of the loop by which one is timed, and how often.
const TRIAL: u64 = 200_000;
const TRIALS: u32 = 50;

/// Counts what it is given, and works so long for each.
#[derive(Clone)]
struct Costly {
    turns: u64,
}

impl Projection<u64> for Costly {
    const NAME: &'static str = "costly";

    async fn apply(&self, rows: &mut u64, event: &Event<'_>) -> Result<(), HandlerFailure> {
        // What the live one did is not to be waited for.
        black_box(work(if event.is_replay() { self.turns } else { 0 }));
        *rows = rows.saturating_add(1);
        Ok(())
    }

    fn selection(&self) -> Result<Selection> {
        Selection::all().category(Account::CATEGORY)
    }
}

/// Work of the processor's, nothing else.
fn work(turns: u64) -> u64 {
    (0..turns).fold(1, |sum, turn| black_box(sum ^ turn).rotate_left(7).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// How many turns take so long on this machine: by the shortest of several trials, which others disturbed least.
fn turns(cost: Duration) -> u64 {
    let trial = |_| {
        let watch = Stopwatch::start();
        black_box(work(TRIAL));
        watch.elapsed().as_nanos()
    };
    let taken = (0..TRIALS).map(trial).min().unwrap_or(1).max(1);
    let turns = cost.as_nanos().saturating_mul(u128::from(TRIAL)).checked_div(taken);
    turns.and_then(|turns| u64::try_from(turns).ok()).unwrap_or(u64::MAX)
}

/// Measures, in turns.
pub(super) async fn rebuild(
    store: &Arc<dyn EventStore>,
    events: u64,
    options: &DaemonOptions,
) -> Result<Rebuilt, Failure> {
    let costly = Costly { turns: turns(Duration::from_micros(options.cost_us)) };
    let (mut one, mut several) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..ROUNDS {
        one = one.saturating_add(round(store, events, &costly, (1, options)).await?);
        several = several.saturating_add(round(store, events, &costly, (options.workers, options)).await?);
    }
    let all = events.saturating_mul(u64::from(ROUNDS));
    Ok(Rebuilt::new((options.cost_us, options.workers, ROUNDS), all, (one, several)))
}

/// One rebuild, from the log's beginning to the switch.
async fn round(
    store: &Arc<dyn EventStore>,
    events: u64,
    costly: &Costly,
    (workers, options): (usize, &DaemonOptions),
) -> Result<Duration, Failure> {
    let view = MemoryView::<u64>::with_threads(workers);
    let daemon = Daemon::builder(Arc::clone(store)).project(costly.clone(), view.clone()).start()?;
    while applied(&view) < events {
        clock::sleep(LOOK).await;
    }
    let bar = bar(options, workers);
    let watch = Stopwatch::start();
    let mut rebuild = Rebuild::begin(Arc::clone(store), &view).await?;
    rebuild.project(costly.clone())?;
    rebuild.start();
    let switched = switch(&rebuild, &bar).await?;
    let elapsed = watch.elapsed();
    bar.finish_and_clear();
    rebuild.shutdown().await;
    daemon.shutdown().await;
    let (found, content) = (applied(&view), switched.content);
    if found == events && content.is_some() {
        return Ok(elapsed);
    }
    Err(Failure::Run(format!(
        "{found} events took effect in a rebuild, and {events} were there: report this"
    )))
}

async fn switch(rebuild: &Rebuild<MemoryView<u64>>, bar: &ProgressBar) -> Result<Switched, Failure> {
    loop {
        let progress = rebuild.progress().await?;
        bar.set_length(progress.done.saturating_add(progress.to_do));
        bar.set_position(progress.done);
        if progress.to_do == 0 {
            break;
        }
        clock::sleep(LOOK).await;
    }
    let same = MemoryContent::new(|count: &u64| count.to_le_bytes().to_vec());
    Ok(rebuild.switch(Demands::same(same)).await?)
}

fn applied(view: &MemoryView<u64>) -> u64 {
    let mut events = 0_u64;
    view.for_each("costly", |_, count| events = events.saturating_add(*count));
    events
}

fn bar(options: &DaemonOptions, workers: usize) -> ProgressBar {
    let target = if options.json { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let style = ProgressStyle::with_template("{msg} [{bar:40}] {human_pos}/{human_len} {per_sec} {eta}");
    ProgressBar::with_draw_target(Some(0), target)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "))
        .with_message(format!("rebuilding, {workers} workers"))
}
