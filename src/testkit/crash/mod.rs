//! Crash everywhere: any decider's commands, duplicated, reordered and sent to several processes at once,
//! against stores that fail, lose answers, deliver late, and die before and after every call.
//!
//! Whatever happens on the way, in the end every command has taken effect once or was refused for good,
//! everybody heard the same, and the books are right. The method is that of SlateDB's and TigerBeetle's
//! deterministic tests: one seed, one run.
//!
//! ```
//! use proptest::prelude::*;
//! use sidestream::testkit::crash::{CrashEverywhere, Schedule, Sent};
//! # use serde::{Deserialize, Serialize};
//! # use sidestream::{AggregateId, Category, Decider, Events, StepName, TransactionId};
//! # #[derive(Debug, Clone, Serialize, Deserialize)] struct Add(u8);
//! # #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)] struct Full;
//! # struct Counter;
//! # impl Decider for Counter {
//! #     const CATEGORY: Category = Category::new("counter");
//! #     type Command = Add; type Event = Add; type Rejection = Full; type State = u64; type Transaction = ();
//! #     fn step(_: &Add) -> StepName { StepName::new("add") }
//! #     fn decide(&self, state: &u64, _: &(), add: &Add) -> Result<Events<Add>, Full> {
//! #         if state + u64::from(add.0) > 300 { Err(Full) } else { Ok(add.clone().into()) }
//! #     }
//! #     fn evolve(state: &mut u64, add: &Add) { *state += u64::from(add.0); }
//! #     fn settle(_: &mut (), _: &Add) {}
//! #     fn event_type(_: &Add) -> &'static str { "Added" }
//! # }
//! let crashes = CrashEverywhere::new(|| Counter).audit(|books| {
//!     let total: u64 = books.accepted.iter().map(|sent| u64::from(sent.command.0)).sum();
//!     let states: u64 = books.states.values().sum();
//!     if total == states { Ok(()) } else { Err(format!("accepted {total}, counted {states}")) }
//! });
//! let sends: Vec<_> = (0..4).map(|n| Sent {
//!     aggregate: AggregateId::new("7").unwrap(),
//!     transaction: TransactionId::derive("doc", &n.to_string()),
//!     command: Add(100),
//! }).collect();
//! // One run by its seed; in a proptest, draw the schedule with `Schedule::any()`.
//! crashes.run(&sends, &Schedule::seeded(42)).unwrap();
//! // Every single crash there can be.
//! crashes.everywhere(&sends[..1]).unwrap();
//! ```

mod audit;
mod client;
mod messages;

use std::fmt::{self, Debug};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree;

pub use audit::Books;

use crate::clock::{Clock, ManualClock, Timestamp};
use crate::command::{CommandHandler, Settings};
use crate::decider::Decider;
use crate::id::TransactionId;
use crate::partition::PartitionCount;
use crate::protocol::Atomicity;
use crate::snapshot::SnapshotPolicy;
use crate::store::EventStore;
use crate::store::memory::MemoryStore;
use crate::stream::AggregateId;
use crate::testkit::faults::{Done, Fault, FaultyStore, Rates, Script};
use crate::testkit::run;
use client::Answers;

/// Sweeps that may be needed until nothing is open, once faults have stopped.
const CALM_SWEEPS: usize = 8;

/// A command, as a client sends it.
#[derive(Debug, Clone)]
pub struct Sent<C> {
    /// The aggregate.
    pub aggregate: AggregateId,
    /// The transaction.
    pub transaction: TransactionId,
    /// The command.
    pub command: C,
}

/// What goes wrong, and how the commands arrive. The same schedule gives the same run.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// Chooses the order of the commands, the duplicates, and which late appends get lost.
    pub seed: u64,
    /// What the store can commit at once.
    pub atomicity: Atomicity,
    /// Processes that work on the store side by side, 1 to 3. Each sends most of the commands.
    pub processes: usize,
    /// Commands that one process sends at once, 1 or more.
    pub at_once: usize,
    /// Of a thousand commands, so many are submitted first.
    pub submitted: u16,
    /// Faults by chance.
    pub rates: Rates,
    /// Faults at given calls, counted over all processes.
    pub faults: Vec<(u64, Fault)>,
}

impl Schedule {
    /// A schedule drawn from a seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        let mut runner = proptest::test_runner::TestRunner::new_with_rng(
            ProptestConfig::default(),
            proptest::test_runner::TestRng::from_seed(
                proptest::test_runner::RngAlgorithm::ChaCha,
                &[seed.to_le_bytes(), [1; 8], [2; 8], [3; 8]].concat(),
            ),
        );
        Self::any().new_tree(&mut runner).expect("no filter").current()
    }

    /// All schedules, for proptest.
    pub fn any() -> impl Strategy<Value = Self> {
        let atomicity = prop_oneof![Just(Atomicity::Batch), Just(Atomicity::Stream)];
        let rate = || prop_oneof![Just(0_u16), 0_u16..150];
        let rates = (rate(), rate(), rate(), rate(), 0_u16..80);
        let parts =
            (any::<u64>(), atomicity, 1_usize..=3, 1_usize..6, prop_oneof![Just(0), 0_u16..500], rates);
        parts.prop_map(|(seed, atomicity, processes, at_once, submitted, rates)| {
            let (unavailable, unknown, late, delay, crash) = rates;
            let rates = Rates { unavailable, unknown, late, delay, crash };
            Self { seed, atomicity, processes, at_once, submitted, rates, faults: Vec::new() }
        })
    }

    fn script(&self) -> Script {
        let script = Script::random(self.seed, self.rates);
        self.faults.iter().fold(script, |script, (call, fault)| script.call(*call, *fault))
    }

    fn without_chance(atomicity: Atomicity, faults: Vec<(u64, Fault)>) -> Self {
        let rates = Rates { unavailable: 0, unknown: 0, late: 0, delay: 0, crash: 0 };
        Self { seed: 1, atomicity, processes: 1, at_once: 2, submitted: 300, rates, faults }
    }
}

/// A broken promise: what was expected, what was found, in which run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation(String);

impl Violation {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Violation {}

/// What a run came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// Store calls that were made.
    pub calls: u64,
    /// Processes that died.
    pub crashes: u64,
    /// Steps that took effect.
    pub accepted: u64,
    /// Steps that were refused.
    pub rejected: u64,
    /// Steps that the last sweeps settled.
    pub recovered: u64,
}

type Audit<D> = Arc<dyn Fn(&Books<D>) -> Result<(), String> + Send + Sync>;
type Stores = Arc<dyn Fn(Atomicity, Arc<dyn Clock>) -> Joined + Send + Sync>;

/// A store made of others, which fail each by itself.
#[derive(Debug)]
pub struct Joined {
    /// The store.
    pub store: Arc<dyn EventStore>,
    /// What it is made of.
    pub members: Vec<FaultyStore>,
}

impl Joined {
    /// Faults of the members' own, other ones for each. None of them dies: processes do, around the whole.
    fn begin(&self, schedule: &Schedule) {
        for (number, member) in (1_u64..).zip(&self.members) {
            let seed = schedule.seed.wrapping_add(number);
            member.set_script(Script::random(seed, Rates { crash: 0, ..schedule.rates }));
        }
    }

    /// Ends the faults; what was still under way arrives or is lost.
    async fn calm(&self, arrives: bool) {
        for member in &self.members {
            end(member, arrives).await;
        }
    }
}

/// Ends the faults of one store.
async fn end(store: &FaultyStore, arrives: bool) {
    store.set_script(Script::new());
    if arrives { store.land_late().await } else { store.lose_late() }
}

/// Runs a decider's commands through crashes.
pub struct CrashEverywhere<D: Decider> {
    decider: Arc<dyn Fn() -> D + Send + Sync>,
    settings: Settings,
    audit: Audit<D>,
    stores: Stores,
}

impl<D> CrashEverywhere<D>
where
    D: Decider,
    D::Command: Clone + Debug,
    D::Rejection: Clone + PartialEq + Debug,
    D::State: PartialEq + Debug,
{
    /// For a decider; `decider` is called for each process, and again when one is restarted: let it give
    /// other rules each time to see what a deployment does to commands under way. Snapshots are taken every
    /// three records, so that most loads meet one.
    pub fn new(decider: impl Fn() -> D + Send + Sync + 'static) -> Self {
        let settings = Settings { snapshots: SnapshotPolicy { every: 3 }, ..Settings::default() };
        Self {
            decider: Arc::new(decider),
            settings,
            audit: Arc::new(|_| Ok(())),
            stores: Arc::new(alone(in_memory)),
        }
    }

    /// On stores of your own, instead of the one in memory: `store` makes a new, empty one for each run, with
    /// the atomicity that is asked for where it can. A store with threads of its own does not repeat a run
    /// exactly.
    #[must_use]
    pub fn on(
        mut self,
        store: impl Fn(Atomicity, Arc<dyn Clock>) -> Arc<dyn EventStore> + Send + Sync + 'static,
    ) -> Self {
        self.stores = Arc::new(alone(store));
        self
    }

    /// As [`on`](Self::on), with a store made of others: besides the faults around the whole, each of its members
    /// has faults by chance of its own, once the store was made.
    #[must_use]
    pub fn on_joined(
        mut self,
        store: impl Fn(Atomicity, Arc<dyn Clock>) -> Joined + Send + Sync + 'static,
    ) -> Self {
        self.stores = Arc::new(store);
        self
    }

    /// Other settings.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// What must be true of the books in the end, besides what must be true of any.
    #[must_use]
    pub fn audit(mut self, audit: impl Fn(&Books<D>) -> Result<(), String> + Send + Sync + 'static) -> Self {
        self.audit = Arc::new(audit);
        self
    }

    /// One run.
    ///
    /// # Errors
    /// The first promise that was broken.
    pub fn run(&self, sends: &[Sent<D::Command>], schedule: &Schedule) -> Result<Report, Violation> {
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(0)));
        // Outside of the runtime: whoever makes a store may have to wait for it.
        let joined = (self.stores)(schedule.atomicity, clock);
        run(self.live_and_die(sends, schedule, &joined))
            .map_err(|Violation(what)| Violation(format!("{what}\n  in {schedule:?}\n  with {sends:#?}")))
    }

    /// Every run with one crash, and every run with two, the second one during recovery too: before and after
    /// each call, on both kinds of store; and each lost or late answer. Returns the number of runs. Keep
    /// `sends` short.
    ///
    /// # Errors
    /// The first promise that was broken.
    pub fn everywhere(&self, sends: &[Sent<D::Command>]) -> Result<u64, Violation> {
        let mut runs = 0;
        for atomicity in [Atomicity::Batch, Atomicity::Stream] {
            let calm = self.run(sends, &Schedule::without_chance(atomicity, Vec::new()))?;
            for first in 1..=calm.calls {
                for fault in SINGLE_FAULTS {
                    let once = Schedule::without_chance(atomicity, vec![(first, fault)]);
                    let report = self.run(sends, &once)?;
                    runs += 1;
                    for second in first + 1..=report.calls {
                        for crash in [Fault::Crash(Done::Nothing), Fault::Crash(Done::All)] {
                            let twice =
                                Schedule { faults: vec![(first, fault), (second, crash)], ..once.clone() };
                            self.run(sends, &twice)?;
                            runs += 1;
                        }
                    }
                }
            }
        }
        Ok(runs)
    }

    async fn live_and_die(
        &self,
        sends: &[Sent<D::Command>],
        schedule: &Schedule,
        joined: &Joined,
    ) -> Result<Report, Violation> {
        let store = &joined.store;
        let network = FaultyStore::new(Arc::clone(store), schedule.script());
        joined.begin(schedule);
        let answers = Arc::new(Answers::new(sends));
        let crashes = client::processes(self, &network, &answers, schedule).await?;

        let arrives = schedule.seed.is_multiple_of(2);
        joined.calm(arrives).await;
        end(&network, arrives).await;
        let recovered = self.calm(store).await?;
        client::send_again(&self.handler(store.clone()), &answers).await?;
        let books = audit::read::<D>(store, &self.handler(store.clone()), sends).await?;
        (self.audit)(&books).map_err(|what| Violation(format!("the audit: {what}")))?;
        Ok(Report {
            calls: network.calls(),
            crashes,
            accepted: books.accepted.len().try_into().expect("few"),
            rejected: books.rejected.len().try_into().expect("few"),
            recovered,
        })
    }

    /// Once faults have stopped, recovery alone settles everything, and then has nothing more to do.
    async fn calm(&self, store: &Arc<dyn EventStore>) -> Result<u64, Violation> {
        let handler = self.handler(store.clone());
        let mut recovered = 0;
        for _ in 0..CALM_SWEEPS {
            let recovery =
                handler.recover(Duration::ZERO).await.map_err(|error| Violation(error.to_string()))?;
            if let Some((stream, error)) = recovery.failures.first() {
                return Err(Violation(format!("recovery of {stream} failed: {error}")));
            }
            recovered += recovery.settled();
            if recovery.settled() + recovery.gone + recovery.backing_off == 0 {
                return Ok(recovered);
            }
        }
        Err(Violation(format!("open steps are left after {CALM_SWEEPS} sweeps")))
    }

    fn handler(&self, store: impl EventStore) -> CommandHandler<D> {
        CommandHandler::builder(store, (self.decider)()).settings(self.settings.clone()).build()
    }
}

/// Two partitions: enough for aggregates that share one, and for aggregates that do not.
fn in_memory(atomicity: Atomicity, clock: Arc<dyn Clock>) -> Arc<dyn EventStore> {
    let partitions = PartitionCount::new(2).expect("within bounds");
    Arc::new(MemoryStore::with(partitions, atomicity, clock))
}

fn alone(
    store: impl Fn(Atomicity, Arc<dyn Clock>) -> Arc<dyn EventStore>,
) -> impl Fn(Atomicity, Arc<dyn Clock>) -> Joined {
    move |atomicity, clock| Joined { store: store(atomicity, clock), members: Vec::new() }
}

/// What is tried at every call.
const SINGLE_FAULTS: [Fault; 7] = [
    Fault::Crash(Done::Nothing),
    Fault::Crash(Done::All),
    Fault::Crash(Done::Units(1)),
    Fault::Unavailable,
    Fault::Unknown(Done::Nothing),
    Fault::Unknown(Done::All),
    Fault::Late(3),
];

impl<D: Decider> Debug for CrashEverywhere<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CrashEverywhere").field("settings", &self.settings).finish_non_exhaustive()
    }
}
