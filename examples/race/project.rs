//! The projection: it writes down what it sees, in the order in which it sees it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sidestream::EventStore;
use sidestream::clock::{Clock, SystemClock, Timestamp, sleep};
use sidestream::feed::Pauses;
use sidestream::partition::PartitionId;
use sidestream::projection::postgres::tokio_postgres::types::Type;
use sidestream::projection::{
    Daemon, Event, Failure as Refusal, PostgresRows, Projection, Settings, SqliteRows, State,
};
use sidestream::stream::Position;

use crate::Failure;
use crate::arguments::Arguments;
use crate::place::{Place, Views, heads, sum};
use crate::write;

/// What was applied, and is not known to be committed.
type Applied = Arc<Mutex<Vec<(PartitionId, Position, Timestamp)>>>;

/// Writes down partition, position, stream and version of each event.
struct Seen(Applied);

impl Seen {
    fn note(&self, event: &Event<'_>) {
        let mut applied = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        applied.push((event.partition(), event.position(), event.recorded_at()));
    }
}

impl Projection<SqliteRows> for Seen {
    const NAME: &'static str = "race";

    async fn prepare(&self, rows: &mut SqliteRows) -> Result<(), Refusal> {
        Ok(rows.execute_all(
            "CREATE TABLE IF NOT EXISTS race (number INTEGER PRIMARY KEY, partition INTEGER, position INTEGER, \
             stream TEXT, version INTEGER)",
        )?)
    }

    async fn apply(&self, rows: &mut SqliteRows, event: &Event<'_>) -> Result<(), Refusal> {
        let (position, version) = (event.position().get().cast_signed(), event.version().get().cast_signed());
        rows.execute(
            "INSERT INTO race (partition, position, stream, version) VALUES (?1, ?2, ?3, ?4)",
            (event.partition().get(), position, event.stream().as_str(), version),
        )?;
        self.note(event);
        Ok(())
    }
}

impl Projection<PostgresRows> for Seen {
    const NAME: &'static str = "race";

    async fn prepare(&self, rows: &mut PostgresRows) -> Result<(), Refusal> {
        Ok(rows
            .execute_all(&[
                "CREATE TABLE IF NOT EXISTS race (number int8 GENERATED ALWAYS AS IDENTITY, partition int4, \
                 position int8, stream text, version int8)",
            ])
            .await?)
    }

    async fn apply(&self, rows: &mut PostgresRows, event: &Event<'_>) -> Result<(), Refusal> {
        let partition = i32::from(event.partition().get());
        let (position, version) = (event.position().get().cast_signed(), event.version().get().cast_signed());
        // Nothing has to be known of its answer here: it is heard before the commit.
        rows.send(
            "INSERT INTO race (partition, position, stream, version) VALUES ($1, $2, $3, $4)",
            vec![
                (Box::new(partition), Type::INT4),
                (Box::new(position), Type::INT8),
                (Box::new(event.stream().to_string()), Type::TEXT),
                (Box::new(version), Type::INT8),
            ],
        )
        .await?;
        self.note(event);
        Ok(())
    }
}

/// A process that projects until it is killed or fenced.
pub(crate) async fn process(arguments: &Arguments) -> Result<(), Failure> {
    let place = Place::of(arguments)?;
    let store = place.store().await?;
    let running = start(&place, &store, arguments.epoch).await?;
    loop {
        running.tell();
        let fenced = running.fenced();
        if fenced > 0 {
            println!("fenced {fenced}");
            return Ok(());
        }
        sleep(Duration::from_millis(1)).await;
    }
}

/// A process that writes and projects, until there is enough and all of it is projected.
pub(crate) async fn both(arguments: &Arguments) -> Result<(), Failure> {
    let place = Place::of(arguments)?;
    let store = place.store().await?;
    let running = start(&place, &store, arguments.epoch).await?;
    let mut tasks = tokio::task::JoinSet::new();
    let count = arguments.writers.max(1) * 8;
    for _ in 0..count {
        tasks.spawn(write::write(Arc::clone(&store), arguments.clone(), count));
    }
    while sum(&heads(&*store).await?) < arguments.events {
        running.tell();
        if let Some(ended) = tasks.try_join_next() {
            ended??;
        }
        sleep(Duration::from_millis(1)).await;
    }
    tasks.shutdown().await;
    loop {
        running.tell();
        let heads = heads(&*store).await?;
        let status = running.daemon.status();
        let is_there = |(partition, head): &(PartitionId, Position)| {
            status.iter().any(|status| status.partition == *partition && status.checkpoint == Some(*head))
        };
        if heads.iter().all(is_there) {
            running.daemon.shutdown().await;
            return Ok(());
        }
        sleep(Duration::from_millis(1)).await;
    }
}

struct Running {
    daemon: Daemon,
    applied: Applied,
    is_open: Mutex<bool>,
}

async fn start(place: &Place, store: &Arc<dyn EventStore>, epoch: u64) -> Result<Running, Failure> {
    let applied = Applied::default();
    let seen = Seen(Arc::clone(&applied));
    let polling = Pauses { shortest_ms: 1, longest_ms: 100 };
    let settings = Settings { polling, batch_records: 512, ..Settings::default() };
    let daemon = Daemon::builder(Arc::clone(store)).settings(settings).epoch(epoch);
    let daemon = match place.view().await? {
        Views::Sqlite(view) => daemon.project(seen, view),
        Views::Postgres(view) => daemon.project(seen, view),
    };
    Ok(Running { daemon: daemon.start()?, applied, is_open: Mutex::new(false) })
}

impl Running {
    /// Tells the parent when all places are open, and how long committed events took to get there.
    fn tell(&self) {
        let status = self.daemon.status();
        let mut is_open = self.is_open.lock().unwrap_or_else(PoisonError::into_inner);
        if !*is_open && status.iter().all(|status| status.checkpoint.is_some()) {
            *is_open = true;
            println!("open");
        }
        let at: BTreeMap<_, _> = status.iter().map(|status| (status.partition, status.checkpoint)).collect();
        let (now, mut lags) = (SystemClock.now(), BTreeMap::<i64, u64>::new());
        let mut applied = self.applied.lock().unwrap_or_else(PoisonError::into_inner);
        applied.retain(|(partition, position, recorded_at)| {
            let is_there = at.get(partition).is_some_and(|at| *at >= Some(*position));
            if is_there {
                let lag = now.as_micros() - recorded_at.as_micros();
                *lags.entry(lag.max(0) / 1_000).or_default() += 1;
            }
            !is_there
        });
        for (millis, count) in lags {
            println!("lag {millis} {count}");
        }
    }

    fn fenced(&self) -> usize {
        let is_fenced = |state: &State| matches!(state, State::Stopped(Some(error)) if error.kind() == sidestream::ErrorKind::Fenced);
        self.daemon.status().iter().filter(|status| is_fenced(&status.state)).count()
    }
}
