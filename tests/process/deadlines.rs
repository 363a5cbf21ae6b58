//! Deadlines: by the store's clock, never early, once.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sidestream::buffer::EventBuffer;
use sidestream::clock::{ManualClock, Timestamp};
use sidestream::process::{Dispatch, ProcessManager, Processes, Reaction};
use sidestream::protocol::Atomicity;
use sidestream::store::rows::{RowSelection, RowsRead};
use sidestream::testkit::inline::{Inline, Ran};
use sidestream::testkit::run;
use sidestream::{
    Category, CommandHandler, ErrorKind, EventStore, MemoryStore, Message, Result, Topic, TransactionId,
    limits,
};

use crate::account::Account;
use crate::support::*;
use crate::transfer::{Accounts, Command, Input, Stage, Transfer};

/// As accounts, but time passes while they are asked to hold, or to deposit.
struct Slow {
    accounts: Accounts,
    clock: Arc<ManualClock>,
    at_deposit: bool,
}

#[async_trait]
impl Dispatch<Transfer> for Slow {
    async fn dispatch(&self, command: Command, transaction: TransactionId) -> Result<Option<Input>> {
        let is_deposit = matches!(command, Command::Deposit { .. });
        let is_hold = matches!(command, Command::Hold { .. });
        if (is_deposit && self.at_deposit) || (is_hold && !self.at_deposit) {
            self.clock.advance(Duration::from_millis(100));
        }
        self.accounts.dispatch(command, transaction).await
    }
}

fn store(clock: &Arc<ManualClock>) -> Arc<dyn EventStore> {
    Arc::new(MemoryStore::with(Default::default(), Atomicity::Batch, clock.clone()))
}

fn slow(clock: &Arc<ManualClock>, at_deposit: bool) -> World {
    let store = store(clock);
    let accounts = CommandHandler::new(Arc::clone(&store), Account { limit: LIMIT });
    let dispatch = Slow { accounts: Accounts(accounts.clone()), clock: Arc::clone(clock), at_deposit };
    World::with(store, accounts, dispatch)
}

async fn deadlines(world: &World) -> usize {
    let mut count = 0;
    for partition in world.store.properties().partitions.all() {
        let which = RowSelection::Prefix { prefix: "transfer/".into(), after: None, limit: 100 };
        let read = RowsRead { partition, space: "deadlines".into(), which };
        count += world.store.rows(read).await.unwrap().rows.len();
    }
    count
}

#[test]
fn a_deadline_before_the_deposit_was_asked_for_gives_the_money_back() {
    run(async {
        let clock = manual();
        let world = slow(&clock, false);
        world.open("a").await.unwrap();
        world.begin("t", ("a", "b", 5), 100).await.unwrap();
        // The deadline is told before the hold's answer is: as if the account took its time.
        let late = Input::TimedOut;
        world.transfers.hear(&id("t"), TransactionId::derive("early", "t"), late).await.unwrap();
        world.inline().run().await.unwrap();
        let (transfer, complete) = world.transfer("t").await;
        assert_eq!((transfer.stage, transfer.is_late, complete), (Stage::Undone, true, true));
        assert_eq!(world.funds("a").await, (OPENED, 0));
        assert_eq!(world.funds("b").await, (0, 0));
    });
}

#[test]
fn a_deadline_while_the_payee_is_asked_leaves_it_to_the_payee() {
    run(async {
        let clock = manual();
        let world = slow(&clock, true);
        world.open("a").await.unwrap();
        world.open("b").await.unwrap();
        world.begin("over", ("a", "b", 5), 100).await.unwrap();
        let mut inline = world.inline();
        inline.run().await.unwrap();
        assert_eq!(world.transfer("over").await.0.stage, Stage::Done);
        assert_eq!((world.funds("a").await, world.funds("b").await), ((495, 0), (505, 0)));
        assert_eq!(deadlines(&world).await, 0, "it was told, and forgotten");
    });
}

#[test]
fn a_deadline_is_heard_when_the_stores_clock_says_so_and_not_before() {
    run(async {
        let clock = manual();
        let world = World::on(store(&clock));
        world.open("a").await.unwrap();
        world.begin("t", ("a", "b", 5), 60_000).await.unwrap();
        let mut inline = world.inline();
        assert_eq!(inline.run().await.unwrap().deadlines, 0);
        assert_eq!(deadlines(&world).await, 1);
        clock.advance(Duration::from_micros(59_999_999));
        assert_eq!(inline.run().await.unwrap(), Ran::default());
        clock.advance(Duration::from_micros(1));
        assert_eq!(inline.run().await.unwrap(), Ran { heard: 0, sent: 0, deadlines: 1 });
        assert_eq!(deadlines(&world).await, 0);
        // Kept again, as after a crash that lost what was sent: it has passed, and is heard no second time.
        let ran = world.inline().run().await.unwrap();
        assert_eq!(ran.deadlines, 1);
        assert_eq!(deadlines(&world).await, 0);
    });
}

#[test]
fn a_clock_that_jumps_back_makes_a_deadline_late_and_never_early() {
    run(async {
        let clock = manual();
        let world = World::on(store(&clock));
        world.open("a").await.unwrap();
        world.begin("before", ("a", "b", 5), 60_000).await.unwrap();
        let mut inline = world.inline();
        inline.run().await.unwrap();
        clock.set(Timestamp::from_micros(0));
        // Recorded after the jump. Recorded times of a partition never go back, so it counts from where they stood.
        world.begin("after", ("a", "b", 5), 60_000).await.unwrap();
        inline.run().await.unwrap();
        clock.set(Timestamp::from_micros(59_999_999));
        assert_eq!(inline.run().await.unwrap().deadlines, 0);
        clock.set(Timestamp::from_micros(61_100_000));
        assert_eq!(inline.run().await.unwrap().deadlines, 2);
    });
}

#[test]
fn processors_tell_a_deadline_soon_after_it_passed() {
    paused(async {
        let clock = manual();
        let world = World::on(store(&clock));
        world.open("a").await.unwrap();
        let runs = Runs::start(&world, 1);
        world.begin("t", ("a", "b", 5), 50).await.unwrap();
        until("it went over", async || world.transfer("t").await.0.stage == Stage::Done).await;
        until("the deadline is kept", async || deadlines(&world).await == 1).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(deadlines(&world).await, 1, "the store's clock stands still");
        clock.advance(Duration::from_millis(50));
        until("it was told", async || deadlines(&world).await == 0).await;
        runs.stop().await;
    });
}

/// Hears a deadline and publishes what it may not, for as long as it is told so: the input fails, each time.
struct Stubborn;

impl ProcessManager for Stubborn {
    const CATEGORY: Category = Category::new("stubborn");
    type Input = bool;
    type Command = ();
    type Rejection = ();
    type State = u32;

    fn evolve(heard: &mut u32, _: &bool) {
        *heard += 1;
    }

    fn react(&self, heard: &u32, fails: &bool) -> Result<Reaction<Self>, ()> {
        Ok(match (heard, fails) {
            (1, fails) => Reaction::none().schedule(Duration::from_secs(1), *fails),
            (_, true) => Reaction::none().publish(Message::json(Topic::new("unknown"), &1)),
            (_, false) => Reaction::none(),
        })
    }
}

#[async_trait]
impl Dispatch<Stubborn> for () {
    async fn dispatch(&self, (): (), _: TransactionId) -> Result<Option<bool>> {
        Ok(None)
    }
}

#[test]
fn any_number_of_deadlines_that_cannot_be_heard_hold_no_other_up() {
    run(async {
        let clock = manual();
        let one = sidestream::partition::PartitionCount::new(1).unwrap();
        let store = MemoryStore::with(one, Atomicity::Batch, clock.clone());
        let all = Processes::new(store.clone(), Stubborn, ());
        let mut inline = Inline::of(&all.join(EventBuffer::new(store)).unwrap()).unwrap();
        inline = inline.processes(&all).unwrap();
        for number in 0..=limits::PAGE_ROWS {
            let (process, under) =
                (id(&format!("s{number}")), TransactionId::derive("s", &number.to_string()));
            assert!(all.hear(&process, under, true).await.unwrap().is_accepted());
        }
        inline.run().await.unwrap();
        clock.advance(Duration::from_millis(1));
        all.hear(&id("last"), TransactionId::derive("s", "last"), false).await.unwrap();
        inline.run().await.unwrap();
        clock.advance(Duration::from_secs(2));
        let error = inline.run().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert_eq!(all.query(&id("last"), |process, _| process.state).await.unwrap(), 2);
        assert_eq!(all.query(&id("s0"), |process, _| process.state).await.unwrap(), 1);
    });
}
