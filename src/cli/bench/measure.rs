//! One run, from an empty place to a report.

use std::sync::Arc;
use std::time::Duration;

use crate::cli::bench::age;
use crate::cli::bench::crew::{Crew, Target};
use crate::cli::bench::floor::{Door, Floor};
use crate::cli::bench::options::Options;
use crate::cli::bench::ours::{self, Ours};
use crate::cli::bench::place::{self, Place};
use crate::cli::bench::plan::Plan;
use crate::cli::bench::progress::Progress;
use crate::cli::bench::report::{ColdLoad, FloorReport, Report};
use crate::cli::bench::shift::Course;
use crate::cli::bench::side::Side;
use crate::cli::bench::stores::Store;
use crate::cli::failure::Failure;
use crate::command::{Settings, Stats};
use crate::stream::AggregateId;

/// Measures the commands, and the bare loop beside them.
pub(super) async fn all(options: &Options, plan: Plan, place: &Place) -> Result<Report, Failure> {
    let accounts = ours::accounts(options.used_accounts())?;
    let (store, cold) = prepare(options, &plan, place, &accounts).await?;
    let before = place.store().map(place::size);

    let handler = store.handler(settings(options));
    let run = Run::new(options, plan, Ours::new(handler, accounts));
    let (mut ours, stats, floor) = run.rounds(&store, place).await?;
    store.close().await?;
    let after = place.store().map(place::size);
    ours.bytes = after.zip(before).map(|(after, before)| after.saturating_sub(before));

    let floor = floor.map(|floor| FloorReport::new(&ours, floor));
    let report = Report::new(options, ours, stats, cold);
    Ok(Report { floor: floor.unwrap_or_default(), ..report })
}

/// Opens the store, marks it, and gives it the history that is asked for. Then it is closed and opened again: what
/// follows begins with small files and an empty memory.
async fn prepare(
    options: &Options,
    plan: &Plan,
    place: &Place,
    accounts: &[AggregateId],
) -> Result<(Store, Option<ColdLoad>), Failure> {
    let store = Store::open(place).await?;
    store.note(plan.run()).await?;
    // What a run that was killed left open is not to be measured.
    store.handler(Settings::default()).recover(Duration::ZERO).await?;
    let aged = accounts.first().filter(|_| options.age > 0);
    if let Some(account) = aged {
        age::make_older(&store.handler(Settings::default()), account, options.age).await?;
    }
    let store = store.reopen(place).await?;
    let cold = match aged {
        Some(account) => Some(age::load_cold(&store, account).await?),
        None => None,
    };
    Ok((store, cold))
}

fn settings(options: &Options) -> Settings {
    let mut settings = Settings::default();
    if options.cold {
        settings.limits.cached_aggregates = 1;
    }
    settings
}

/// The measured part.
struct Run<'o> {
    options: &'o Options,
    plan: Plan,
    ours: Ours,
    courses: [Arc<Course>; 2],
}

impl<'o> Run<'o> {
    fn new(options: &'o Options, plan: Plan, ours: Ours) -> Self {
        let courses = [(); 2].map(|()| Arc::new(Course::new(options.commands)));
        Self { options, plan, ours, courses }
    }

    /// All rounds, ours and the bare loop's in turns.
    async fn rounds(self, store: &Store, place: &Place) -> Result<(Side, Stats, Option<Side>), Failure> {
        let _progress = self.progress();
        let [our_course, floor_course] = &self.courses;
        let mut ours = Side::new()?;
        let mut crew = self.crew(self.ours.clone(), our_course);
        let mut beside = match self.options.floor {
            true => Some(Beside::start(&self, place, floor_course).await?),
            false => None,
        };
        let commits = store.commits();
        for round in 0..self.options.rounds() {
            let commands = self.share(round);
            ours.add(&crew.round(commands).await?)?;
            if let Some(beside) = &mut beside {
                beside.side.add(&beside.crew.round(commands).await?)?;
            }
        }
        ours.commits = store.commits().zip(commits).map(|(after, before)| after.saturating_sub(before));
        ours.written = ours.commands.saturating_sub(crew.repeated());
        ours.parts = our_course.parts();
        let floor = beside.map(|beside| beside.finish(place, floor_course)).transpose()?;
        Ok((ours, self.ours.handler().stats(), floor))
    }

    fn crew<T: Target>(&self, target: T, course: &Arc<Course>) -> Crew<T> {
        Crew::new(target, self.plan, self.options.manner(), course)
    }

    fn progress(&self) -> Option<Progress> {
        let sides: u64 = if self.options.floor { 2 } else { 1 };
        let total = self.options.commands.saturating_mul(sides);
        (!self.options.json).then(|| Progress::watch(self.courses.to_vec(), total))
    }

    /// The commands of one round: the first ones take what cannot be shared evenly.
    fn share(&self, round: u32) -> u64 {
        let (commands, rounds) = (self.options.commands, u64::from(self.options.rounds().max(1)));
        let rest = commands.checked_rem(rounds).unwrap_or(0);
        let even = commands.checked_div(rounds).unwrap_or(0);
        even.saturating_add(u64::from(u64::from(round) < rest))
    }
}

/// The bare loop's side.
struct Beside {
    floor: Floor,
    crew: Crew<Door>,
    side: Side,
    bytes: u64,
}

impl Beside {
    async fn start(run: &Run<'_>, place: &Place, course: &Arc<Course>) -> Result<Self, Failure> {
        let (floor, door) = Floor::start(place.floor()).await?;
        let bytes = place::size(place.floor());
        Ok(Self { floor, crew: run.crew(door, course), side: Side::new()?, bytes })
    }

    fn finish(self, place: &Place, course: &Course) -> Result<Side, Failure> {
        let mut side = self.side;
        side.commits = Some(self.floor.commits());
        side.written = side.commands;
        side.parts = course.parts();
        drop(self.crew);
        self.floor.finish()?;
        side.bytes = Some(place::size(place.floor()).saturating_sub(self.bytes));
        Ok(side)
    }
}
