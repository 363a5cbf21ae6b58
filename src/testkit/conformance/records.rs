//! Streams, records and units for the suite, and the store under test with short words for its calls.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use bytes::Bytes;

use super::Fixture;
use crate::event::{AcceptedAt, CodecName, EventType, NewRecord, Record, RecordKind};
use crate::id::{Cause, Fingerprint, StepName, TransactionId};
use crate::partition::PartitionId;
use crate::store::{
    AppendFailure, Atomicity, Committed, EventStore, LogPage, OpenStep, OpenStepsRead, ReadFrom,
    StoreProperties, StreamAppend, StreamPage, StreamRead, Unit, UnitResult,
};
use crate::stream::{AggregateId, Category, ExpectedVersion, Position, StreamName, Version};

/// The category of most streams of the suite.
pub(super) const ACCOUNT: Category = Category::new("account");
/// Another one.
pub(super) const WALLET: Category = Category::new("wallet");
/// The cardinal id of nearly every stream: they share a partition, whatever the number of partitions.
const HOME: &str = "home";

/// Version `number`, shorter.
pub(super) fn v(number: u64) -> Version {
    Version::new(number)
}

/// An aggregate stream in the home partition.
pub(super) fn account(number: usize) -> StreamName {
    ACCOUNT.stream(&AggregateId::new(format!("{HOME}+{number}")).expect("valid"))
}

/// The stream of the messages of that aggregate.
pub(super) fn messages_of(number: usize) -> StreamName {
    ACCOUNT.message_stream(&AggregateId::new(format!("{HOME}+{number}")).expect("valid"))
}

/// The transaction of that number.
pub(super) fn transaction(number: usize) -> TransactionId {
    TransactionId::derive("conformance", &number.to_string())
}

/// A side stream in the home partition.
pub(super) fn side(number: usize) -> StreamName {
    side_in(&ACCOUNT, HOME, number)
}

/// A side stream of another category or cardinal id.
pub(super) fn side_in(category: &Category, cardinal: &str, number: usize) -> StreamName {
    category.side_stream(&AggregateId::new(cardinal).expect("valid"), transaction(number))
}

/// The cause of a step in the transaction of that number.
pub(super) fn cause(number: usize, step: &'static str) -> Cause {
    let fingerprint = Fingerprint::from_bytes([u8::try_from(number % 256).expect("a byte"); 16]);
    Cause { transaction: transaction(number), step: StepName::keyed("step", step), fingerprint }
}

/// A user's event.
pub(super) fn event(payload: impl Into<Bytes>) -> NewRecord {
    event_of("Noted", payload)
}

/// A user's event of some type.
pub(super) fn event_of(event_type: &'static str, payload: impl Into<Bytes>) -> NewRecord {
    NewRecord {
        kind: RecordKind::Event,
        event_type: EventType::new(event_type).expect("valid"),
        schema: 1,
        codec: CodecName::new("json").expect("valid"),
        cause: None,
        requester: None,
        payload: payload.into(),
    }
}

/// `count` events whose payloads tell where they belong.
pub(super) fn events(label: &str, count: usize) -> Vec<NewRecord> {
    (0..count).map(|number| event(format!("{label}/{number}"))).collect()
}

/// A message of a step.
pub(super) fn message(number: usize, index: u32) -> NewRecord {
    let (kind, cause) = (RecordKind::Message { index }, Some(cause(number, "tell")));
    NewRecord { kind, cause, ..event_of("conformance.told", "{}") }
}

/// A framework record.
pub(super) fn framework(kind: RecordKind, cause: Option<Cause>) -> NewRecord {
    let event_type = kind.framework_type().expect("no user's event");
    NewRecord { kind, event_type, cause, ..event("framework") }
}

/// A snapshot.
pub(super) fn snapshot(payload: &'static str) -> NewRecord {
    NewRecord { payload: Bytes::from_static(payload.as_bytes()), ..framework(RecordKind::Snapshot, None) }
}

/// The first record of a step.
pub(super) fn requested(number: usize, step: &'static str, aggregate_version: u64) -> NewRecord {
    framework(RecordKind::Requested { aggregate_version: v(aggregate_version) }, Some(cause(number, step)))
}

/// A step taken over.
pub(super) fn resumed(number: usize, step: &'static str, scanned_to: u64) -> NewRecord {
    framework(RecordKind::Resumed { scanned_to: v(scanned_to) }, Some(cause(number, step)))
}

/// A step accepted.
pub(super) fn accepted(number: usize, step: &'static str, version: u64) -> NewRecord {
    let kind = RecordKind::Accepted { version: v(version), at: AcceptedAt::Back(1) };
    framework(kind, Some(cause(number, step)))
}

/// A step refused.
pub(super) fn rejected(number: usize, step: &'static str) -> NewRecord {
    framework(RecordKind::Rejected, Some(cause(number, step)))
}

/// An append.
pub(super) fn to(
    stream: &StreamName,
    expected: impl Into<ExpectedVersion>,
    records: Vec<NewRecord>,
) -> StreamAppend {
    StreamAppend { stream: stream.clone(), expected: expected.into(), records }
}

/// A unit of one append.
pub(super) fn unit(
    stream: &StreamName,
    expected: impl Into<ExpectedVersion>,
    records: Vec<NewRecord>,
) -> Unit {
    Unit::one(to(stream, expected, records))
}

/// The payloads, in order.
pub(super) fn payloads(records: &[Record]) -> Vec<Bytes> {
    records.iter().map(|record| record.data.payload.clone()).collect()
}

/// Polls a future a few times, with room for others in between, then drops it.
pub(super) async fn poll_some(future: impl Future, times: usize) {
    let mut future = pin!(future);
    for _ in 0..times {
        if future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// The store under test.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    pub(super) store: Arc<dyn EventStore>,
    pub(super) properties: StoreProperties,
    /// The partition of [`account`] and [`side`].
    pub(super) home: PartitionId,
}

impl Subject {
    pub(super) async fn open(fixture: &dyn Fixture) -> Self {
        Self::of(fixture.open().await)
    }

    pub(super) fn of(store: Arc<dyn EventStore>) -> Self {
        let properties = store.properties();
        let home = properties.partitions.of(HOME);
        Self { store, properties, home }
    }

    /// Closes the store and opens it again.
    pub(super) async fn reopen(self, fixture: &dyn Fixture) -> Self {
        drop(self);
        Self::open(fixture).await
    }

    /// Whether a unit may write to several streams; `test` is skipped where not.
    pub(super) fn is_batch(&self, test: &str) -> bool {
        let is_batch = self.properties.atomicity == Atomicity::Batch;
        if !is_batch {
            super::skip(test, "the store is atomic per stream only");
        }
        is_batch
    }

    /// A cardinal id that lives in another partition, where there is one.
    pub(super) fn elsewhere(&self) -> Option<String> {
        let mut ids = (0..64 * usize::from(self.properties.partitions.get())).map(|n| format!("away{n}"));
        ids.find(|id| self.properties.partitions.of(id) != self.home)
    }

    pub(super) async fn append(&self, units: Vec<Unit>) -> Vec<UnitResult> {
        let count = units.len();
        let results = self.store.append(self.home, units).await;
        assert_eq!(results.len(), count, "each unit has one answer");
        results
    }

    pub(super) async fn append_one(&self, unit: Unit) -> UnitResult {
        self.append(vec![unit]).await.remove(0)
    }

    /// Appends a unit that must be committed.
    pub(super) async fn commit(&self, unit: Unit) -> Committed {
        self.append_one(unit).await.unwrap_or_else(|failure| panic!("expected a commit: {failure}"))
    }

    /// One page of a stream.
    pub(super) async fn page(&self, stream: &StreamName, from: ReadFrom, limit: usize) -> StreamPage {
        let read = StreamRead { stream: stream.clone(), from, limit };
        let mut pages = self.store.read_streams(vec![read]).await;
        assert_eq!(pages.len(), 1, "each read has one answer");
        pages.remove(0).unwrap_or_else(|error| panic!("reading {stream}: {error}"))
    }

    /// All records of a stream, page by page.
    pub(super) async fn stream(&self, stream: &StreamName) -> Vec<Record> {
        let mut records: Vec<Record> = Vec::new();
        loop {
            let after = records.last().map_or(Version::EMPTY, |last| last.version);
            let page = self.page(stream, ReadFrom::After(after), usize::MAX).await;
            let more = page.has_more();
            records.extend(page.records);
            if !more {
                return records;
            }
        }
    }

    pub(super) async fn head(&self, stream: &StreamName) -> Version {
        self.page(stream, ReadFrom::After(Version::EMPTY), 1).await.head
    }

    pub(super) async fn log_page(&self, after: Position, limit: usize) -> LogPage {
        self.store.read_log(self.home, after, limit).await.expect("the log")
    }

    /// All records of the home partition's log, page by page.
    pub(super) async fn log(&self) -> Vec<Record> {
        let (mut records, mut after) = (Vec::new(), Position::START);
        loop {
            let page = self.log_page(after, usize::MAX).await;
            records.extend(page.records);
            if page.read_to >= page.head {
                return records;
            }
            assert!(page.read_to > after, "the log does not move on after {after}");
            after = page.read_to;
        }
    }

    /// The open steps of the accounts in the home partition, of any age.
    pub(super) async fn open_steps(&self) -> Vec<OpenStep> {
        self.store.open_steps(self.open_steps_read()).await.expect("open steps")
    }

    pub(super) fn open_steps_read(&self) -> OpenStepsRead {
        OpenStepsRead {
            partition: self.home,
            category: ACCOUNT.side().as_str().to_owned(),
            older_than: Duration::ZERO,
            after: None,
            limit: usize::MAX,
        }
    }
}

/// Demands `WrongVersion` with these numbers.
pub(super) fn assert_wrong_version(result: &UnitResult, at: &StreamName, demand: ExpectedVersion, head: u64) {
    match result {
        Err(AppendFailure::WrongVersion { stream, expected, found }) => {
            assert_eq!((stream, *expected, *found), (at, demand, v(head)));
        }
        other => panic!("expected WrongVersion on {at} at {head}, found {other:?}"),
    }
}

/// Demands `Superseded` by one of these streams.
pub(super) fn assert_superseded(result: &UnitResult, by: &[&StreamName]) {
    match result {
        Err(AppendFailure::Superseded { stream }) => assert!(by.contains(&stream), "{stream} has not failed"),
        other => panic!("expected Superseded, found {other:?}"),
    }
}

/// Demands a refusal as `Invalid`.
pub(super) fn assert_invalid(result: &UnitResult, what: &str) {
    match result {
        Err(AppendFailure::Refused(error)) => {
            assert_eq!(error.kind(), crate::ErrorKind::Invalid, "{what}: {error}");
        }
        other => panic!("{what}: expected a refusal as invalid, found {other:?}"),
    }
}
