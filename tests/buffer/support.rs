//! What the cases share.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sidestream::buffer::{Destination, DestinationName, DestinationSettings, EventBuffer};
use sidestream::clock::Clock;
use sidestream::feed::Pauses;
use sidestream::partition::PartitionCount;
use sidestream::processor::Processor;
use sidestream::protocol::Atomicity;
use sidestream::{
    AggregateId, Category, CommandHandler, Decider, EventStore, Events, MemoryStore, Message, StepName,
    Topic, TransactionId,
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
    let ears =
        Destination::new("ears", receiver.clone(), [TOLD, WHISPERED]).unwrap().settings(settings).unwrap();
    EventBuffer::new(store).of::<Teller>().to(ears)
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
