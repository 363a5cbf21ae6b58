//! Runs an exploration to its end and says what came of it.

use std::fmt::{self, Debug};
use std::time::{Duration, Instant};

use sidestream::protocol::{Rules, Sound};
use stateright::{Checker, HasDiscoveries, Model, Path};

use crate::fault::Fault;
use crate::model::{Move, Protocol, SOUND};
use crate::setup::{Habits, Setup};
use crate::sight::{Sight, Sights};
use crate::world::World;

/// Set it to see the interleaving of every violation that a test expects.
pub const TRACE: &str = "SIDESTREAM_MODEL_TRACE";

/// How much is explored, from the environment variable that all tests of the crate share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    /// While writing code.
    Quick,
    /// What every change has to pass.
    Ci,
    /// Over night.
    Long,
}

impl Effort {
    /// What `SIDESTREAM_EFFORT` asks for.
    ///
    /// # Panics
    /// When it asks for something unknown: a run that tries less than was asked for proves nothing.
    #[must_use]
    pub fn from_env() -> Self {
        match std::env::var("SIDESTREAM_EFFORT").as_deref() {
            Ok("quick") => Self::Quick,
            Ok("long") => Self::Long,
            Ok("ci" | "") | Err(_) => Self::Ci,
            Ok(other) => panic!("SIDESTREAM_EFFORT={other}: quick, ci or long"),
        }
    }
}

/// What an exploration came to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Report {
    /// Different states.
    pub states: usize,
    /// Transitions.
    pub transitions: usize,
    /// The longest of the shortest ways to a state.
    pub depth: usize,
    /// How long it took.
    pub took: Duration,
    /// What it came across.
    pub sights: Sights,
}

impl Report {
    /// Adds another exploration.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            states: self.states + other.states,
            transitions: self.transitions + other.transitions,
            depth: self.depth.max(other.depth),
            took: self.took + other.took,
            sights: self.sights.and(other.sights),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { states, transitions, depth, took, .. } = self;
        write!(f, "{states} states, {transitions} transitions, depth {depth}, {:.2} s", took.as_secs_f64())
    }
}

/// Explores all of `setups` under all rules, and demands that every property holds in every state, that there
/// were at least so many states, and that the explorations together came across all of `sights`.
///
/// # Panics
/// When that is not so.
pub fn hold(name: &str, setups: impl IntoIterator<Item = Setup>, least: usize, sights: &[Sight]) -> Report {
    let (mut sum, mut count) = (Report::default(), 0_usize);
    for setup in setups {
        let (report, violation) = explore::<Sound>(setup.clone());
        if let Some(violation) = violation {
            panic!("{name}: {:?}: {violation}", setup.who);
        }
        assert!(report.states > 1, "{name}: nothing happened in {:?}", setup.who);
        sum = sum.and(report);
        count += 1;
    }
    eprintln!("{name}: {count} setups, {sum}");
    let unseen: Vec<_> = sights.iter().filter(|sight| !sum.sights.have(**sight)).collect();
    assert!(unseen.is_empty(), "{name}: the exploration never came across {unseen:?}");
    assert!(sum.states >= least, "{name}: {} states are too few to prove anything", sum.states);
    sum
}

/// Explores `setup` under `R` or with other habits, after it was found sound with all rules in force; demands
/// that a violation is found, and that it is one of `expected`.
///
/// # Panics
/// When that is not so.
pub fn breaks<R: Rules>(name: &str, setup: Setup, expected: &[Fault]) {
    let (sound, clean) = explore::<Sound>(Setup { habits: Habits::SOUND, ..setup.clone() });
    if let Some(clean) = clean {
        panic!("with {name} in force, the same setup is not sound either ({sound}): {clean}");
    }
    breaks_alone::<R>(name, setup, expected);
}

/// The same, where the setup itself breaks the rule.
///
/// # Panics
/// When no such violation is found.
pub fn breaks_alone<R: Rules>(name: &str, setup: Setup, expected: &[Fault]) {
    let (report, violation) = explore::<R>(setup);
    let Some(violation) = violation else { panic!("without {name} nothing goes wrong: {report}") };
    eprintln!("without {name}: {} after {} states", violation.fault, report.states);
    if std::env::var_os(TRACE).is_some() {
        eprintln!("{violation}");
    }
    assert!(
        expected.contains(&violation.fault),
        "without {name}: another violation than expected: {violation}"
    );
}

/// An interleaving that ends in a violation.
pub struct Violation {
    /// What is wrong at its end.
    pub fault: Fault,
    lines: Vec<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.fault)?;
        self.lines.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}

/// Explores until a violation is found or all states are known.
pub fn explore<R: Rules>(setup: Setup) -> (Report, Option<Violation>) {
    let began = Instant::now();
    let checker =
        Protocol::<R>::new(setup).checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let report = Report {
        states: checker.unique_state_count(),
        transitions: checker.state_count(),
        depth: checker.max_depth(),
        took: began.elapsed(),
        sights: checker.model().sights(),
    };
    (report, checker.discovery(SOUND).map(|path| tell(checker.model(), path)))
}

fn tell<R: Rules>(model: &Protocol<R>, path: Path<World<R>, Move>) -> Violation {
    let steps = path.into_vec();
    let fault = steps.last().and_then(|(world, _)| model.fault(world));
    let lines = steps.iter().map(|(world, action)| line(model, world, action.as_ref())).collect();
    Violation { fault: fault.expect("a violation has a fault"), lines }
}

/// One state, and what happened next in it.
fn line<R: Rules>(model: &Protocol<R>, world: &World<R>, action: Option<&Move>) -> String {
    let side = &world.streams.side;
    let settled: Vec<_> = side.settled.iter().map(|s| format!("{} {:?}", s.step, s.verdict)).collect();
    let open = side
        .open
        .as_ref()
        .map(|open| format!("{} from {} resumed {}", open.step, open.clear_to, open.resumed));
    let next =
        action.map_or(String::new(), |action| format!(" => {action:?}{}", subject(model, world, action)));
    format!(
        "side {} [{}] open {:?} | aggregate {:?} floor {} | under way {}{next}",
        side.version,
        settled.join(", "),
        open.as_deref().unwrap_or("none"),
        world.streams.aggregate,
        world.streams.floor,
        world.ghosts.len(),
    )
}

fn subject<R: Rules>(model: &Protocol<R>, world: &World<R>, action: &Move) -> String {
    let Some(who) = crate::model::actor(action) else { return String::new() };
    let run = &world.runs[who];
    let goal: &dyn Debug = &model.setup.who[run.class].0;
    match action {
        Move::Append(_) | Move::AppendWithoutLead(_) | Move::Unanswered(_) => {
            format!(" of {goal:?}: {:?}", run.send().map(|sent| sent.plan))
        }
        _ => format!(" of {goal:?}: {:?}", run.attempt.next()),
    }
}
