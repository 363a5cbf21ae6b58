//! A store that has grown: most of it is in the indexes' runs, little in their tables.

use std::path::Path;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use sidestream::partition::{PartitionCount, PartitionId};
use sidestream::store::{ReadFrom, StreamRead};
use sidestream::stream::{StreamName, Version};
use sidestream::{AggregateId, CommandHandler, Decider, EventStore, SqliteStore, limits};
use tempfile::TempDir;

use crate::account::{Account, Command, hold};
use crate::memory::{account, transaction};
use crate::runtime;

/// Its commands.
pub const COMMANDS: u64 = 200_000;
/// Units that its indexes hold in memory before they are written: few, so that runs are made and merged.
const FLUSH_AFTER: usize = 4_096;
/// Each of these commands is on the account that never rests.
const BUSY: u64 = 50;
/// The others share so many accounts, 250 commands each: two snapshots, and some fifty records behind the second.
const ACCOUNTS: u64 = 784;
/// One in so many commands is a rare one.
const RARE: u64 = 2_000;
/// Commands that are sent at a time.
const WAVE: u64 = 2_048;

/// The store, in a directory that goes with it.
#[derive(Debug)]
pub struct Grown {
    /// The store, of one partition.
    pub store: SqliteStore,
    _directory: TempDir,
}

impl Grown {
    /// Makes it, in a new directory below `place`. It takes some seconds, and says so.
    pub fn new(place: &Path) -> Self {
        let began = Instant::now();
        let directory = tempfile::tempdir_in(place).unwrap();
        let options = SqliteStore::builder(directory.path().join("events.db")).flush_after(FLUSH_AFTER);
        let store = options.partitions(PartitionCount::new(1).unwrap()).open().unwrap();
        runtime().block_on(fill(&store));
        settle(&store);
        eprintln!("a store of {COMMANDS} commands was made in {:.1} s", began.elapsed().as_secs_f64());
        Self { store, _directory: directory }
    }

    /// The only partition.
    pub fn partition(&self) -> PartitionId {
        PartitionId::new(0)
    }

    /// Reads streams, each of which must be readable. Returns how many records there were, snapshots counted.
    pub fn read(&self, reads: Vec<StreamRead>) -> usize {
        let pages = here(self.store.read_streams(reads));
        let records = |page: sidestream::Result<sidestream::store::StreamPage>| {
            let page = page.unwrap();
            page.records.len() + usize::from(page.snapshot.is_some())
        };
        pages.into_iter().map(records).sum()
    }
}

async fn fill(store: &SqliteStore) {
    let handler = CommandHandler::new(store.clone(), Account);
    for first in (0..COMMANDS).step_by(usize::try_from(WAVE).unwrap()) {
        let numbers = first..(first + WAVE).min(COMMANDS);
        let results =
            handler.handle_many(numbers.map(|number| (on(number), transaction(number), what(number))));
        results.await.into_iter().for_each(|result| drop(result.unwrap()));
    }
}

/// Waits until runs are neither written nor merged any more: until nothing is written.
fn settle(store: &SqliteStore) {
    let mut quiet = 0;
    while quiet < 5 {
        let before = store.status().wal_bytes;
        std::thread::sleep(Duration::from_millis(100));
        quiet = if store.status().wal_bytes == before { quiet + 1 } else { 0 };
    }
}

/// Reads on this thread, as the store does outside of a runtime. Inside of one each call goes to another thread and
/// back, and a small read would measure nothing but how soon that one wakes.
pub fn here<T>(read: impl Future<Output = T>) -> T {
    match pin!(read).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(read) => read,
        Poll::Pending => unreachable!("nobody else reads"),
    }
}

/// The account of a command.
fn on(number: u64) -> AggregateId {
    if number.is_multiple_of(BUSY) { busy() } else { account((number - number / BUSY) % ACCOUNTS) }
}

fn what(number: u64) -> Command {
    if number % RARE == 1 { Command::Freeze } else { hold(number) }
}

fn busy() -> AggregateId {
    account(ACCOUNTS)
}

/// The stream of the account that never rests: a fiftieth of all commands, spread over all of the log.
pub fn busy_stream() -> StreamName {
    Account::CATEGORY.stream(&busy())
}

/// The side stream of a command.
pub fn side(number: u64) -> StreamName {
    Account::CATEGORY.side_stream(&on(number), transaction(number))
}

/// A read that starts where a load of an account does: at its latest snapshot.
pub fn from_snapshot(number: u64) -> StreamRead {
    let stream = Account::CATEGORY.stream(&account(number % ACCOUNTS));
    StreamRead { stream, from: ReadFrom::SnapshotBefore(Version::MAX), limit: limits::PAGE_RECORDS }
}

/// How many records of a rare type there are.
pub fn rare() -> usize {
    usize::try_from(COMMANDS / RARE).unwrap()
}
