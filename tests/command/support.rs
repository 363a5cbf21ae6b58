//! What the cases share.

use std::fmt;
use std::sync::Arc;

use sidestream::clock::SystemClock;
use sidestream::command::Settings;
use sidestream::partition::PartitionCount;
use sidestream::protocol::Atomicity;
use sidestream::snapshot::SnapshotPolicy;
use sidestream::store::EventStore;
use sidestream::store::memory::MemoryStore;
use sidestream::store::split::SplitStore;
use sidestream::{AggregateId, CommandHandler, Decider, TransactionId};

use crate::rules::{Account, Command, Funds};

pub const BOTH: [Atomicity; 2] = [Atomicity::Batch, Atomicity::Stream];

pub fn store(atomicity: Atomicity) -> MemoryStore {
    MemoryStore::with(PartitionCount::default(), atomicity, Arc::new(SystemClock))
}

/// One of each kind of store: of batches, of single streams, of two halves.
pub async fn any_store(kind: usize) -> Arc<dyn EventStore> {
    match kind {
        0 => Arc::new(store(Atomicity::Batch)),
        1 => Arc::new(store(Atomicity::Stream)),
        _ => {
            let [gateway, ledger] = [store(Atomicity::Batch), store(Atomicity::Batch)];
            Arc::new(SplitStore::open(gateway, ledger).await.expect("opened"))
        }
    }
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
