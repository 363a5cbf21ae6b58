//! What the cases share: accounts, transfers and expiries over a store.

use std::future::Future;
use std::sync::Arc;

use sidestream::buffer::{DestinationSettings, EventBuffer};
use sidestream::clock::{Clock, ManualClock, Timestamp};
use sidestream::feed::Pauses;
use sidestream::partition::PartitionId;
use sidestream::process::{Dispatch, Processes};
use sidestream::processor::Processor;
use sidestream::protocol::Atomicity;
use sidestream::testkit::inline::Inline;
use sidestream::{
    AggregateId, CommandHandler, EventStore, MemoryStore, Outcome, PlacedStore, SqliteStore, TransactionId,
};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::account::{self, Account, Funds};
use crate::audit::OPENING;
use crate::expiry::{Expiry, Releases};
use crate::transfer::{Accounts, Input, Rejection, State, Transfer};

/// The most that an account may have, and what it begins with.
pub const LIMIT: i64 = 1_000;
pub const OPENED: i64 = 500;
/// Long enough not to matter.
pub const LONG_MS: u64 = 1_000_000;

/// A run whose time passes only where everybody waits.
pub fn paused<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.unwrap().block_on(work)
}

pub fn id(name: &str) -> AggregateId {
    AggregateId::new(name).unwrap()
}

pub fn manual() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp::from_micros(1_000_000)))
}

/// Two partitions of a store each.
pub async fn two_stores(clock: Arc<dyn Clock>, atomicity: Atomicity) -> PlacedStore {
    let two = sidestream::partition::PartitionCount::new(2).unwrap();
    let store = || MemoryStore::with(two, atomicity, Arc::clone(&clock));
    let [first, second] = [PartitionId::new(0), PartitionId::new(1)];
    PlacedStore::builder().place([first], store()).place([second], store()).open().await.unwrap()
}

/// As `two_stores`, in files.
pub async fn two_files(folder: &std::path::Path) -> PlacedStore {
    let two = sidestream::partition::PartitionCount::new(2).unwrap();
    let store = |name: &str| SqliteStore::builder(folder.join(name)).partitions(two).open().unwrap();
    let [first, second] = [PartitionId::new(0), PartitionId::new(1)];
    PlacedStore::builder().place([first], store("a.db")).place([second], store("b.db")).open().await.unwrap()
}

pub fn sending() -> DestinationSettings {
    DestinationSettings {
        attempts: 3,
        timeout_ms: 1_000,
        retry: Pauses { shortest_ms: 5, longest_ms: 50 },
        outage: Pauses { shortest_ms: 20, longest_ms: 200 },
        record_every_ms: 10,
        ..DestinationSettings::default()
    }
}

/// What one life of a service is made of.
pub struct World {
    pub store: Arc<dyn EventStore>,
    pub accounts: CommandHandler<Account>,
    pub transfers: Processes<Transfer>,
    pub expiries: Processes<Expiry>,
    pub buffer: EventBuffer,
}

impl World {
    pub fn on(store: impl EventStore) -> Self {
        let store: Arc<dyn EventStore> = Arc::new(store);
        let accounts = CommandHandler::new(Arc::clone(&store), Account { limit: LIMIT });
        Self::with(store, accounts.clone(), Accounts(accounts))
    }

    /// With another way to carry out what transfers ask for.
    pub fn with(
        store: Arc<dyn EventStore>,
        accounts: CommandHandler<Account>,
        dispatch: impl Dispatch<Transfer>,
    ) -> Self {
        let transfers = Processes::builder(Arc::clone(&store), Transfer, dispatch).sending(sending()).build();
        let releases = Releases(accounts.clone());
        let expiries = Processes::builder(Arc::clone(&store), Expiry, releases).sending(sending()).build();
        let buffer = EventBuffer::new(Arc::clone(&store));
        let buffer = expiries.join(transfers.join(buffer).unwrap()).unwrap();
        Self { store, accounts, transfers, expiries, buffer }
    }

    pub fn inline(&self) -> Inline {
        let inline = Inline::of(&self.buffer).unwrap();
        inline.processes(&self.transfers).unwrap().processes(&self.expiries).unwrap()
    }

    pub fn processors(&self) -> Vec<Arc<dyn Processor>> {
        let mut all = self.buffer.processors().unwrap();
        all.extend(self.transfers.processors().unwrap());
        all.extend(self.expiries.processors().unwrap());
        all
    }

    pub async fn open(&self, account: &str) -> sidestream::Result<()> {
        let command = account::Command::Deposit { minor: OPENED };
        let under = TransactionId::derive(OPENING, account);
        assert!(self.accounts.handle(&id(account), under, command).await?.is_accepted());
        Ok(())
    }

    pub async fn begin(
        &self,
        transfer: &str,
        (from, to, minor): (&str, &str, i64),
        within_ms: u64,
    ) -> sidestream::Result<Outcome<Rejection>> {
        let input = Input::Begin { from: from.to_owned(), to: to.to_owned(), minor, within_ms };
        self.transfers.hear(&id(transfer), TransactionId::derive("begin", transfer), input).await
    }

    /// The client's hold that expires.
    pub async fn hold(&self, name: &str, account: &str, expires_ms: u64) -> sidestream::Result<bool> {
        let command = account::Command::Hold { minor: 10, expires_ms: Some(expires_ms) };
        let under = TransactionId::derive("hold", name);
        self.accounts.handle(&id(account), under, command).await.map(|outcome| outcome.is_accepted())
    }

    pub async fn funds(&self, account: &str) -> (i64, i64) {
        let look = |funds: &Funds, _| (funds.available, funds.held);
        self.accounts.query(&id(account), look).await.unwrap()
    }

    pub async fn transfer(&self, transfer: &str) -> (State, bool) {
        let look = |process: &sidestream::process::ProcessState<State>, _| {
            (process.state.clone(), process.is_complete)
        };
        self.transfers.query(&id(transfer), look).await.unwrap()
    }
}

/// Two accounts that lie in different partitions of two.
pub fn apart() -> (String, String) {
    let two = sidestream::partition::PartitionCount::new(2).unwrap();
    let on = |partition| {
        let name = (0..).map(|n| format!("acc{n}")).find(|name| two.of(name) == PartitionId::new(partition));
        name.unwrap()
    };
    (on(0), on(1))
}

/// Runs of processors in all partitions; dropped, they die as a process does.
pub struct Runs {
    tasks: JoinSet<sidestream::Result<()>>,
    stop: watch::Sender<bool>,
}

impl Runs {
    pub fn start(world: &World, epoch: u64) -> Self {
        let (mut tasks, stop) = (JoinSet::new(), watch::Sender::new(false));
        for processor in world.processors() {
            for partition in world.store.properties().partitions.all() {
                tasks.spawn(processor.run(partition, epoch, stop.subscribe()));
            }
        }
        Self { tasks, stop }
    }

    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap().unwrap();
        }
    }
}

/// Waits until it is so; for ever, as the test's own time limit says.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..100_000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("it never was so: {what}");
}
