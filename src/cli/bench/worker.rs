//! One of several processes that share a database: it works off the rounds that its parent asks for.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::cli::bench::counts::Counts;
use crate::cli::bench::crew::Round;
use crate::cli::bench::here::Here;
use crate::cli::bench::latency::Latency;
use crate::cli::bench::options::Options;
use crate::cli::bench::ours::{self, Ours};
use crate::cli::bench::place::Place;
use crate::cli::bench::plan::Plan;
use crate::cli::bench::shift::Course;
use crate::cli::bench::stores::Store;
use crate::cli::failure::Failure;
use crate::clock;

/// How often it tells how far it is.
const STEP: Duration = Duration::from_millis(250);

/// What it tells its parent, a line each. The parent writes the number of commands of the next round.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Told {
    /// The store is open.
    Ready,
    /// Commands that were answered since it told this last.
    Answered(u64),
    /// A round has ended.
    Round(Box<Ended>),
}

/// A round, and what was counted up to its end.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Ended {
    /// Times, and how many commands took each.
    pub(super) latency: Vec<(u64, u64)>,
    pub(super) cpu_seconds: Option<f64>,
    pub(super) counts: Counts,
    /// Commands a second in each tenth of its course.
    pub(super) parts: Vec<f64>,
}

/// Works until the parent is gone.
pub(super) async fn work(options: &Options) -> Result<(), Failure> {
    let plan = Plan::new(options);
    let place = Place::choose(&options.store, options.floor, plan.run())?;
    let store = Store::open(&place).await?;
    let accounts = ours::accounts(options.used_accounts())?;
    let ours = Ours::new(store.handler(options.settings()), accounts).patient();
    let course = Arc::new(Course::new(options.commands));
    let mut here = Here::new(options, plan, ours, &store, &course);
    let mut rounds = rounds()?;
    tell(&Told::Ready)?;
    let telling = tokio::spawn(tell_how_far(Arc::clone(&course)));
    while let Some(commands) = rounds.recv().await {
        let Round { latency, cpu_seconds, .. } = here.round(commands).await?;
        let (counts, parts) = (here.counts(), course.parts());
        tell(&Told::Round(Box::new(Ended { latency: latency.counts(), cpu_seconds, counts, parts })))?;
    }
    telling.abort();
    Ok(())
}

/// The rounds that the parent asks for. When it is gone, nobody hears the answers: the process ends.
fn rounds() -> Result<mpsc::UnboundedReceiver<u64>, Failure> {
    let (sender, rounds) = mpsc::unbounded_channel();
    let read = move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            line.trim().parse().map(|commands| sender.send(commands).ok()).ok();
        }
        std::process::exit(0);
    };
    std::thread::Builder::new().name("parent".to_owned()).spawn(read)?;
    Ok(rounds)
}

async fn tell_how_far(course: Arc<Course>) {
    let mut told = 0;
    loop {
        clock::sleep(STEP).await;
        let answered = course.answered();
        tell(&Told::Answered(answered.saturating_sub(told))).ok();
        told = answered;
    }
}

#[allow(clippy::print_stdout, reason = "the parent reads it")]
fn tell(told: &Told) -> Result<(), Failure> {
    println!("{}", serde_json::to_string(told)?);
    Ok(())
}

impl Ended {
    /// The times of the round's commands.
    pub(super) fn times(&self) -> Result<Latency, Failure> {
        Latency::of_counts(&self.latency)
    }
}
