//! A service's life: commands of all outcomes, steps left open, removed records.

use std::fmt;
use std::time::Duration;

use sidestream::command::{Outcome, Settings};
use sidestream::event::{CodecName, EventType, NewRecord, RecordKind};
use sidestream::id::{Cause, Fingerprint, StepName};
use sidestream::snapshot::SnapshotPolicy;
use sidestream::store::{EventStore, StreamAppend, Unit};
use sidestream::stream::{ExpectedVersion, StreamName, Version};
use sidestream::{AggregateId, CommandHandler, Decider, TransactionId};

use super::place::Store;
use super::rules::{Account, Command, Rejection};

/// A command and what its client heard.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    pub account: AggregateId,
    pub transaction: TransactionId,
    pub command: Command,
    pub outcome: Outcome<Rejection>,
}

pub fn account(name: impl fmt::Display) -> AggregateId {
    AggregateId::new(name.to_string()).unwrap()
}

pub fn tx(name: impl fmt::Display) -> TransactionId {
    TransactionId::derive("copy", &name.to_string())
}

pub fn handler(store: &Store) -> CommandHandler<Account> {
    let settings = Settings { snapshots: SnapshotPolicy { every: 5 }, ..Settings::default() };
    CommandHandler::builder(store.share(), Account).settings(settings).build()
}

/// Some commands on some accounts, refused ones too, and a step left open on each account.
pub async fn live(store: &Store, accounts: u64, commands: u64, salt: &str) -> Vec<Answered> {
    let handler = handler(store);
    let mut answered = Vec::new();
    for number in 0..commands {
        let (id, transaction) = (account(number % accounts), tx(format!("{salt}{number}")));
        let command = match number / accounts % 4 {
            0 | 1 => Command::Deposit { minor: 10 },
            2 => Command::Hold { minor: 3 },
            _ => Command::Hold { minor: 1_000_000 },
        };
        let outcome = handler.handle(&id, transaction, command.clone()).await.unwrap();
        answered.push(Answered { account: id, transaction, command, outcome });
    }
    for number in 0..accounts {
        leave_open(store, &account(number), tx(format!("{salt}open{number}"))).await;
    }
    answered
}

/// Leaves a step requested and open.
pub async fn leave_open(store: &Store, id: &AggregateId, transaction: TransactionId) {
    let mut settings = Settings::default();
    settings.limits.decision_events = 0;
    let failing = CommandHandler::builder(store.share(), Account).settings(settings).build();
    let command = Command::Deposit { minor: 1 };
    failing.submit(id, transaction, command.clone(), Some("me".to_owned())).await.unwrap();
    failing.outcome(id, transaction, &Account::step(&command)).await.expect_err("still open");
}

/// Every old command hears what it heard, and its receipt is equal.
pub async fn replay(store: &Store, answered: &[Answered]) {
    let handler = handler(store);
    for Answered { account, transaction, command, outcome } in answered {
        let again = handler.handle(account, *transaction, command.clone()).await.unwrap();
        assert_eq!(again, *outcome, "{account} {transaction}");
        if let (Outcome::Accepted(again), Outcome::Accepted(first)) = (&again, outcome) {
            assert_eq!((again.version, again.position, again.replay), (first.version, first.position, true));
        }
    }
}

/// Settles all that is open.
pub async fn recover(store: &Store) -> u64 {
    let recovery = handler(store).recover(Duration::ZERO).await.unwrap();
    assert_eq!(recovery.failed, 0);
    recovery.settled()
}

/// Appends notes to a stream of its own kind.
pub async fn note(store: &dyn EventStore, stream: &StreamName, notes: usize, bytes: usize) {
    append(store, stream, notes, bytes, None).await;
}

/// Appends many events of one step: no page holds them all.
pub async fn long_effect(store: &dyn EventStore, stream: &StreamName) {
    let cause = Cause {
        transaction: tx("long"),
        step: StepName::parse("long").unwrap(),
        fingerprint: Fingerprint::from_bytes([7; 16]),
    };
    append(store, stream, 4_000, 10, Some(cause)).await;
}

async fn append(
    store: &dyn EventStore,
    stream: &StreamName,
    notes: usize,
    bytes: usize,
    cause: Option<Cause>,
) {
    let record = || NewRecord {
        kind: RecordKind::Event,
        event_type: EventType::new("Noted").unwrap(),
        schema: 1,
        codec: CodecName::new("text").unwrap(),
        cause: cause.clone(),
        requester: None,
        payload: vec![b'n'; bytes].into(),
    };
    let records = (0..notes).map(|_| record()).collect();
    let append = StreamAppend { stream: stream.clone(), expected: ExpectedVersion::Any, records };
    let partition = store.properties().partitions.of(stream.cardinal());
    store.append(partition, vec![Unit::one(append)]).await.pop().unwrap().unwrap();
}

/// Removes a stream's beginning, or all of it.
pub async fn truncate(store: &dyn EventStore, stream: &StreamName, through: u64) {
    store.truncate(stream, Version::new(through)).await.unwrap();
}

pub fn notes(name: impl fmt::Display) -> StreamName {
    StreamName::parse(&format!("note-{name}")).unwrap()
}

pub fn on_threads<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(test)
}
