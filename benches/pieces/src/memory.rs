//! Handlers on the memory store, and streams from it.

use sidestream::event::Record;
use sidestream::limits::{Limits, PAGE_RECORDS};
use sidestream::side_stream::SideStream;
use sidestream::snapshot::SnapshotPolicy;
use sidestream::store::{ReadFrom, StreamRead};
use sidestream::stream::{StreamName, Version};
use sidestream::{AggregateId, CommandHandler, Decider, EventStore, MemoryStore, Settings, TransactionId};
use tokio::runtime::Runtime;

use crate::account::{Account, Command, hold};
use crate::runtime;

/// A handler, with the runtime that it runs on.
#[derive(Debug)]
pub struct Handler {
    /// One thread.
    pub runtime: Runtime,
    /// The handler.
    pub handler: CommandHandler<Account>,
}

impl Handler {
    /// Handles a command on an account.
    pub fn handle(&self, account: &AggregateId, transaction: TransactionId, command: Command) {
        self.runtime.block_on(self.handler.handle(account, transaction, command)).unwrap();
    }

    /// An account's state, from memory or from the store.
    pub fn held(&self, account: &AggregateId) -> i64 {
        self.runtime.block_on(self.handler.query(account, |funds, _| funds.held)).unwrap()
    }
}

/// A handler on a new store in memory.
pub fn handler() -> Handler {
    let handler = CommandHandler::new(MemoryStore::new(), Account);
    Handler { runtime: runtime(), handler }
}

/// A handler that keeps one aggregate of a partition in memory and writes no snapshots: whoever asks for two in turn
/// makes it load each of them whole.
pub fn forgetful() -> Handler {
    let limits = Limits { cached_aggregates: 1, ..Limits::default() };
    let settings = Settings { snapshots: SnapshotPolicy { every: 0 }, limits };
    let handler = CommandHandler::builder(MemoryStore::new(), Account).settings(settings).build();
    Handler { runtime: runtime(), handler }
}

/// The account of this number.
pub fn account(number: u64) -> AggregateId {
    AggregateId::new(number.to_string()).unwrap()
}

/// The transaction of this number. Neighbours are far apart, as ids that clients derive are.
pub fn transaction(number: u64) -> TransactionId {
    TransactionId::derive("bench", &number.to_string())
}

/// A read of a whole stream.
pub fn whole(stream: StreamName) -> StreamRead {
    StreamRead { stream, from: ReadFrom::After(Version::EMPTY), limit: PAGE_RECORDS }
}

/// The records that one hold leaves: those of its side stream, and the event.
pub fn records() -> (Vec<Record>, Record) {
    let (store, runtime) = (MemoryStore::new(), runtime());
    let handler = CommandHandler::new(store.clone(), Account);
    let (account, transaction) = (account(1), transaction(1));
    let streams = [Account::CATEGORY.side_stream(&account, transaction), Account::CATEGORY.stream(&account)];
    let pages = runtime.block_on(async {
        handler.handle(&account, transaction, hold(1)).await.unwrap();
        store.read_streams(streams.map(whole).into()).await
    });
    let mut pages = pages.into_iter().map(|page| page.unwrap().records);
    (pages.next().unwrap(), pages.next().unwrap().remove(0))
}

/// The side stream of a settled hold.
pub fn settled() -> SideStream {
    SideStream::fold(&records().0).unwrap()
}
