//! What the sub-commands share: ids, the state of an account, commands that arrive twice.

use std::time::Duration;

use sidestream::codec::Codecs;
use sidestream::event::RecordKind;
use sidestream::store::{ReadFrom, StreamRead};
use sidestream::stream::Version;
use sidestream::{AggregateId, CommandHandler, Decider, EventStore, Outcome, TransactionId};

use crate::Failure;
use crate::rules::{Account, Command, Event, Funds, Rejection};

/// The pause before a command is sent again.
const PAUSE: Duration = Duration::from_millis(2);

pub(crate) type Accounts = CommandHandler<Account>;

pub(crate) fn account(id: &str) -> Result<AggregateId, Failure> {
    Ok(AggregateId::new(id)?)
}

/// The account's funds, or nothing where it was never opened.
pub(crate) async fn funds(accounts: &Accounts, id: &AggregateId) -> Result<Funds, Failure> {
    let state = accounts.query(id, |state, _| *state).await?;
    Ok(state.unwrap_or(Funds { available: 0, held: 0 }))
}

/// What a client does: it sends again, with the same id, until it has an answer.
pub(crate) async fn send(
    accounts: &Accounts,
    id: &AggregateId,
    transaction: TransactionId,
    command: Command,
) -> Result<Outcome<Rejection>, Failure> {
    for _ in 0..100 {
        match accounts.handle(id, transaction, command.clone()).await {
            Err(error) if error.kind().retry_may_help() => sidestream::clock::sleep(PAUSE).await,
            answer => return Ok(answer?),
        }
    }
    Err(format!("account {id}, transaction {transaction}: no answer after 100 tries").into())
}

/// What answers came to.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tally {
    pub(crate) applied: u64,
    pub(crate) replayed: u64,
    pub(crate) refused: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, outcome: &Outcome<Rejection>) {
        match outcome {
            Outcome::Accepted(receipt) if receipt.replay => self.replayed += 1,
            Outcome::Accepted(_) => self.applied += 1,
            Outcome::Rejected(_) | Outcome::Overruled(_) => self.refused += 1,
        }
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            applied: self.applied + other.applied,
            replayed: self.replayed + other.replayed,
            refused: self.refused + other.refused,
        }
    }

    pub(crate) fn total(&self) -> u64 {
        self.applied + self.replayed + self.refused
    }
}

/// All events of an account, each with its transaction, page by page.
pub(crate) async fn for_each_event(
    store: &impl EventStore,
    id: &AggregateId,
    mut take: impl FnMut(TransactionId, Event) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let (codecs, mut after) = (Codecs::default(), Version::EMPTY);
    loop {
        let stream = Account::CATEGORY.stream(id);
        let read = StreamRead { stream, from: ReadFrom::After(after), limit: 4_096 };
        let page = store.read_streams(vec![read]).await.pop().ok_or("the store answered nothing")??;
        for record in &page.records {
            record.verify()?;
            after = record.version;
            if let (RecordKind::Event, Some(cause)) = (record.data.kind, &record.data.cause) {
                take(cause.transaction, codecs.open(&record.data).decode()?)?;
            }
        }
        if !page.has_more() {
            return Ok(());
        }
    }
}

/// The account's version, and the size of its latest snapshot in bytes.
pub(crate) async fn size(store: &impl EventStore, id: &AggregateId) -> Result<(Version, usize), Failure> {
    let stream = Account::CATEGORY.stream(id);
    let read = StreamRead { stream, from: ReadFrom::SnapshotBefore(Version::MAX), limit: 1 };
    let page = store.read_streams(vec![read]).await.pop().ok_or("the store answered nothing")??;
    Ok((page.head, page.snapshot.map_or(0, |snapshot| snapshot.data.payload.len())))
}
