//! A service with a projection and a destination that cannot take everything, over a store of the test's own.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use sidestream::buffer::{Answer, Delivery, Destination, DestinationSettings, EventBuffer, Sink};
use sidestream::feed::Pauses;
use sidestream::projection::{Daemon, Event, Failure, MemoryView, Projection, Settings};
use sidestream::store::EventStore;
use sidestream::{
    AggregateId, Category, CommandHandler, Decider, Events, Message, StepName, Topic, TransactionId,
};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::program::Run;

const BOOKED: Topic = Topic::new("booked");

/// Books amounts, and tells of each.
pub struct Booker;

impl Decider for Booker {
    const CATEGORY: Category = Category::new("book");
    const TOPICS: &'static [Topic] = &[BOOKED];
    type Command = i64;
    type Event = i64;
    type Rejection = ();
    type State = i64;
    type Transaction = ();

    fn step(_: &i64) -> StepName {
        StepName::new("book")
    }

    fn decide(&self, _: &i64, _: &(), amount: &i64) -> Result<Events<i64>, ()> {
        let message = Message::bytes(BOOKED, "text/plain", amount.to_string());
        Ok(Events::from(*amount).with_message(message.key("books")))
    }

    fn evolve(sum: &mut i64, amount: &i64) {
        *sum += amount;
    }

    fn settle(_: &mut (), _: &i64) {}

    fn event_type(_: &i64) -> &'static str {
        "Booked"
    }
}

/// Amounts that neither the projection nor the destination takes.
#[derive(Debug, Clone)]
pub struct Bad(Arc<Mutex<BTreeSet<i64>>>);

impl Bad {
    pub fn new(amounts: &[i64]) -> Self {
        Self(Arc::new(Mutex::new(amounts.iter().copied().collect())))
    }

    pub fn mend(&self, amount: i64) {
        self.0.lock().unwrap().remove(&amount);
    }

    fn has(&self, amount: i64) -> bool {
        self.0.lock().unwrap().contains(&amount)
    }
}

/// The sum of a partition's amounts, in a place that the program cannot see.
pub struct Sums(pub Bad);

impl Projection<i64> for Sums {
    const NAME: &'static str = "sums";

    async fn apply(&self, sum: &mut i64, event: &Event<'_>) -> Result<(), Failure> {
        let amount = event.decode::<Booker>()?;
        if self.0.has(amount) {
            return Err(format!("{amount} cannot be summed").into());
        }
        *sum += amount;
        Ok(())
    }
}

#[derive(Debug)]
struct Ledger(Bad);

#[async_trait]
impl Sink for Ledger {
    async fn send(&self, delivery: &Delivery) -> Answer {
        let amount = std::str::from_utf8(&delivery.message.data).unwrap().parse().unwrap();
        if self.0.has(amount) { Answer::refused(format!("{amount} is not taken")) } else { Answer::Taken }
    }
}

/// The runners and publishers of a process.
pub struct Service {
    daemon: Daemon,
    stop: watch::Sender<bool>,
    publishers: JoinSet<()>,
}

impl Service {
    /// The view outlives it, as a view in a file would.
    pub fn start(store: &Arc<dyn EventStore>, bad: &Bad, view: &MemoryView<i64>) -> Self {
        let pauses = Pauses { shortest_ms: 1, longest_ms: 20 };
        let settings = Settings { attempts: 2, retry: pauses, polling: pauses, ..Settings::default() };
        let daemon = Daemon::builder(Arc::clone(store)).settings(settings);
        let daemon = daemon.project(Sums(bad.clone()), view.clone()).start().unwrap();
        let settings = DestinationSettings { attempts: 2, retry: pauses, ..DestinationSettings::default() };
        let ledger = Destination::new("ledger", Ledger(bad.clone()), [BOOKED]).unwrap();
        let ledger = ledger.settings(settings).unwrap();
        let buffer = EventBuffer::new(Arc::clone(store)).of::<Booker>().to(ledger);
        let (stop, mut publishers) = (watch::Sender::new(false), JoinSet::new());
        for processor in buffer.processors().unwrap() {
            for partition in store.properties().partitions.all() {
                let run = processor.run(partition, 1, stop.subscribe());
                publishers.spawn(async move { drop(run.await) });
            }
        }
        Self { daemon, stop, publishers }
    }

    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        while self.publishers.join_next().await.is_some() {}
        self.daemon.shutdown().await;
    }
}

/// Books amounts into an account.
pub async fn book(store: &Arc<dyn EventStore>, account: &str, amounts: &[i64]) {
    let books = CommandHandler::new(Arc::clone(store), Booker);
    let id = AggregateId::new(account).unwrap();
    for amount in amounts {
        let transaction = TransactionId::derive("book", &format!("{account} {amount}"));
        assert!(books.handle(&id, transaction, *amount).await.unwrap().is_accepted());
    }
}

/// A run of the program, beside what goes on here.
pub async fn program(arguments: &[&str]) -> Run {
    let arguments: Vec<_> = arguments.iter().map(|&argument| argument.to_owned()).collect();
    let run = tokio::task::spawn_blocking(move || {
        let folder = TempDir::new().unwrap();
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        Run::of(Path::new(folder.path()), &arguments)
    });
    run.await.unwrap()
}

pub async fn list(url: &str) -> Value {
    program(&["parked", "list", "--json", "--store", url]).await.json()
}

/// The list, once it is so; a minute is for ever.
pub async fn until(url: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let found = async {
        loop {
            let found = list(url).await;
            if is_so(&found) {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), found).await.expect("it comes to be so")
}

/// How many aggregates and messages a list has.
pub fn counts(list: &Value) -> (usize, usize) {
    (list["aggregates"].as_array().unwrap().len(), list["messages"].as_array().unwrap().len())
}
