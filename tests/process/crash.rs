//! Crashes everywhere in the whole chain: of whoever begins transfers, of whoever carries them on, of the stores' answers.
//! Whatever happened, the money is right at every look, and in the end each transfer is done or undone.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use sidestream::EventStore;
use sidestream::clock::{Clock, ManualClock, Timestamp};
use sidestream::protocol::Atomicity;
use sidestream::testkit::effort;
use sidestream::testkit::faults::{Done, Fault, FaultyStore, Rates, Script};
use sidestream::testkit::run;

use crate::audit::{Audit, Figures};
use crate::support::*;

/// Accounts that transfers go between. The last one is never opened, and so cannot pay.
const ACCOUNTS: [&str; 4] = ["acc0", "acc1", "acc2", "poor"];

/// A transfer that a client wants.
#[derive(Debug, Clone)]
struct Wanted {
    from: usize,
    to: usize,
    minor: i64,
    within_ms: u64,
}

/// One life of a service.
#[derive(Debug, Clone)]
struct Life {
    begins: Vec<Wanted>,
    /// Holds that expire: account, after so many milliseconds.
    holds: Vec<(usize, u64)>,
    /// How often it is carried on before it ends, and how far the clock moves each time.
    turns: Vec<u64>,
    seed: u64,
    rates: Rates,
    /// The call that it dies at, if it lives so long.
    dies_at: u64,
    dies_with: Done,
}

fn wanted() -> impl Strategy<Value = Wanted> {
    // Enough money moves that accounts run dry, and over their limit.
    let within = prop_oneof![Just(0_u64), 1_u64..40, Just(LONG_MS)];
    (0_usize..4, 0_usize..4, 1_i64..400, within).prop_map(|(from, to, minor, within_ms)| Wanted {
        from,
        to,
        minor,
        within_ms,
    })
}

fn life() -> impl Strategy<Value = Life> {
    let rate = || prop_oneof![Just(0_u16), 0_u16..100];
    let rates =
        (rate(), rate(), rate(), rate(), 0_u16..30).prop_map(|(unavailable, unknown, late, delay, crash)| {
            Rates { unavailable, unknown, late, delay, crash }
        });
    let done = prop_oneof![Just(Done::Nothing), Just(Done::All)];
    let begins = prop::collection::vec(wanted(), 0..4);
    let holds = prop::collection::vec((0_usize..3, 0_u64..60), 0..2);
    let turns = prop::collection::vec(0_u64..30, 1..6);
    (begins, holds, turns, any::<u64>(), rates, 1_u64..300, done).prop_map(
        |(begins, holds, turns, seed, rates, dies_at, dies_with)| Life {
            begins,
            holds,
            turns,
            seed,
            rates,
            dies_at,
            dies_with,
        },
    )
}

impl Life {
    fn script(&self) -> Script {
        Script::random(self.seed, self.rates)
    }
}

/// All that clients want, over all lives, by name.
#[derive(Default)]
struct Clients {
    transfers: Vec<(String, Wanted)>,
    holds: Vec<(String, usize, u64)>,
}

impl Clients {
    fn want(&mut self, life: &Life) {
        for wanted in &life.begins {
            self.transfers.push((format!("t{}", self.transfers.len()), wanted.clone()));
        }
        for (account, expires_ms) in &life.holds {
            self.holds.push((format!("h{}", self.holds.len()), *account, *expires_ms));
        }
    }

    /// Each client asks again for all that it wants. Errors are its next try's business.
    async fn ask(&self, world: &World) -> Vec<sidestream::Result<()>> {
        let mut answers = Vec::new();
        for account in &ACCOUNTS[..3] {
            answers.push(world.open(account).await);
        }
        // Nobody sends money to an account that is not open yet: together with the deposit that opens it, it could come to
        // more than the account may hold, and that deposit would be refused.
        if answers.iter().any(Result::is_err) {
            return answers;
        }
        for (name, Wanted { from, to, minor, within_ms }) in &self.transfers {
            let asked = (ACCOUNTS[*from], ACCOUNTS[*to], *minor);
            answers.push(world.begin(name, asked, *within_ms).await.map(drop));
        }
        for (name, account, expires_ms) in &self.holds {
            answers.push(world.hold(name, ACCOUNTS[*account], *expires_ms).await.map(drop));
        }
        answers
    }
}

/// What must hold whenever nobody writes.
async fn look(audit: &mut Audit, store: &Arc<dyn EventStore>) -> Result<Figures, TestCaseError> {
    let figures = audit.look(Arc::clone(store)).await.unwrap();
    prop_assert!(figures.is_right(), "{figures:?}");
    Ok(figures)
}

/// Without any more faults everything comes to its end.
async fn ends_well(figures: Figures, world: &World, clients: &Clients) -> Result<(), TestCaseError> {
    prop_assert_eq!(figures.half_done, 0, "{:?}", figures);
    prop_assert_eq!(figures.money_in, OPENED * 3);
    prop_assert_eq!(figures.expired, figures.expiring, "{:?}", figures);
    for account in ACCOUNTS {
        prop_assert_eq!(world.funds(account).await.1, 0, "nothing is held on {}", account);
    }
    let real = clients.transfers.iter().filter(|(_, wanted)| wanted.from != wanted.to).count();
    prop_assert_eq!(usize::try_from(figures.done + figures.undone).unwrap(), real);
    Ok(())
}

/// Lives that are carried on by the test itself, one after the other.
async fn inline_lives(all: Vec<Life>, atomicity: Atomicity) -> Result<(), TestCaseError> {
    let clock = manual();
    let store: Arc<dyn EventStore> = Arc::new(two_stores(clock.clone(), atomicity).await);
    let (mut audit, mut clients) = (Audit::default(), Clients::default());
    let mut process = FaultyStore::new(Arc::clone(&store), Script::new());
    for life in &all {
        clients.want(life);
        process.set_script(life.script().call(process.calls() + life.dies_at, Fault::Crash(life.dies_with)));
        let world = World::on(process.clone());
        process.until_crash(one_life(life, &world, &clients, &clock)).await;
        process.kill();
        look(&mut audit, &store).await?;
        process = process.restart();
    }
    // What is under way arrives after all, or while the last life begins.
    process.set_script(Script::new());
    process.land_late().await;
    let world = World::on(Arc::clone(&store));
    for answer in clients.ask(&world).await {
        answer.unwrap();
    }
    let mut inline = world.inline();
    for _ in 0..3 {
        inline.run().await.unwrap();
        clock.advance(Duration::from_millis(LONG_MS));
        look(&mut audit, &store).await?;
    }
    let figures = look(&mut audit, &store).await?;
    ends_well(figures, &world, &clients).await
}

async fn one_life(life: &Life, world: &World, clients: &Clients, clock: &ManualClock) {
    drop(clients.ask(world).await);
    let mut inline = world.inline();
    for millis in &life.turns {
        // Where it fails, the next turn goes on, as a processor does.
        drop(inline.run().await);
        clock.advance(Duration::from_millis(*millis));
    }
}

/// A clock that passes as the runtime's time does.
#[derive(Debug)]
struct Passing(tokio::time::Instant);

impl Clock for Passing {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(i64::try_from(self.0.elapsed().as_micros()).unwrap())
    }

    fn new_id(&self) -> uuid::Uuid {
        uuid::Uuid::now_v7()
    }
}

/// Lives of real processors, each ended at some moment.
async fn lives(all: Vec<Life>) -> Result<(), TestCaseError> {
    let clock = Arc::new(Passing(tokio::time::Instant::now()));
    let store: Arc<dyn EventStore> = Arc::new(two_stores(clock, Atomicity::Batch).await);
    let (mut audit, mut clients) = (Audit::default(), Clients::default());
    for (epoch, life) in (1..).zip(&all) {
        clients.want(life);
        let script = life.script().call(life.dies_at * 3, Fault::Crash(life.dies_with));
        let process = FaultyStore::new(Arc::clone(&store), script);
        let world = World::on(process.clone());
        let runs = Runs::start(&world, epoch);
        let lasts: u64 = life.turns.iter().sum::<u64>() * 4;
        let work = async {
            drop(clients.ask(&world).await);
            tokio::time::sleep(Duration::from_millis(lasts)).await;
        };
        process.until_crash(work).await;
        drop(runs);
        process.kill();
        process.lose_late();
        look(&mut audit, &store).await?;
    }
    let world = World::on(Arc::clone(&store));
    let runs = Runs::start(&world, u64::MAX);
    for answer in clients.ask(&world).await {
        answer.unwrap();
    }
    let mut figures = Figures::default();
    until("all is settled", async || {
        tokio::time::sleep(Duration::from_millis(500)).await;
        // Whoever carries on is between two commits of one transfer at most: the sum may not be looked at yet.
        figures = audit.look(Arc::clone(&store)).await.unwrap();
        figures.half_done == 0 && figures.expired == figures.expiring
    })
    .await;
    runs.stop().await;
    let figures = look(&mut audit, &store).await?;
    ends_well(figures, &world, &clients).await
}

proptest! {
    #![proptest_config(effort::proptest_config(300, "proptest-regressions/process_crash.txt"))]

    /// Each transfer is done or undone, once, and no money is made or lost, on stores of both kinds, through any crash.
    #[test]
    fn money_is_right_at_every_look_through_any_crash(
        all in prop::collection::vec(life(), 1..7),
        is_batch in any::<bool>(),
    ) {
        run(inline_lives(all, if is_batch { Atomicity::Batch } else { Atomicity::Stream }))?;
    }
}

proptest! {
    #![proptest_config(effort::proptest_config(60, "proptest-regressions/process_crash.txt"))]

    /// The same, carried on by the processors of a service.
    #[test]
    fn processors_keep_the_money_right_through_any_crash(all in prop::collection::vec(life(), 1..4)) {
        paused(lives(all))?;
    }
}
