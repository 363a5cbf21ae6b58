//! What the cases share: logs of deposits, and runners over them.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use sidestream::clock::SystemClock;
use sidestream::event::{CodecName, EventType, NewRecord, RecordKind};
use sidestream::feed::Pauses;
use sidestream::partition::{PartitionCount, PartitionId};
use sidestream::projection::{
    Definition, Place, Projection, ProjectionId, Requests, Runner, Settings, State, Status, View,
};
use sidestream::protocol::Atomicity;
use sidestream::store::memory::MemoryStore;
use sidestream::store::{EventStore, StreamAppend, Unit};
use sidestream::stream::{ExpectedVersion, Position, StreamName};
use sidestream::testkit::faults::FaultyStore;
use sidestream::{AggregateId, Category, Codecs, ErrorKind};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::journal::{Entry, Journal};
use crate::rules::Event;

pub const ACCOUNT: Category = Category::new("account");
pub const ONE: PartitionId = PartitionId::new(0);

/// A store in memory.
pub fn memory(partitions: u16) -> MemoryStore {
    let count = PartitionCount::new(partitions).unwrap();
    MemoryStore::with(count, Atomicity::Batch, Arc::new(SystemClock))
}

pub fn id(name: &str) -> AggregateId {
    AggregateId::new(name).unwrap()
}

pub fn account(name: &str) -> StreamName {
    ACCOUNT.stream(&id(name))
}

pub fn deposit(minor: i64) -> NewRecord {
    let (codec, payload) = Codecs::json().encode(&Event::Deposited { minor }).unwrap();
    record("Deposited", codec, payload)
}

pub fn record(event_type: &'static str, codec: CodecName, payload: Bytes) -> NewRecord {
    NewRecord {
        kind: RecordKind::Event,
        event_type: EventType::new(event_type).unwrap(),
        schema: 1,
        codec,
        cause: None,
        requester: None,
        payload,
    }
}

/// Appends records to a stream.
pub async fn append(store: &dyn EventStore, stream: &StreamName, records: Vec<NewRecord>) -> Position {
    let partition = store.properties().partitions.of(stream.cardinal());
    let append = StreamAppend { stream: stream.clone(), expected: ExpectedVersion::Any, records };
    store.append(partition, vec![Unit::one(append)]).await.remove(0).expect("appended").first
}

/// Deposits into an account, one commit each.
pub async fn pay(store: &dyn EventStore, name: &str, amounts: &[i64]) {
    for minor in amounts {
        append(store, &account(name), vec![deposit(*minor)]).await;
    }
}

/// The whole log of a partition, as a projection should see it.
pub async fn fold(store: &dyn EventStore, partition: PartitionId) -> Vec<Entry> {
    let (mut entries, mut after) = (Vec::new(), Position::START);
    loop {
        let page = store.read_log(partition, after, 100).await.expect("readable");
        let events = page.records.iter().filter(|record| record.data.kind == RecordKind::Event);
        entries.extend(events.map(Entry::of_record));
        if page.read_to >= page.head {
            return entries;
        }
        after = page.read_to;
    }
}

/// Settings without long pauses.
pub fn hurried() -> Settings {
    let pauses = Pauses { shortest_ms: 1, longest_ms: 5 };
    Settings { attempts: 3, retry: pauses, outage: pauses, polling: pauses, ..Settings::default() }
}

/// A runner on its own task.
pub struct Running {
    pub status: watch::Receiver<Status>,
    pub stop: watch::Sender<bool>,
    pub requests: Requests,
    pub task: JoinHandle<sidestream::Result<()>>,
}

pub fn runner<V: View + Clone>(
    store: Arc<dyn EventStore>,
    partition: PartitionId,
    rules: impl Projection<V::Rows>,
    view: &V,
    epoch: u64,
) -> (Runner<V>, watch::Sender<bool>, Requests) {
    let (requests, receiver) = Requests::channel();
    let stop = watch::Sender::new(false);
    let definition = Definition::of(rules).unwrap();
    let rules = (definition, Arc::new(view.clone()));
    let runner =
        Runner::new((store, partition), rules, epoch, receiver, stop.subscribe()).settings(hurried());
    (runner, stop, requests)
}

pub fn start<V: View + Clone>(
    store: Arc<dyn EventStore>,
    rules: impl Projection<V::Rows>,
    view: &V,
    epoch: u64,
    settings: Settings,
) -> Running {
    let (runner, stop, requests) = runner(store, ONE, rules, view, epoch);
    let mut runner = runner.settings(settings);
    let status = runner.status();
    let task = tokio::spawn(async move { runner.run().await });
    Running { status, stop, requests, task }
}

/// A partition of two payments, and a runner that has applied both.
pub async fn two_paid<V: View + Clone>(view: &V) -> (Arc<dyn EventStore>, Running)
where
    Journal: Projection<V::Rows>,
{
    let store: Arc<dyn EventStore> = Arc::new(memory(1));
    pay(&*store, "1", &[1, 2]).await;
    let mut live = start(Arc::clone(&store), Journal::default(), view, 1, hurried());
    live.until_caught_up_at(2).await;
    (store, live)
}

pub async fn belongs_to_one_store<V: View + Clone>(view: V)
where
    Journal: Projection<V::Rows>,
{
    let (one, other): (Arc<dyn EventStore>, Arc<dyn EventStore>) = (Arc::new(memory(1)), Arc::new(memory(1)));
    pay(&*one, "1", &[1]).await;
    let mut running = start(one, Journal::default(), &view, 1, hurried());
    running.until_caught_up_at(1).await;
    running.stop().await.unwrap();
    let running = start(other, Journal::default(), &view, 2, hurried());
    let error = in_time("its end", running.task).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("follows another store"), "{error}");
}

impl Running {
    /// Returns once its status is so; a minute is for ever.
    pub async fn until(&mut self, what: &str, is_so: impl FnMut(&Status) -> bool) -> Status {
        let found = in_time(what, self.status.wait_for(is_so)).await;
        found.expect("a runner").clone()
    }

    pub async fn until_caught_up_at(&mut self, head: u64) -> Status {
        let at = Position::new(head);
        self.until("caught up", |s| s.checkpoint == Some(at) && matches!(s.state, State::CaughtUp)).await
    }

    /// Stops it and waits for its end.
    pub async fn stop(self) -> sidestream::Result<()> {
        self.stop.send_replace(true);
        in_time("the end of a runner", self.task).await.expect("no panic")
    }
}

/// Waits for something that must come; a minute is for ever.
pub async fn in_time<T>(what: &str, work: impl Future<Output = T>) -> T {
    let limit = Duration::from_secs(60);
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| panic!("{what} does not come"))
}

/// One life of a process: until the work is done, the process dies, or was polled so often. Then it is dropped where it
/// stands, and there is no answer.
pub async fn one_life<T>(
    process: &FaultyStore,
    work: impl Future<Output = T>,
    polls: Option<u32>,
) -> Option<T> {
    let mut work = pin!(process.until_crash(work));
    let mut left = polls;
    let done = poll_fn(|context| {
        if left == Some(0) {
            return Poll::Ready(None);
        }
        left = left.map(|left| left - 1);
        work.as_mut().poll(context)
    });
    in_time("the end of a life", done).await
}

pub fn place(store: &dyn EventStore, partition: PartitionId) -> Place {
    let projection = ProjectionId::new(<Journal as Projection<Vec<Entry>>>::NAME, 1).unwrap();
    Place { projection, store: store.properties().id, partition }
}
