//! One run, from an empty place to a report.

use std::sync::Arc;
use std::time::Duration;

use crate::cli::bench::age;
use crate::cli::bench::counts::Counts;
use crate::cli::bench::crew::Crew;
use crate::cli::bench::floor::{Door, Floor};
use crate::cli::bench::here::Here;
use crate::cli::bench::load::Load;
use crate::cli::bench::options::Options;
use crate::cli::bench::ours::{self, Ours};
use crate::cli::bench::place::{Home, Place};
use crate::cli::bench::plan::Plan;
use crate::cli::bench::progress::Progress;
use crate::cli::bench::report::{ColdLoad, FloorReport, Report};
use crate::cli::bench::shift::Course;
use crate::cli::bench::side::Side;
use crate::cli::bench::stores::{self, Store};
use crate::cli::bench::workers::Workers;
use crate::cli::failure::Failure;
use crate::command::Settings;
use crate::stream::AggregateId;

/// Measures the commands, and the bare loop beside them.
pub(super) async fn all(options: &Options, plan: Plan, place: &Place) -> Result<Report, Failure> {
    let accounts = ours::accounts(options.used_accounts())?;
    let (store, cold) = prepare(options, &plan, place, &accounts).await?;

    let run = Run::new(options, plan, accounts);
    let Measured { mut ours, counts, floor, bytes } = run.rounds(&store, place).await?;
    store.close().await?;
    let after = stores::size(place).await?;
    ours.bytes = after.zip(bytes).map(|(after, before)| after.saturating_sub(before));

    let floor = floor.map(|floor| FloorReport::new(&ours, floor));
    let report = Report::new(options, ours, counts, cold);
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

/// The measured part.
struct Run<'o> {
    options: &'o Options,
    plan: Plan,
    accounts: Arc<[AggregateId]>,
    courses: [Arc<Course>; 2],
}

/// What the rounds came to.
struct Measured {
    ours: Side,
    counts: Counts,
    floor: Option<Side>,
    /// The store's size before the first round.
    bytes: Option<u64>,
}

impl<'o> Run<'o> {
    fn new(options: &'o Options, plan: Plan, accounts: Arc<[AggregateId]>) -> Self {
        let courses = [(); 2].map(|()| Arc::new(Course::new(options.commands)));
        Self { options, plan, accounts, courses }
    }

    /// All rounds, ours and the bare loop's in turns.
    async fn rounds(self, store: &Store, place: &Place) -> Result<Measured, Failure> {
        let _progress = self.progress();
        let mut load = self.load(store, place)?;
        let mut beside = match self.options.floor {
            true => Some(Beside::start(&self, place, store).await?),
            false => None,
        };
        let bytes = stores::size(place).await?;
        let turns = self.turns(&mut load, beside.as_mut()).await;
        // The bare loop cleans up behind itself, whatever happened, and knows best why it failed.
        let [our_course, floor_course] = &self.courses;
        let floor = match beside {
            Some(beside) => Some(beside.finish(place, floor_course).await?),
            None => None,
        };
        let mut ours = turns?;
        let counts = load.counts();
        ours.commits = counts.commits;
        ours.written = ours.commands.saturating_sub(counts.repeated);
        ours.parts = load.parts(our_course);
        load.end()?;
        Ok(Measured { ours, counts, floor, bytes })
    }

    async fn turns(&self, load: &mut Load, mut beside: Option<&mut Beside>) -> Result<Side, Failure> {
        let mut ours = Side::new()?;
        for round in 0..self.options.rounds() {
            let commands = self.share(round);
            ours.add(&load.round(commands).await?)?;
            if let Some(beside) = &mut beside {
                beside.side.add(&beside.crew.round(commands).await?)?;
            }
        }
        Ok(ours)
    }

    /// The clients of our side.
    fn load(&self, store: &Store, place: &Place) -> Result<Load, Failure> {
        let [course, _] = &self.courses;
        if let (Home::Postgres(url), 2..) = (place.home(), self.options.processes) {
            return Ok(Load::Processes(Workers::start(self.options, url, course)?));
        }
        let ours = Ours::new(store.handler(self.options.settings()), Arc::clone(&self.accounts));
        let ours = if store.is_shared() { ours.patient() } else { ours };
        Ok(Load::Here(Box::new(Here::new(self.options, self.plan, ours, store, course))))
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
}

impl Beside {
    async fn start(run: &Run<'_>, place: &Place, store: &Store) -> Result<Self, Failure> {
        let (floor, door) = Floor::start(place, store).await?;
        let [_, course] = &run.courses;
        let crew = Crew::new(door, run.plan, run.options.manner(), course);
        Ok(Self { floor, crew, side: Side::new()? })
    }

    async fn finish(self, place: &Place, course: &Course) -> Result<Side, Failure> {
        let mut side = self.side;
        side.commits = Some(self.floor.commits());
        side.written = side.commands;
        side.parts = course.parts();
        drop(self.crew);
        side.bytes = Some(self.floor.finish(place).await?);
        Ok(side)
    }
}
