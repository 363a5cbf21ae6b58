//! The same calls get the same answers as from the store in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Row};
use sidestream::clock::Clock;
use sidestream::event::{AcceptedAt, NewRecord, RecordKind};
use sidestream::partition::{PartitionCount, PartitionId};
use sidestream::store::memory::MemoryStore;
use sidestream::store::sqlite::{Options, SqliteStore};
use sidestream::store::{Atomicity, OpenStepsRead, ReadFrom, StreamAppend, StreamRead, Unit};
use sidestream::stream::{ExpectedVersion, Position, StreamName, Version};
use sidestream::testkit::effort;
use sidestream::{EventStore, TransactionId};

use crate::disk::Rng;
use crate::support::*;

const PARTITIONS: u16 = 3;

/// Calls of one case.
const CALLS: u32 = 150;

struct Pair {
    place: Place,
    /// Units that a table of the indexes holds, where it is not as usual.
    flush_after: Option<usize>,
    memory: MemoryStore,
    sqlite: SqliteStore,
    /// Reads beside the writer, as another process would; over restarts, too.
    follower: Option<SqliteStore>,
    rng: Rng,
    heads: BTreeMap<StreamName, u64>,
}

impl Pair {
    fn new(seed: u64, flush_after: Option<usize>) -> Self {
        let place = Place::new();
        let count = PartitionCount::new(PARTITIONS).unwrap();
        let clock: Arc<dyn Clock> = place.clock.clone();
        let memory = MemoryStore::with(count, Atomicity::Batch, clock);
        let sqlite = options(&place, flush_after).partitions(count).open().unwrap();
        let rng = Rng(seed);
        Self { place, flush_after, memory, sqlite, follower: None, rng, heads: BTreeMap::new() }
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.rng.below(from.len() as u64) as usize].clone()
    }

    fn stream(&mut self) -> StreamName {
        let id = self.rng.below(5).to_string();
        let transaction = TransactionId::derive("same", &self.rng.below(4).to_string());
        if self.rng.chance(2) { account(&id) } else { side(&id, transaction) }
    }

    fn version(&mut self, stream: &StreamName) -> u64 {
        let head = self.heads.get(stream).copied().unwrap_or(0);
        match self.rng.below(8) {
            0 => self.rng.below(head + 3),
            1 => u64::MAX - self.rng.below(2),
            _ => head,
        }
    }

    fn record(&mut self, stream: &StreamName) -> NewRecord {
        let number = self.rng.below(9);
        let kind = self.pick(&[
            RecordKind::Event,
            RecordKind::Snapshot,
            RecordKind::Fence,
            RecordKind::Requested { aggregate_version: Version::new(number) },
            RecordKind::Requested { aggregate_version: Version::new(u64::MAX - number) },
            RecordKind::Resumed { scanned_to: Version::new(number) },
            RecordKind::Accepted { version: Version::new(number), at: AcceptedAt::At(Position::new(number)) },
            RecordKind::Rejected,
        ]);
        let transaction = stream.side_parts().map_or(TransactionId::derive("same", "other"), |(_, id)| id);
        let cause = (!self.rng.chance(3)).then(|| cause(transaction));
        match kind {
            RecordKind::Event => {
                let name = self.pick(&["A", "B", "C"]);
                NewRecord { cause, ..event(name, &[number as u8; 5]) }
            }
            kind => framework(kind, cause),
        }
    }

    fn append_of(&mut self) -> StreamAppend {
        let stream = self.stream();
        let version = self.version(&stream);
        let expected = if self.rng.chance(6) { ExpectedVersion::Any } else { Version::new(version).into() };
        let records = (0..self.rng.below(4)).map(|_| self.record(&stream)).collect();
        StreamAppend { stream, expected, records }
    }

    async fn write(&mut self) {
        let mut by_partition: BTreeMap<PartitionId, Vec<Unit>> = BTreeMap::new();
        for _ in 0..=self.rng.below(5) {
            let appends: Vec<_> = (0..self.rng.below(3)).map(|_| self.append_of()).collect();
            let of = |append: &StreamAppend| self.memory.properties().partitions.of(append.stream.cardinal());
            let partition = appends.first().map_or(PartitionId::new(0), of);
            let home =
                if self.rng.chance(30) { PartitionId::new(self.rng.below(3) as u16) } else { partition };
            by_partition.entry(home).or_default().push(Unit::of(appends));
        }
        for (partition, units) in by_partition {
            let one = self.memory.append(partition, units.clone()).await;
            let other = self.sqlite.append(partition, units.clone()).await;
            assert_eq!(format!("{one:?}"), format!("{other:?}"));
            for append in
                units.iter().zip(&one).filter(|(_, r)| r.is_ok()).flat_map(|(unit, _)| &unit.appends)
            {
                *self.heads.entry(append.stream.clone()).or_insert(0) += append.records.len() as u64;
            }
        }
    }

    async fn read(&mut self) {
        let reads: Vec<_> = (0..3)
            .map(|_| {
                let stream = self.stream();
                let version = Version::new(self.version(&stream));
                let from = self.pick(&[ReadFrom::After(version), ReadFrom::SnapshotBefore(version)]);
                StreamRead { stream, from, limit: self.pick(&[0, 1, 3, usize::MAX]) }
            })
            .collect();
        let one = self.memory.read_streams(reads.clone()).await;
        for other in self.stores() {
            let other = other.read_streams(reads.clone()).await;
            assert_eq!(format!("{one:?}"), format!("{other:?}"), "{reads:?}");
        }
        let partition = PartitionId::new(self.rng.below(u64::from(PARTITIONS) + 1) as u16);
        let after = Position::new(self.pick(&[0, 1, 5, 20, 1 << 50, u64::MAX]));
        let limit = self.pick(&[0, 1, 7, usize::MAX]);
        let one = self.memory.read_log(partition, after, limit).await;
        for other in self.stores() {
            let other = other.read_log(partition, after, limit).await;
            assert_eq!(format!("{one:?}"), format!("{other:?}"), "{partition} {after} {limit}");
        }
        let types: Vec<_> = (0..self.rng.below(4))
            .map(|_| self.pick(&["A", "B", "never"]))
            .map(|name| event(name, b"").event_type)
            .collect();
        let one = self.memory.read_types(partition, &types, after, limit).await;
        for other in self.stores() {
            let other = other.read_types(partition, &types, after, limit).await;
            assert_eq!(format!("{one:?}"), format!("{other:?}"), "{types:?} {partition} {after} {limit}");
        }
        self.read_steps(partition).await;
    }

    async fn read_steps(&mut self, partition: PartitionId) {
        let mut read = OpenStepsRead {
            partition,
            category: ACCOUNT.side().to_string(),
            older_than: Duration::from_micros(self.rng.below(20)),
            after: None,
            limit: self.pick(&[0, 2, usize::MAX]),
        };
        for _ in 0..3 {
            let one = self.memory.open_steps(read.clone()).await;
            for other in self.stores() {
                // A store that only reads has no clock of its own to ask for ages by.
                let is_writer = other.status().settings == self.sqlite.status().settings;
                let is_comparable = is_writer || read.older_than.is_zero();
                let other = other.open_steps(read.clone()).await;
                assert!(!is_comparable || format!("{one:?}") == format!("{other:?}"), "{read:?} {other:?}");
            }
            let Some(last) = one.unwrap().pop() else { break };
            read.after = Some((last.touched_at, last.stream));
        }
    }

    async fn truncate(&mut self) {
        let stream = self.stream();
        let through = Version::new(self.version(&stream));
        let (one, other) =
            (self.memory.truncate(&stream, through).await, self.sqlite.truncate(&stream, through).await);
        assert_eq!(format!("{one:?}"), format!("{other:?}"));
    }

    /// The store, and the one that follows it.
    fn stores(&self) -> Vec<SqliteStore> {
        [&self.sqlite].into_iter().chain(&self.follower).cloned().collect()
    }

    /// A new start: after a clean stop or a mere drop, now and then with indexes that are made anew.
    async fn restart(&mut self) {
        if self.rng.chance(2) {
            self.sqlite.close().await.unwrap();
        }
        // With the smallest tables the levels go up instead.
        let rebuild = self.flush_after != Some(1) && self.rng.chance(3);
        let options = options(&self.place, self.flush_after).rebuild_index(rebuild);
        // The lock is given up with the last handle.
        self.sqlite = {
            let placeholder = SqliteStore::open_read_only(self.place.path()).unwrap();
            drop(std::mem::replace(&mut self.sqlite, placeholder));
            options.open().unwrap()
        };
    }

    async fn step(&mut self) {
        match self.rng.below(12) {
            0..=5 => self.write().await,
            6..=8 => self.read().await,
            9 => self.truncate().await,
            10 => self.place.clock.advance(Duration::from_micros(self.rng.below(9))),
            _ if self.rng.chance(3) => self.restart().await,
            _ if self.rng.chance(3) => {
                self.follower = Some(SqliteStore::open_read_only(self.place.path()).unwrap());
            }
            _ => {
                self.place.clock.set(sidestream::Timestamp::from_micros(1_000_000 - self.rng.below(9) as i64))
            }
        }
    }
}

fn options(place: &Place, flush_after: Option<usize>) -> Options {
    let options = place.options();
    flush_after.map_or(options.clone(), |units| options.flush_after(units))
}

#[tokio::test]
async fn random_calls_get_the_same_answers() {
    for seed in 0..effort::cases(20).into() {
        let mut pair = Pair::new(seed, None);
        for _ in 0..CALLS {
            pair.step().await;
        }
    }
}

/// The same while the indexes are always being written, merged over several levels, and cleared of what was merged.
#[tokio::test]
async fn random_calls_get_the_same_answers_while_the_indexes_are_written() {
    let (mut highest, mut most_runs) = (0, 0);
    for seed in 0..effort::cases(20).into() {
        let mut pair = Pair::new(1_000 + seed, Some(1 + seed as usize % 5));
        // The first case goes on until runs of the second level are merged.
        for _ in 0..if seed == 0 { 3 * CALLS } else { CALLS } {
            pair.step().await;
            let (runs, level) = runs(&pair.place);
            (highest, most_runs) = (highest.max(level), most_runs.max(runs));
        }
    }
    assert!(highest >= 2 && most_runs >= 8, "level {highest}, {most_runs} runs");
}

/// How many runs the indexes have, and the highest level of one.
fn runs(place: &Place) -> (u64, u64) {
    let connection = Connection::open_with_flags(place.path(), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let sql = "SELECT count(*), coalesce(max(level), 0) FROM runs";
    let read = |row: &Row<'_>| Ok((row.get::<_, i64>(0)? as u64, row.get::<_, i64>(1)? as u64));
    connection.query_row(sql, [], read).unwrap()
}
