//! The service: commands whose decisions send messages, and the buffer that publishes them.

use std::io::BufRead;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use sidestream::buffer::{
    Answer, BacklogWatch, Delivery, Destination, DestinationSettings, EventBuffer, FileSink, HttpSettings,
    HttpSink, NatsSettings, NatsSink, SigningSecret, Sink,
};
use sidestream::cluster::ClusterSettings;
use sidestream::feed::Pauses;
use sidestream::lease::LeaseTimes;
use sidestream::runtime::{Runtime, RuntimeSettings};
use sidestream::{AggregateId, CommandHandler, ErrorKind, EventStore, SqliteStore, TransactionId};
use tokio::sync::{OnceCell, mpsc, watch};
use tokio::task::JoinSet;

use crate::Failure;
use crate::nats_server::STREAM;
use crate::options::{Options, Place, SinkChoice};
use crate::rules::{Account, PAID, Pay};

/// Commands that are handled at once.
const AT_ONCE: u64 = 1_024;
/// How often the service tells how it is doing.
const TELLS: Duration = Duration::from_millis(100);

/// What a service tells.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Told {
    /// Commands up to this number are done.
    Done(u64),
    /// The backlog, the commands that were done before it was looked at, and the memory in KiB.
    Backlog { depth: u64, oldest_ms: u64, done: u64, rss_kib: u64 },
    /// A message, in a channel.
    Came(String),
}

/// Where it tells it.
#[derive(Debug, Clone)]
pub(crate) enum Tell {
    Stdout,
    Channel(mpsc::UnboundedSender<Told>),
}

impl Tell {
    fn tell(&self, told: Told) {
        match self {
            Self::Stdout => println!("{}", serde_json::to_string(&told).unwrap_or_default()),
            Self::Channel(sender) => drop(sender.send(told)),
        }
    }
}

/// Tells of each message, and takes it: what a channel in the same process comes to.
#[derive(Debug)]
struct TellSink(Tell);

#[async_trait]
impl Sink for TellSink {
    async fn send(&self, delivery: &Delivery) -> Answer {
        match delivery.cloud_event().map(String::from_utf8) {
            Ok(Ok(envelope)) => self.0.tell(Told::Came(envelope)),
            other => return Answer::refused(format!("{other:?}")),
        }
        Answer::Taken
    }
}

/// The service as a process: it handles commands up to the number that standard input says, until that ends.
pub(crate) async fn until_told(options: &Options, address: &str) -> Result<(), Failure> {
    let Some(Place::Sqlite(path)) = &options.store else { return Err("a service needs a store".into()) };
    let store = SqliteStore::open(path)?;
    let until = watch::Sender::new(Some(options.from));
    let told = until.subscribe();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            until.send_replace(line.trim().parse().ok());
        }
        until.send_replace(None);
    });
    serve(options, Arc::new(store.clone()), address, (Tell::Stdout, told)).await?;
    Ok(store.close().await?)
}

/// Handles and publishes until it is told `None`.
pub(crate) async fn serve(
    options: &Options,
    store: Arc<dyn EventStore>,
    address: &str,
    (tell, mut until): (Tell, watch::Receiver<Option<u64>>),
) -> Result<(), Failure> {
    let destination = destination(options.sink, address, &tell).await?;
    let buffer = EventBuffer::new(Arc::clone(&store)).of::<Account>().to(destination);
    let lease = LeaseTimes { ttl: Duration::from_secs(1), margin: Duration::from_millis(100) };
    let cluster = ClusterSettings { lease, ..ClusterSettings::default() };
    let settings = RuntimeSettings { cluster, ..RuntimeSettings::default() };
    let accounts = CommandHandler::new(Arc::clone(&store), Account);
    let mut service = Runtime::builder(store).settings(settings).recover(accounts.clone());
    for processor in buffer.processors()? {
        service = service.processor(processor);
    }
    let service = service.start()?;
    let backlog = BacklogWatch::start(&buffer, TELLS)?;
    let done = watch::Sender::new(options.from);
    // Ends with this function, however that ends.
    let mut telling = JoinSet::new();
    telling.spawn(tell_all(tell, backlog, done.subscribe()));
    let worked = handle(&accounts, options.accounts, &done, &mut until).await;
    telling.shutdown().await;
    service.shutdown().await;
    worked
}

async fn destination(sink: SinkChoice, address: &str, tell: &Tell) -> Result<Destination, Failure> {
    let sink: Arc<dyn Sink> = match sink {
        SinkChoice::Http => {
            let settings = HttpSettings { timeout_ms: 1_000, ..HttpSettings::default() };
            let secret = SigningSecret::new("whsec_ZGVsaXZlcmllcyBhcmUgYW4gZXhhbXBsZQ==")?;
            Arc::new(HttpSink::new(address, settings)?.signed(secret))
        }
        SinkChoice::Nats => Arc::new(LateNats { address: address.to_owned(), sink: OnceCell::new() }),
        SinkChoice::Channel => Arc::new(TellSink(tell.clone())),
        SinkChoice::File => Arc::new(file(address).await?),
    };
    let outage = Pauses { shortest_ms: 50, longest_ms: 1_000 };
    let settings = DestinationSettings { outage, timeout_ms: 5_000, ..DestinationSettings::default() };
    Ok(Destination::new("receiver", sink, [PAID])?.source("urn:example:accounts")?.settings(settings)?)
}

/// A file is this process's own once the last service has let go of it.
async fn file(path: &str) -> Result<FileSink, Failure> {
    loop {
        match FileSink::open(path) {
            Err(error) if error.kind() == ErrorKind::Fenced => tokio::time::sleep(TELLS).await,
            opened => return Ok(opened?),
        }
    }
}

/// A NATS sink that connects when there is something to send: a service starts while the server is down.
#[derive(Debug)]
struct LateNats {
    address: String,
    sink: OnceCell<NatsSink>,
}

#[async_trait]
impl Sink for LateNats {
    async fn send(&self, delivery: &Delivery) -> Answer {
        let settings =
            NatsSettings { stream: STREAM.to_owned(), prefix: "bank.".to_owned(), ..NatsSettings::default() };
        match self.sink.get_or_try_init(|| NatsSink::connect(&self.address, settings)).await {
            Ok(sink) => sink.send(delivery).await,
            Err(error) => Answer::later(error),
        }
    }
}

/// Handles commands, as many as it is told to.
async fn handle(
    accounts: &CommandHandler<Account>,
    count: u64,
    done: &watch::Sender<u64>,
    until: &mut watch::Receiver<Option<u64>>,
) -> Result<(), Failure> {
    loop {
        let Some(end) = *until.borrow_and_update() else { return Ok(()) };
        let from = *done.borrow();
        if from >= end {
            until.changed().await?;
            continue;
        }
        let to = end.min(from + AT_ONCE);
        let mut tasks = JoinSet::new();
        for number in from..to {
            let accounts = accounts.clone();
            let id = AggregateId::new(format!("{}", number % count))?;
            let transaction = TransactionId::derive("payment", &number.to_string());
            tasks.spawn(async move { accounts.handle(&id, transaction, Pay { number }).await });
        }
        while let Some(handled) = tasks.join_next().await {
            handled??;
        }
        done.send_replace(to);
    }
}

async fn tell_all(tell: Tell, backlog: BacklogWatch, done: watch::Receiver<u64>) {
    loop {
        let before = *done.borrow();
        tell.tell(Told::Done(before));
        // What is looked at from now on knows of these.
        tokio::time::sleep(TELLS).await;
        if let Ok(figures) = backlog.figures()
            && let Some(figure) = figures.first()
        {
            let oldest = figure.oldest.unwrap_or_default().as_millis();
            tell.tell(Told::Backlog {
                depth: figure.depth,
                oldest_ms: u64::try_from(oldest).unwrap_or(u64::MAX),
                done: before,
                rss_kib: rss_kib().unwrap_or(0),
            });
        }
    }
}

/// The memory that this process has, as Linux tells it.
fn rss_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
