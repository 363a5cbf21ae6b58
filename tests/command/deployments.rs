//! Rules that change between deployments: the same command may be accepted by one process and refused by
//! another that works on the same step at the same time. Whoever was first, all hear one answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;
use sidestream::testkit::crash::{Books, CrashEverywhere, Schedule};
use sidestream::testkit::effort;
use sidestream::testkit::faults::Rates;
use sidestream::{Category, Decider, Events, StepName};

use crate::crash::sent;
use crate::rules::{Account, Command, Event, Hold, Rejection, State};

/// How the rules change.
#[derive(Debug, Clone, Copy)]
enum Change {
    /// With each process that starts.
    Deployment,
    /// With each decision, as by a switch that people turn while the service runs.
    Switch,
}

/// The account's rules, except that every other version of them takes whatever it can: holds without money
/// behind them, captures and releases of nothing (without an event).
struct Changing {
    change: Change,
    turns: Arc<AtomicU64>,
    lenient: bool,
}

/// A pattern of versions drawn from a seed.
fn is_lenient(seed: u64, turn: u64) -> bool {
    (seed >> (turn % 64)) & 1 == 1
}

impl Changing {
    fn is_lenient(&self) -> bool {
        match self.change {
            Change::Deployment => self.lenient,
            Change::Switch => {
                let turn = self.turns.fetch_add(1, Ordering::SeqCst);
                is_lenient(0x6a5b_39d2_c47e_1f03, turn) != self.lenient
            }
        }
    }
}

impl Decider for Changing {
    const CATEGORY: Category = Account::CATEGORY;
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;
    type State = State;
    type Transaction = Hold;

    fn step(command: &Command) -> StepName {
        Account::step(command)
    }

    fn decide(&self, state: &State, hold: &Hold, command: &Command) -> Result<Events<Event>, Rejection> {
        match (Account.decide(state, hold, command), command) {
            (Err(_), Command::Hold { minor }) if self.is_lenient() => {
                Ok(Event::Held { minor: *minor }.into())
            }
            (Err(_), Command::Release) if self.is_lenient() => Ok(Events::none()),
            // And a strict one refuses deposits that others take.
            (Ok(_), Command::Deposit { minor }) if minor % 2 == 0 && !self.is_lenient() => {
                Err(Rejection::TooMuch)
            }
            (decided, _) => decided,
        }
    }

    fn evolve(state: &mut State, event: &Event) {
        Account::evolve(state, event);
    }

    fn settle(hold: &mut Hold, command: &Command) {
        Account::settle(hold, command);
    }

    fn event_type(event: &Event) -> &'static str {
        Account::event_type(event)
    }
}

fn kit(seed: u64, change: Change) -> CrashEverywhere<Changing> {
    let (started, turns) = (AtomicU64::new(0), Arc::new(AtomicU64::new(0)));
    let decider = move || Changing {
        change,
        turns: Arc::clone(&turns),
        lenient: is_lenient(seed, started.fetch_add(1, Ordering::SeqCst)),
    };
    CrashEverywhere::new(decider).audit(conserved)
}

/// Overdrafts are allowed by some of the rules, but no money comes or goes unseen.
fn conserved(books: &Books<Changing>) -> Result<(), String> {
    let (mut expected, mut held) = (0_i64, 0_i64);
    for sent in &books.accepted {
        match sent.command {
            Command::Deposit { minor } => expected += minor,
            Command::Capture { minor, .. } => (expected, held) = (expected - minor, held - minor),
            Command::Hold { minor } => held += minor,
            Command::Release => {}
        }
    }
    let funds: Vec<_> = books.states.values().flatten().collect();
    let found: i64 = funds.iter().map(|funds| funds.available + funds.held).sum();
    if found != expected {
        return Err(format!("expected {expected} in all, found {found}"));
    }
    let found: i64 = funds.iter().map(|funds| funds.held).sum();
    let released = books.accepted.iter().any(|sent| sent.command == Command::Release);
    if released || found == held { Ok(()) } else { Err(format!("expected {held} held, found {found}")) }
}

/// Much that arrives late or not at all, and many processes: what an attempt asleep can do harm with.
fn storm() -> impl Strategy<Value = Schedule> {
    // Tasks take turns at delays only, so without many of them one process would run to its end before the
    // next begins.
    let delay = prop_oneof![0_u16..300, 300_u16..600];
    let rates = (0_u16..60, 0_u16..150, 50_u16..350, delay, 0_u16..60);
    (Schedule::any(), rates, 2_usize..=4).prop_map(|(schedule, rates, processes)| {
        let (unavailable, unknown, late, delay, crash) = rates;
        Schedule { processes, rates: Rates { unavailable, unknown, late, delay, crash }, ..schedule }
    })
}

proptest! {
    #![proptest_config(effort::proptest_config(2_000, "proptest-regressions/deployments.txt"))]

    #[test]
    fn everything_happens_once_while_the_rules_change_with_each_process(
        sends in prop::collection::vec(sent(), 1..7),
        schedule in storm(),
    ) {
        kit(schedule.seed, Change::Deployment).run(&sends, &schedule)?;
    }

    #[test]
    fn everything_happens_once_while_the_rules_change_with_each_decision(
        sends in prop::collection::vec(sent(), 1..7),
        schedule in storm(),
    ) {
        kit(schedule.seed, Change::Switch).run(&sends, &schedule)?;
    }
}
