//! What the cases share.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sidestream::buffer::{
    Answer, Delivery, Destination, DestinationName, DestinationSettings, EventBuffer, Sink,
};
use sidestream::clock::Clock;
use sidestream::feed::{Cursor, Pauses, Selection};
use sidestream::message::RecordedMessage;
use sidestream::partition::PartitionCount;
use sidestream::processor::Processor;
use sidestream::protocol::Atomicity;
use sidestream::{
    AggregateId, Category, CommandHandler, Decider, EventStore, Events, MemoryStore, Message, Position,
    StepName, Topic, TransactionId,
};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::receiver::Receiver;

pub const TOLD: Topic = Topic::new("told");
pub const WHISPERED: Topic = Topic::new("whispered");

/// Tells what it is told to.
pub struct Teller;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Tell {
    pub key: u8,
    pub words: Vec<String>,
}

impl Decider for Teller {
    const CATEGORY: Category = Category::new("teller");
    const TOPICS: &'static [Topic] = &[TOLD, WHISPERED];
    type Command = Tell;
    type Event = u8;
    type Rejection = ();
    type State = u64;
    type Transaction = ();

    fn step(_: &Tell) -> StepName {
        StepName::new("tell")
    }

    fn decide(&self, _: &u64, _: &(), tell: &Tell) -> Result<Events<u8>, ()> {
        let message = |word: &String| {
            let topic = if word.starts_with('(') { WHISPERED } else { TOLD };
            Message::bytes(topic, "text/plain", word.clone()).key(format!("key-{}", tell.key))
        };
        Ok(tell.words.iter().map(message).fold(Events::from(tell.key), Events::with_message))
    }

    fn evolve(count: &mut u64, _: &u8) {
        *count += 1;
    }

    fn settle(_: &mut (), _: &Tell) {}

    fn event_type(_: &u8) -> &'static str {
        "Told"
    }
}

/// A run whose time passes only where everybody waits.
pub fn paused<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.unwrap().block_on(work)
}

pub fn one_partition(clock: Arc<dyn Clock>) -> MemoryStore {
    MemoryStore::with(PartitionCount::new(1).unwrap(), Atomicity::Batch, clock)
}

pub async fn tell(tellers: &CommandHandler<Teller>, number: usize, key: u8, words: &[&str]) {
    let words = words.iter().map(|word| (*word).to_owned()).collect();
    let id = AggregateId::new(format!("t{key}")).unwrap();
    let transaction = TransactionId::derive("tell", &number.to_string());
    assert!(tellers.handle(&id, transaction, Tell { key, words }).await.unwrap().is_accepted());
}

pub fn settings() -> DestinationSettings {
    DestinationSettings {
        attempts: 3,
        timeout_ms: 1_000,
        retry: Pauses { shortest_ms: 5, longest_ms: 50 },
        outage: Pauses { shortest_ms: 20, longest_ms: 200 },
        record_every_ms: 10,
        ..DestinationSettings::default()
    }
}

pub fn name() -> DestinationName {
    DestinationName::new("ears").unwrap()
}

pub fn buffer(store: impl EventStore, receiver: &Receiver, settings: DestinationSettings) -> EventBuffer {
    buffer_to(store, receiver.clone(), settings)
}

pub fn buffer_to(store: impl EventStore, sink: impl Sink, settings: DestinationSettings) -> EventBuffer {
    let ears = Destination::new("ears", sink, [TOLD, WHISPERED]).unwrap().settings(settings).unwrap();
    EventBuffer::new(store).of::<Teller>().to(ears)
}

/// The messages that a store holds, ready to be sent.
pub async fn deliveries(store: &MemoryStore) -> Vec<Delivery> {
    let shared: Arc<dyn EventStore> = Arc::new(store.clone());
    let mut found = Vec::new();
    for partition in store.properties().partitions.all() {
        let mut cursor = Cursor::new(Arc::clone(&shared), partition, Selection::messages(), Position::START);
        for record in cursor.next().await.unwrap().records {
            let message = Arc::new(RecordedMessage::read(&record).unwrap());
            found.push(Delivery { message, source: Arc::from("test"), refusals: 0 });
        }
    }
    found
}

/// What came of each key, as envelopes; each message once, as it came first.
pub fn came_by_key<'a>(envelopes: impl Iterator<Item = &'a [u8]>) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut contents: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for bytes in envelopes {
        let envelope: serde_json::Value = serde_json::from_slice(bytes).unwrap();
        let text = |name: &str| envelope[name].as_str().unwrap().to_owned();
        match contents.entry(text("id")) {
            Entry::Occupied(known) => assert_eq!(known.get(), bytes, "one id, two contents"),
            Entry::Vacant(new) => {
                new.insert(bytes.to_vec());
                let data = STANDARD.decode(text("data_base64")).unwrap();
                found.entry(text("partitionkey")).or_default().push(String::from_utf8(data).unwrap());
            }
        }
    }
    found
}

/// Runs of processors in all partitions; dropped, they die as a process does.
pub struct Runs {
    tasks: JoinSet<sidestream::Result<()>>,
    stop: watch::Sender<bool>,
}

impl Runs {
    pub fn start(buffer: &EventBuffer, partitions: PartitionCount, epoch: u64) -> Self {
        Self::of(&buffer.processors().unwrap(), partitions, epoch)
    }

    pub fn of(processors: &[Arc<dyn Processor>], partitions: PartitionCount, epoch: u64) -> Self {
        let (mut tasks, stop) = (JoinSet::new(), watch::Sender::new(false));
        for processor in processors {
            for partition in partitions.all() {
                tasks.spawn(processor.run(partition, epoch, stop.subscribe()));
            }
        }
        Self { tasks, stop }
    }

    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap().unwrap();
        }
    }

    /// The first run that ends, and how.
    pub async fn ended(&mut self) -> sidestream::Result<()> {
        self.tasks.join_next().await.unwrap().unwrap()
    }
}

/// Waits until it is so; for ever, as the test's own time limit says.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..100_000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it never was so: {what}");
}

/// A sink that counts its tries.
#[derive(Debug, Clone)]
pub struct Counted(Arc<dyn Sink>, Arc<AtomicUsize>);

impl Counted {
    pub fn over(sink: impl Sink) -> Self {
        Self(Arc::new(sink), Arc::default())
    }

    pub fn sent(&self) -> usize {
        self.1.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Sink for Counted {
    async fn send(&self, delivery: &Delivery) -> Answer {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.send(delivery).await
    }
}
