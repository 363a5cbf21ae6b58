//! What the cases share.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use sidestream::clock::SystemClock;
use sidestream::command::Settings;
use sidestream::event::EventType;
use sidestream::partition::{PartitionCount, PartitionId};
use sidestream::protocol::Atomicity;
use sidestream::snapshot::SnapshotPolicy;
use sidestream::store::memory::MemoryStore;
use sidestream::store::{
    EventStore, LogPage, OpenStep, OpenStepsRead, StoreProperties, StreamPage, StreamRead, Unit, UnitResult,
};
use sidestream::stream::{Position, StreamName, Version};
use sidestream::{AggregateId, CommandHandler, Decider, Result, TransactionId};

use crate::rules::{Account, Command, Funds};

pub const BOTH: [Atomicity; 2] = [Atomicity::Batch, Atomicity::Stream];

pub fn store(atomicity: Atomicity) -> MemoryStore {
    MemoryStore::with(PartitionCount::default(), atomicity, Arc::new(SystemClock))
}

pub fn account(name: &str) -> AggregateId {
    AggregateId::new(name).expect("valid")
}

pub fn tx(name: impl fmt::Display) -> TransactionId {
    TransactionId::derive("test", &name.to_string())
}

/// A handler that takes a snapshot every few records.
pub fn snapshotting(store: impl EventStore, every: u64) -> CommandHandler<Account> {
    let settings = Settings { snapshots: SnapshotPolicy { every }, ..Settings::default() };
    CommandHandler::builder(store, Account).settings(settings).build()
}

pub async fn funds(accounts: &CommandHandler<Account>, id: &AggregateId) -> Option<Funds> {
    accounts.query(id, |state, _| *state).await.expect("readable")
}

/// Deposits 1 each, under transactions `from..to`.
pub async fn deposit(accounts: &CommandHandler<Account>, id: &AggregateId, from: u64, to: u64) {
    for number in from..to {
        let outcome = accounts.handle(id, tx(number), Command::Deposit { minor: 1 }).await.expect("handled");
        assert!(outcome.is_accepted(), "{outcome:?}");
    }
}

/// Leaves a step requested and open: its decision fits no bound, so only the request is written.
pub async fn leave_open(
    store: impl EventStore,
    id: &AggregateId,
    transaction: TransactionId,
    command: Command,
) {
    let mut settings = Settings::default();
    settings.limits.decision_events = 0;
    let failing = CommandHandler::builder(store, Account).settings(settings).build();
    failing.submit(id, transaction, command.clone(), None).await.expect("submitted");
    let step = Account::step(&command);
    failing.outcome(id, transaction, &step).await.expect_err("still open");
}

/// A store whose pages are changed on their way to the reader.
pub struct Changed<S> {
    pub inner: S,
    pub change: fn(&mut StreamPage),
}

impl<S: EventStore> fmt::Debug for Changed<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl<S: EventStore> EventStore for Changed<S> {
    fn properties(&self) -> StoreProperties {
        self.inner.properties()
    }

    async fn append(&self, partition: PartitionId, units: Vec<Unit>) -> Vec<UnitResult> {
        self.inner.append(partition, units).await
    }

    async fn read_streams(&self, reads: Vec<StreamRead>) -> Vec<Result<StreamPage>> {
        let mut pages = self.inner.read_streams(reads).await;
        pages.iter_mut().flatten().for_each(self.change);
        pages
    }

    async fn read_log(&self, partition: PartitionId, after: Position, limit: usize) -> Result<LogPage> {
        self.inner.read_log(partition, after, limit).await
    }

    async fn read_types(
        &self,
        partition: PartitionId,
        types: &[EventType],
        after: Position,
        limit: usize,
    ) -> Result<LogPage> {
        self.inner.read_types(partition, types, after, limit).await
    }

    async fn open_steps(&self, read: OpenStepsRead) -> Result<Vec<OpenStep>> {
        self.inner.open_steps(read).await
    }

    async fn truncate(&self, stream: &StreamName, through: Version) -> Result<Version> {
        self.inner.truncate(stream, through).await
    }
}
