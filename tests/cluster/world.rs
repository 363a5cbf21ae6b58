//! A store, its clock, and workers that come, go, die and stand still, in simulated time.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use sidestream::clock::Clock;
use sidestream::cluster::{Assignment, ClusterSettings, ClusterStatus, Worker};
use sidestream::event::{CodecName, EventType, NewRecord, RecordKind};
use sidestream::lease::LeaseTimes;
use sidestream::partition::{PartitionCount, PartitionId};
use sidestream::processor::{Processor, ProcessorId};
use sidestream::protocol::Atomicity;
use sidestream::store::memory::MemoryStore;
use sidestream::store::{EventStore, StreamAppend, Unit};
use sidestream::stream::ExpectedVersion;
use sidestream::testkit::faults::{FaultyStore, Script};
use sidestream::{AggregateId, Category, Timestamp};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use uuid::Uuid;

use crate::book::{Book, Scribe};
use crate::dice::Dice;

pub const TTL: Duration = Duration::from_secs(10);

/// A clock that goes with the runtime's simulated time, and so much apart from it.
#[derive(Debug)]
pub struct SimulatedClock {
    start: Instant,
    apart: AtomicI64,
    ids: Arc<AtomicU64>,
}

impl SimulatedClock {
    fn new(apart: i64, ids: Arc<AtomicU64>) -> Self {
        Self { start: Instant::now(), apart: AtomicI64::new(apart), ids }
    }

    pub fn jump(&self, micros: i64) {
        self.apart.fetch_add(micros, Ordering::Relaxed);
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        let passed = i64::try_from(self.start.elapsed().as_micros()).unwrap();
        Timestamp::from_micros(1_900_000_000_000_000 + passed + self.apart.load(Ordering::Relaxed))
    }

    fn new_id(&self) -> Uuid {
        Uuid::from_u128(u128::from(self.ids.fetch_add(1, Ordering::Relaxed)) + 1)
    }
}

/// A worker in a process of its own, so to say.
pub struct Node {
    pub name: String,
    pub processors: BTreeSet<u8>,
    pub status: watch::Receiver<ClusterStatus>,
    pub store: FaultyStore,
    frozen: watch::Sender<bool>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Node {
    pub fn freeze(&self, is_frozen: bool) {
        self.frozen.send_replace(is_frozen);
    }

    /// As `kill -9` does.
    pub fn kill(self) {
        self.task.abort();
    }

    pub async fn leave(self) {
        self.freeze(false);
        self.stop.send_replace(true);
        self.task.await.expect("no panic");
    }
}

pub struct World {
    pub store: Arc<MemoryStore>,
    pub clock: Arc<SimulatedClock>,
    pub book: Arc<Book>,
    pub dice: Arc<Dice>,
    pub nodes: Vec<Node>,
    ids: Arc<AtomicU64>,
    joined: u64,
    processors: u8,
}

pub fn processor(number: u8) -> ProcessorId {
    ProcessorId::new(format!("scribe{number} v1")).unwrap()
}

impl World {
    pub fn new(seed: u64, partitions: u16, processors: u8, may_overlap: bool) -> Self {
        let ids = Arc::new(AtomicU64::new(0));
        let clock = Arc::new(SimulatedClock::new(0, Arc::clone(&ids)));
        let count = PartitionCount::new(partitions).unwrap();
        let store = MemoryStore::with(count, Atomicity::Batch, Arc::clone(&clock) as Arc<dyn Clock>);
        let (store, dice) = (Arc::new(store), Arc::new(Dice::new(seed)));
        let book = Arc::new(Book::new(may_overlap));
        Self { store, clock, book, dice, nodes: Vec::new(), ids, joined: 0, processors }
    }

    /// A worker joins, with the code of these processors, a clock up to an hour wrong, and faults on its way to the store.
    pub fn join(&mut self, processors: BTreeSet<u8>, script: Script, most: Option<usize>) {
        self.joined += 1;
        let name = format!("w{}", self.joined);
        let store = FaultyStore::new(Arc::clone(&self.store) as Arc<dyn EventStore>, script);
        let shared: Arc<dyn EventStore> = Arc::new(store.clone());
        let (frozen, stop) = (watch::Sender::new(false), watch::Sender::new(false));
        let scribe = |number: &u8| {
            Arc::new(Scribe {
                id: processor(*number),
                who: name.clone(),
                book: Arc::clone(&self.book),
                store: Arc::clone(&shared),
                dice: Arc::clone(&self.dice),
                frozen: frozen.subscribe(),
            }) as Arc<dyn Processor>
        };
        let scribes = processors.iter().map(scribe).collect();
        let hour = 3_600_000_000;
        let apart = i64::try_from(self.dice.below(2 * hour)).unwrap() - i64::try_from(hour).unwrap();
        let clock = SimulatedClock::new(apart, Arc::clone(&self.ids));
        let lease = LeaseTimes { ttl: TTL, margin: Duration::from_secs(1) };
        let settings = ClusterSettings { name: name.clone(), lease, most_partitions: most };
        let worker = Worker::new(shared, scribes, settings, &clock).unwrap();
        let status = worker.status();
        let task = tokio::spawn(freezable(worker.run(stop.subscribe()), frozen.subscribe()));
        self.nodes.push(Node { name, processors, status, store, frozen, stop, task });
    }

    pub fn join_well(&mut self) {
        self.join((0..self.processors).collect(), Script::new(), None);
    }

    pub fn assignments(&self) -> Vec<Assignment> {
        let all = |number| {
            let of = move |partition| Assignment { processor: processor(number), partition };
            self.store.properties().partitions.all().map(of)
        };
        (0..self.processors).flat_map(all).collect()
    }

    /// Events of some accounts.
    pub async fn write(&self, events: u64) {
        for _ in 0..events {
            let id = AggregateId::new(self.dice.below(50).to_string()).unwrap();
            let stream = Category::new("account").stream(&id);
            let partition = self.store.properties().partitions.of(stream.cardinal());
            let append = StreamAppend { stream, expected: ExpectedVersion::Any, records: vec![event()] };
            self.store.append(partition, vec![Unit::one(append)]).await.remove(0).unwrap();
        }
    }

    /// How many partitions of a processor each worker runs.
    pub fn spread(&self, number: u8) -> BTreeMap<String, usize> {
        let able = self.nodes.iter().filter(|node| node.processors.contains(&number));
        let mut counts: BTreeMap<_, _> = able.map(|node| (node.name.clone(), 0)).collect();
        for assignment in self.assignments().iter().filter(|a| a.processor == processor(number)) {
            if let Some(who) = self.book.running(assignment) {
                *counts.entry(who).or_default() += 1;
            }
        }
        counts
    }

    /// Whether each processor that somebody has the code of runs in each partition, evenly.
    pub fn is_even(&self) -> bool {
        let partitions = usize::from(self.store.properties().partitions.get());
        (0..self.processors).all(|number| {
            let able = self.nodes.iter().filter(|node| node.processors.contains(&number)).count();
            let counts: Vec<_> = self.spread(number).into_values().collect();
            let (most, least) = (counts.iter().max().unwrap_or(&0), counts.iter().min().unwrap_or(&0));
            able == 0
                || (counts.len() == able && counts.iter().sum::<usize>() == partitions && most - least <= 1)
        })
    }

    /// Waits until it is so, and says for how long; `None` when it was not within the limit.
    pub async fn until(&self, limit: Duration, is_so: impl Fn(&Self) -> bool) -> Option<Duration> {
        let start = Instant::now();
        while !is_so(self) {
            if start.elapsed() > limit {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Some(start.elapsed())
    }

    /// All views become what their logs say.
    pub async fn assert_complete(&self) {
        for assignment in self.assignments() {
            let mut tries = 0;
            while !self.book.is_complete(&*self.store, &assignment).await {
                tries += 1;
                assert!(tries < 3_000, "{assignment:?} does not catch up");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn event() -> NewRecord {
    NewRecord {
        kind: RecordKind::Event,
        event_type: EventType::new("Deposited").unwrap(),
        schema: 1,
        codec: CodecName::new("json").unwrap(),
        cause: None,
        requester: None,
        payload: Bytes::from_static(b"1"),
    }
}

/// Drives a future while the process is not stopped.
async fn freezable(work: impl Future<Output = ()>, mut frozen: watch::Receiver<bool>) {
    let mut work = pin!(work);
    let mut again = frozen.clone();
    loop {
        frozen.wait_for(|frozen| !frozen).await.map(drop).ok();
        let stops = async { again.wait_for(|frozen| *frozen).await.map(drop).is_err() };
        tokio::select! {
            biased;
            is_over = stops => if is_over { return },
            () = &mut work => return,
        }
    }
}

/// Runs a test in simulated time.
pub fn simulate<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap().block_on(test)
}

pub const ZERO: PartitionId = PartitionId::new(0);
