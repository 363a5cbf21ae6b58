//! A store in memory: the shortest complete one, for tests and for reading before writing another.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::clock::{Clock, SystemClock, Timestamp};
use crate::error::{Error, Result};
use crate::event::{EventType, NewRecord, Record, RecordKind};
use crate::limits;
use crate::partition::{PartitionCount, PartitionId};
use crate::store::admission::{Admission, check, too_long};
use crate::store::changes::Changes;
use crate::store::closing;
use crate::store::rows::{KeptRow, Row, RowKey, RowSelection, RowsPage, RowsRead};
use crate::store::{
    AppendFailure, Atomicity, Committed, EventStore, LogPage, LogScope, OpenStep, OpenStepsRead, ReadFrom,
    StoreProperties, StreamAppend, StreamPage, StreamRead, Unit, UnitResult,
};
use crate::stream::{Position, StreamName, Version};

/// Streams in memory. Clones share their content; it is gone with the last of them.
#[derive(Clone)]
pub struct MemoryStore {
    properties: StoreProperties,
    clock: Arc<dyn Clock>,
    content: Arc<Mutex<Content>>,
    changes: Arc<Changes>,
}

impl MemoryStore {
    /// An empty store with 16 partitions and atomic batches.
    #[must_use]
    pub fn new() -> Self {
        Self::with(PartitionCount::default(), Atomicity::Batch, Arc::new(SystemClock))
    }

    /// An empty store. With [`Atomicity::Stream`] it refuses units of several streams, as a log split
    /// over two databases must.
    #[must_use]
    pub fn with(partitions: PartitionCount, atomicity: Atomicity, clock: Arc<dyn Clock>) -> Self {
        let properties =
            StoreProperties { id: clock.new_id(), partitions, atomicity, log: LogScope::AllStreams };
        let logs = partitions.all().map(|_| Log::default()).collect();
        let content = Content { logs, ..Content::default() };
        let changes = Arc::new(Changes::new(usize::from(partitions.get())));
        Self { properties, clock, content: Arc::new(Mutex::new(content)), changes }
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        // Nothing below panics half way through a change, so a poisoned lock still guards whole units.
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("properties", &self.properties).finish_non_exhaustive()
    }
}

#[async_trait]
impl EventStore for MemoryStore {
    fn properties(&self) -> StoreProperties {
        self.properties
    }

    async fn append(&self, partition: PartitionId, units: Vec<Unit>) -> Vec<UnitResult> {
        if let Some(failure) = too_long(units.len()) {
            return units.iter().map(|_| Err(failure.clone())).collect();
        }
        let mut content = self.lock();
        let mut admission = Admission::default();
        let mut append = |unit: Unit| -> UnitResult {
            let checked = check(&unit, partition, self.properties);
            admission.admit(&unit, &checked, |stream| Ok(content.head(stream)))?;
            let now = self.clock.now();
            let log = content.log(partition).map_err(AppendFailure::Refused)?;
            let changed = admission.admit_rows(&unit, now, |key| Ok(log.row(key)))?;
            for (key, row) in changed {
                if row == KeptRow::NEVER {
                    log.rows.remove(&key)
                } else {
                    log.rows.insert(key, row)
                };
            }
            let committed = log.begin(now, unit.is_empty());
            unit.appends.into_iter().for_each(|append| content.write(partition, append));
            Ok(committed)
        };
        let results = units.into_iter().map(&mut append).collect();
        let head = content.log(partition).map_or(Position::START, |log| log.head);
        drop(content);
        self.changes.advance(partition, head);
        results
    }

    async fn read_streams(&self, reads: Vec<StreamRead>) -> Vec<Result<StreamPage>> {
        let content = self.lock();
        reads.iter().map(|read| Ok(content.read(read))).collect()
    }

    async fn read_log(&self, partition: PartitionId, after: Position, limit: usize) -> Result<LogPage> {
        self.lock().log(partition).map(|log| log.page(after, limit, |_| true))
    }

    async fn read_types(
        &self,
        partition: PartitionId,
        types: &[EventType],
        after: Position,
        limit: usize,
    ) -> Result<LogPage> {
        let mut content = self.lock();
        content.log(partition).map(|log| log.page(after, limit, |record| types.contains(&record.event_type)))
    }

    async fn open_steps(&self, read: OpenStepsRead) -> Result<Vec<OpenStep>> {
        // A clock that went back makes steps of the future: whoever asks for all must see them too.
        let all = read.older_than.is_zero();
        let until = if all { Timestamp::MAX } else { self.clock.now().before(read.older_than) };
        let content = self.lock();
        let of_partition = |step: &&OpenStep| {
            self.properties.partitions.of(step.stream.cardinal()) == read.partition
                && step.stream.category() == read.category
                && step.touched_at <= until
        };
        let mut steps: Vec<_> = content.open.values().filter(of_partition).cloned().collect();
        steps.sort_by(|a, b| (a.touched_at, &a.stream).cmp(&(b.touched_at, &b.stream)));
        steps.retain(|step| {
            read.after.as_ref().is_none_or(|(at, stream)| (step.touched_at, &step.stream) > (*at, stream))
        });
        steps.truncate(read.limit.min(limits::PAGE_RECORDS));
        Ok(steps)
    }

    async fn truncate(&self, stream: &StreamName, through: Version) -> Result<Version> {
        self.lock().truncate(stream, through)
    }

    async fn rows(&self, read: RowsRead) -> Result<RowsPage> {
        read.check()?;
        let mut content = self.lock();
        let rows = content.log(read.partition)?.select(&read);
        Ok(RowsPage { rows, at: self.clock.now() })
    }

    async fn close_partitions(
        &self,
        partitions: &[PartitionId],
        through: Timestamp,
    ) -> Result<Vec<Timestamp>> {
        let mut content = self.lock();
        partitions.iter().try_for_each(|partition| content.log(*partition).map(drop))?;
        let close = |partition: &PartitionId| {
            let log = content.log(*partition)?;
            let (closed, least) = closing::close(log.time, through, self.clock.now());
            log.time = least;
            Ok(closed)
        };
        partitions.iter().map(close).collect()
    }

    async fn changed(&self, partition: PartitionId, after: Position) {
        self.changes.past(partition, after).await
    }
}

#[derive(Default)]
struct Content {
    streams: HashMap<StreamName, Stream>,
    logs: Vec<Log>,
    /// By side stream: a transaction has at most one open step.
    open: BTreeMap<StreamName, OpenStep>,
}

#[derive(Default)]
struct Stream {
    floor: Version,
    /// The records after the floor.
    records: Vec<Arc<Record>>,
}

#[derive(Default)]
struct Log {
    records: BTreeMap<Position, Arc<Record>>,
    head: Position,
    /// The least time that the next unit can get.
    time: Timestamp,
    rows: BTreeMap<RowKey, KeptRow>,
}

impl Content {
    fn head(&self, stream: &StreamName) -> Version {
        self.streams.get(stream).map_or(Version::EMPTY, Stream::head)
    }

    fn log(&mut self, partition: PartitionId) -> Result<&mut Log> {
        let count = self.logs.len();
        self.logs.get_mut(usize::from(partition.get())).ok_or_else(|| {
            Error::invalid(format!("partition {partition} does not exist"))
                .expected(format!("below {count}"), partition)
        })
    }

    fn write(&mut self, partition: PartitionId, append: StreamAppend) {
        let stream = self.streams.entry(append.stream.clone()).or_default();
        let Some(log) = self.logs.get_mut(usize::from(partition.get())) else { return };
        for data in append.records {
            let version = stream.head().next();
            let checksum = data.checksum(&append.stream, version);
            let (name, position, recorded_at) = (append.stream.clone(), log.head.plus(1), log.time);
            track_open(&mut self.open, &name, &data, recorded_at);
            let record = Record { stream: name, version, partition, position, recorded_at, data, checksum };
            let record = Arc::new(record);
            stream.records.push(Arc::clone(&record));
            log.records.insert(position, record);
            log.head = position;
        }
    }

    fn read(&self, read: &StreamRead) -> StreamPage {
        let Some(stream) = self.streams.get(&read.stream) else { return StreamPage::empty() };
        let snapshot = match read.from {
            ReadFrom::After(_) => None,
            ReadFrom::SnapshotBefore(before) => stream.snapshot_before(before),
        };
        let after = match (read.from, &snapshot) {
            (ReadFrom::After(version), _) => version,
            (ReadFrom::SnapshotBefore(_), Some(snapshot)) => snapshot.version,
            (ReadFrom::SnapshotBefore(_), None) => stream.floor,
        };
        let limit = read.limit.min(limits::PAGE_RECORDS);
        let records = stream.after(after).take(limit).map(|record| Record::clone(record)).collect();
        StreamPage { floor: stream.floor, head: stream.head(), snapshot, records }
    }

    fn truncate(&mut self, name: &StreamName, through: Version) -> Result<Version> {
        let head = self.head(name);
        if through > head {
            return Err(Error::invalid("cannot truncate above the head")
                .in_stream(name)
                .expected(format!("at most version {head}"), through));
        }
        let Some(stream) = self.streams.get_mut(name) else { return Ok(Version::EMPTY) };
        for record in stream.records.extract_if(.., |record| record.version <= through) {
            if let Some(log) = self.logs.get_mut(usize::from(record.partition.get())) {
                log.records.remove(&record.position);
            }
        }
        stream.floor = stream.floor.max(through);
        Ok(stream.floor)
    }
}

impl Stream {
    fn head(&self) -> Version {
        self.records.last().map_or(self.floor, |last| last.version)
    }

    fn after(&self, version: Version) -> impl Iterator<Item = &Arc<Record>> {
        let skip = usize::try_from(version.since(self.floor)).unwrap_or(usize::MAX);
        self.records.iter().skip(skip)
    }

    fn snapshot_before(&self, version: Version) -> Option<Record> {
        let older = self.records.iter().rev().skip_while(|record| record.version >= version);
        older
            .into_iter()
            .find(|record| record.data.kind == RecordKind::Snapshot)
            .map(|record| Record::clone(record))
    }
}

impl Log {
    /// Moves the time on, never back, and says where the next record goes. Where nothing is recorded nothing moves.
    fn begin(&mut self, now: Timestamp, only_demands: bool) -> Committed {
        let recorded_at = self.time.max(now);
        if only_demands {
            return Committed { first: self.head, recorded_at };
        }
        self.time = recorded_at;
        Committed { first: self.head.next(), recorded_at }
    }

    fn row(&self, key: &RowKey) -> KeptRow {
        self.rows.get(key).cloned().unwrap_or(KeptRow::NEVER)
    }

    fn select(&self, read: &RowsRead) -> Vec<Row> {
        let of_space = self.rows.iter().filter(|(key, _)| key.space() == read.space);
        let there = of_space.filter_map(|(key, row)| row.clone().into_row(key.clone()));
        match &read.which {
            RowSelection::Keys(keys) => {
                there.filter(|row| keys.iter().any(|key| key == row.key.key())).collect()
            }
            RowSelection::Prefix { prefix, after, limit } => {
                let after = after.as_deref().unwrap_or_default();
                let is_in = |key: &str| key.starts_with(prefix.as_str()) && key > after;
                there.filter(|row| is_in(row.key.key())).take((*limit).min(limits::PAGE_ROWS)).collect()
            }
        }
    }

    fn page(&self, after: Position, limit: usize, matches: impl Fn(&NewRecord) -> bool) -> LogPage {
        let limit = limit.min(limits::PAGE_RECORDS);
        let all = self.records.range(after.plus(1)..).map(|(_, record)| record);
        let mut found = all.filter(|record| matches(&record.data));
        let records: Vec<_> = found.by_ref().take(limit).map(|record| Record::clone(record)).collect();
        let cut = found.next().is_some();
        let last = records.last().map_or(after, |record| record.position);
        LogPage { records, read_to: if cut { last } else { self.head.max(after) }, head: self.head }
    }
}

/// What one record of a side stream does to the open steps.
fn track_open(
    open: &mut BTreeMap<StreamName, OpenStep>,
    stream: &StreamName,
    data: &NewRecord,
    at: Timestamp,
) {
    match (data.kind, &data.cause) {
        (RecordKind::Requested { aggregate_version }, Some(cause)) => {
            let step = OpenStep {
                stream: stream.clone(),
                cause: cause.clone(),
                aggregate_version,
                scanned_to: aggregate_version,
                resumed: 0,
                requested_at: at,
                touched_at: at,
            };
            open.insert(stream.clone(), step);
        }
        (RecordKind::Resumed { scanned_to }, _) => {
            if let Some(step) = open.get_mut(stream) {
                step.scanned_to = step.scanned_to.max(scanned_to);
                step.resumed = step.resumed.saturating_add(1);
                step.touched_at = at;
            }
        }
        (RecordKind::Accepted { .. } | RecordKind::Rejected, _) => drop(open.remove(stream)),
        _ => {}
    }
}
