//! What goes wrong in somebody's code: it stands still, and others go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use sidestream::buffer::{Asked, DestinationName, EventBuffer, ParkedMessages, Remedy};
use sidestream::feed::{Pauses, Selection};
use sidestream::process::{Dispatch, ProcessManager, Processes, Reaction};
use sidestream::projection::{Event, Failure};
use sidestream::testkit::inline::Inline;
use sidestream::testkit::run;
use sidestream::{
    AggregateId, Category, CommandHandler, Decider, Error, ErrorKind, EventStore, MemoryStore, Result,
    TransactionId,
};

use crate::account::{self, Account};
use crate::support::*;
use crate::transfer::{Accounts, Command, Input, Stage, Transfer};

/// As accounts, but one of them refuses to be asked, until it is mended.
struct Broken {
    accounts: Accounts,
    is_mended: Arc<AtomicBool>,
}

#[async_trait]
impl Dispatch<Transfer> for Broken {
    async fn dispatch(&self, command: Command, transaction: TransactionId) -> Result<Option<Input>> {
        let is_bad = matches!(&command, Command::Deposit { account, .. } if account == "bad");
        if is_bad && !self.is_mended.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Invalid, "on purpose"));
        }
        self.accounts.dispatch(command, transaction).await
    }
}

fn broken() -> (World, Arc<AtomicBool>) {
    let store: Arc<dyn EventStore> = Arc::new(MemoryStore::new());
    let accounts = CommandHandler::new(Arc::clone(&store), Account { limit: LIMIT });
    let is_mended = Arc::new(AtomicBool::new(false));
    let dispatch = Broken { accounts: Accounts(accounts.clone()), is_mended: Arc::clone(&is_mended) };
    (World::with(store, accounts, dispatch), is_mended)
}

#[test]
fn a_command_that_cannot_be_carried_out_is_parked_and_goes_on_once_it_is_mended() {
    paused(async {
        let (world, is_mended) = broken();
        world.open("a").await.unwrap();
        let runs = Runs::start(&world, 1);
        world.begin("stuck", ("a", "bad", 5), LONG_MS).await.unwrap();
        let (name, parked) =
            (DestinationName::new("process.transfer").unwrap(), ParkedMessages::new(world.store.clone()));
        until("it is parked", async || !parked.list(&name).await.unwrap().is_empty()).await;
        let (partition, found) = parked.list(&name).await.unwrap().remove(0);
        assert_eq!((&found.key[..], found.refusals), ("stuck", 3));
        assert!(found.error.contains("on purpose"), "{}", found.error);
        world.begin("fine", ("a", "b", 7), LONG_MS).await.unwrap();
        until("others go on", async || world.transfer("fine").await.0.stage == Stage::Done).await;
        assert_eq!(world.transfer("stuck").await.0.stage, Stage::Depositing);
        assert_eq!(world.funds("a").await, (OPENED - 12, 5));

        is_mended.store(true, Ordering::SeqCst);
        let asked = Asked { remedy: Remedy::Retry, who: "Ada".to_owned(), why: "mended".to_owned() };
        parked.ask(&name, (partition, &found), asked).await.unwrap();
        until("it goes on", async || world.transfer("stuck").await.0.stage == Stage::Done).await;
        until("nothing is parked", async || parked.list(&name).await.unwrap().is_empty()).await;
        assert_eq!(world.funds("bad").await, (5, 0));
        runs.stop().await;
    });
}

#[test]
fn the_inline_mode_says_what_was_refused() {
    run(async {
        let (world, is_mended) = broken();
        world.open("a").await.unwrap();
        world.begin("stuck", ("a", "bad", 5), LONG_MS).await.unwrap();
        let mut inline = world.inline();
        let error = inline.run().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(error.to_string().contains("on purpose"), "{error}");
        is_mended.store(true, Ordering::SeqCst);
        inline.run().await.unwrap();
        assert_eq!(world.transfer("stuck").await.0.stage, Stage::Done);
    });
}

/// Follows deposits, and cannot route those of 13.
struct Fussy(Arc<AtomicBool>);

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Deposited(i64);

impl ProcessManager for Fussy {
    const CATEGORY: Category = Category::new("fussy");
    type Input = Deposited;
    type Command = ();
    type Rejection = ();
    type State = Vec<i64>;

    fn follows(&self) -> Result<Option<Selection>> {
        Selection::all().category(Account::CATEGORY)?.types(["Deposited"]).map(Some)
    }

    fn route(&self, event: &Event<'_>) -> Result<Option<(AggregateId, Deposited)>, Failure> {
        match event.decode::<Account>()? {
            account::Event::Deposited { minor: 13 } if !self.0.load(Ordering::SeqCst) => Err("13".into()),
            account::Event::Deposited { minor } => {
                Ok(Some((AggregateId::new(event.aggregate_id())?, Deposited(minor))))
            }
            _ => Ok(None),
        }
    }

    fn evolve(all: &mut Vec<i64>, Deposited(minor): &Deposited) {
        all.push(*minor);
    }

    fn react(&self, _: &Vec<i64>, _: &Deposited) -> Result<Reaction<Self>, ()> {
        Ok(Reaction::none())
    }
}

struct Nobody;

#[async_trait]
impl Dispatch<Fussy> for Nobody {
    async fn dispatch(&self, (): (), _: TransactionId) -> Result<Option<Deposited>> {
        Ok(None)
    }
}

async fn deposit(accounts: &CommandHandler<Account>, account: &str, minor: i64) {
    let command = account::Command::Deposit { minor };
    let under = TransactionId::derive("deposit", &format!("{account} {minor}"));
    assert!(accounts.handle(&id(account), under, command).await.unwrap().is_accepted());
}

#[test]
fn an_event_that_cannot_be_routed_parks_its_aggregate_and_no_other() {
    paused(async {
        let store = MemoryStore::with(
            sidestream::partition::PartitionCount::new(1).unwrap(),
            sidestream::protocol::Atomicity::Batch,
            Arc::new(sidestream::clock::SystemClock),
        );
        let accounts = CommandHandler::new(store.clone(), Account { limit: LIMIT });
        let retry = Pauses { shortest_ms: 5, longest_ms: 50 };
        let settings = sidestream::projection::Settings { attempts: 2, retry, ..Default::default() };
        let fussy = Processes::builder(store.clone(), Fussy(Arc::default()), Nobody);
        let fussy = fussy.listening(settings).build();
        for (account, minor) in [("a", 1), ("a", 13), ("a", 2), ("b", 3)] {
            deposit(&accounts, account, minor).await;
        }
        let (stop, mut tasks) = (tokio::sync::watch::Sender::new(false), tokio::task::JoinSet::new());
        let processors = fussy.processors().unwrap();
        for processor in &processors {
            tasks.spawn(processor.run(sidestream::partition::PartitionId::new(0), 1, stop.subscribe()));
        }
        let heard = async |name: &str| fussy.query(&id(name), |all, _| all.state.clone()).await.unwrap();
        until("others are heard", async || heard("b").await == [3]).await;
        let listener = processors.iter().find(|processor| processor.id().as_str().starts_with("hear"));
        let status = || listener.unwrap().status(sidestream::partition::PartitionId::new(0)).unwrap();
        until("it is parked", async || status().parked == 1).await;
        deposit(&accounts, "b", 4).await;
        until("others go on", async || heard("b").await == [3, 4]).await;
        assert_eq!(heard("a").await, [1], "what comes behind it waits");
        stop.send_replace(true);
        while let Some(ended) = tasks.join_next().await {
            ended.unwrap().unwrap();
        }
    });
}

#[test]
fn the_inline_mode_stops_at_an_event_that_cannot_be_routed() {
    run(async {
        let store = MemoryStore::new();
        let accounts = CommandHandler::new(store.clone(), Account { limit: LIMIT });
        let is_mended = Arc::new(AtomicBool::new(false));
        let fussy = Processes::new(store.clone(), Fussy(Arc::clone(&is_mended)), Nobody);
        deposit(&accounts, "a", 13).await;
        let buffer = fussy.join(EventBuffer::new(store)).unwrap();
        let mut inline = Inline::of(&buffer).unwrap().processes(&fussy).unwrap();
        let error = inline.run().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        is_mended.store(true, Ordering::SeqCst);
        assert_eq!(inline.run().await.unwrap().heard, 1);
    });
}
