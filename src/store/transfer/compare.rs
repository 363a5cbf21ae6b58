//! Comparing the logs of a partition in both stores, record by record.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::event::Record;
use crate::partition::PartitionId;
use crate::store::transfer::part::next_limit;
use crate::store::transfer::progress::{Progress, Watcher};
use crate::store::transfer::spi::Transfer;
use crate::stream::Position;

/// Records of the first page: nothing is known of their size.
const FIRST: usize = 256;

/// What was compared so far.
#[derive(Debug, Clone)]
pub(super) struct Compared {
    pub(super) through: Position,
    pub(super) records: u64,
    hash: blake3::Hasher,
}

impl Default for Compared {
    fn default() -> Self {
        Self { through: Position::START, records: 0, hash: blake3::Hasher::new() }
    }
}

impl Compared {
    /// The hash over (position, stream, version, time, checksum) of every record.
    pub(super) fn hash(&self) -> String {
        self.hash.finalize().to_hex().to_string()
    }

    fn add(&mut self, record: &Record) {
        self.records = self.records.saturating_add(1);
        self.hash.update(&record.position.get().to_le_bytes());
        self.hash.update(record.stream.as_str().as_bytes());
        self.hash.update(&record.version.get().to_le_bytes());
        self.hash.update(&record.recorded_at.as_micros().to_le_bytes());
        self.hash.update(&record.checksum.0.to_le_bytes());
    }

    /// Goes on through a position; every record of both is read, and checked against its own checksum.
    pub(super) async fn go_on(mut self, stores: Stores, through: Position) -> Result<Self> {
        let Stores { source, target, partition, watcher } = stores;
        let mut expected = Side::new(source, partition, self.through);
        let mut found = Side::new(target, partition, self.through);
        loop {
            let (one, other) = tokio::try_join!(expected.next(through), found.next(through))?;
            if one != other {
                return Err(differs(partition, one.as_ref(), other.as_ref()));
            }
            let Some(record) = one else { break };
            record.verify()?;
            self.add(&record);
            watcher(Progress::Done(record.position.get().saturating_sub(self.through.get())));
            self.through = record.position;
        }
        watcher(Progress::Done(through.get().saturating_sub(self.through.get())));
        self.through = through.max(self.through);
        Ok(self)
    }
}

/// A partition in both stores.
#[derive(Clone)]
pub(super) struct Stores {
    pub(super) source: Arc<dyn Transfer>,
    pub(super) target: Arc<dyn Transfer>,
    pub(super) partition: PartitionId,
    pub(super) watcher: Watcher,
}

/// One store's log, as it is read.
struct Side {
    store: Arc<dyn Transfer>,
    partition: PartitionId,
    at: Position,
    limit: usize,
    waiting: VecDeque<Record>,
}

impl Side {
    fn new(store: Arc<dyn Transfer>, partition: PartitionId, at: Position) -> Self {
        Self { store, partition, at, limit: FIRST, waiting: VecDeque::new() }
    }

    /// The next record up to `through`.
    async fn next(&mut self, through: Position) -> Result<Option<Record>> {
        while self.waiting.is_empty() && self.at < through {
            let page = self.store.read_log(self.partition, self.at, self.limit).await?;
            self.limit = next_limit(self.limit, &page.records);
            if page.read_to <= self.at {
                break;
            }
            self.at = page.read_to;
            self.waiting.extend(page.records);
        }
        let is_wanted = self.waiting.front().is_some_and(|record| record.position <= through);
        Ok(if is_wanted { self.waiting.pop_front() } else { None })
    }
}

fn differs(partition: PartitionId, expected: Option<&Record>, found: Option<&Record>) -> Error {
    let stream = expected.or(found).map_or_else(String::new, |record| record.stream.to_string());
    Error::corrupt(format!("the copy of partition {partition} differs from its source"))
        .in_stream(stream)
        .expected(told(expected), told(found))
        .advice("the copy stays closed: remove it and begin anew; look at the disks of both")
}

fn told(record: Option<&Record>) -> String {
    let tell = |record: &Record| {
        let Record { stream, version, position, recorded_at, checksum, .. } = record;
        format!("{stream} version {version} at position {position}, {recorded_at}, checksum {checksum}")
    };
    record.map_or_else(|| "no record".to_owned(), tell)
}
