//! A projection over a join that writes down where the events are that it is given, and what it is to follow: two
//! databases whose clocks jump.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use sidestream::clock::{Clock, ManualClock};
use sidestream::feed::Selection;
use sidestream::partition::{PartitionCount, PartitionId};
use sidestream::projection::postgres::tokio_postgres::types::Type;
use sidestream::projection::{
    Event, Failure, MemoryView, Place, PostgresRows, PostgresView, Projection, ProjectionId, SqliteRows,
    SqliteView, View,
};
use sidestream::protocol::Atomicity;
use sidestream::store::EventStore;
use sidestream::store::memory::MemoryStore;
use sidestream::store::placed::PlacedStore;
use sidestream::stream::Position;
use sidestream::testkit::run;
use sidestream::{Category, Timestamp};

use crate::support::*;

pub const CARD: Category = Category::new("card");

/// Where an event lies: what a view over all partitions knows it by.
pub type Seen = (u16, u64);

/// Writes down what it sees, in the order in which it sees it; amounts in `bad` fail, and so do calls of these numbers.
#[derive(Debug, Clone, Default)]
pub struct Ledger(pub crate::journal::Journal, pub Arc<Mutex<(u64, BTreeSet<u64>)>>);

impl Ledger {
    fn look(&self, event: &Event<'_>) -> Result<Seen, Failure> {
        let text = std::str::from_utf8(&event.record().data.payload)?.to_owned();
        let is_unlucky = {
            let mut calls = self.1.lock().unwrap();
            calls.0 += 1;
            let number = calls.0;
            calls.1.contains(&number)
        };
        let bad = self.0.bad.lock().unwrap();
        match is_unlucky || bad.iter().any(|(minor, _)| text.contains(&format!(":{minor}}}"))) {
            true => Err("no such amount".into()),
            false => Ok((event.partition().get(), event.position().get())),
        }
    }

    /// Accounts, and cards; and what is deposited into either, once more.
    fn selections() -> sidestream::Result<Vec<Selection>> {
        let of = |category| Selection::all().category(category);
        Ok(vec![of(ACCOUNT)?, of(CARD)?, Selection::all().types(["Deposited"])?])
    }
}

impl Projection<Vec<Seen>> for Ledger {
    const NAME: &'static str = "ledger";

    fn join(&self) -> sidestream::Result<Vec<Selection>> {
        Self::selections()
    }

    async fn apply(&self, rows: &mut Vec<Seen>, event: &Event<'_>) -> Result<(), Failure> {
        rows.push(self.look(event)?);
        Ok(())
    }
}

impl Projection<SqliteRows> for Ledger {
    const NAME: &'static str = "ledger";

    fn join(&self) -> sidestream::Result<Vec<Selection>> {
        Self::selections()
    }

    async fn prepare(&self, rows: &mut SqliteRows) -> Result<(), Failure> {
        Ok(rows.execute_all("CREATE TABLE IF NOT EXISTS ledger (partition INTEGER, position INTEGER)")?)
    }

    async fn apply(&self, rows: &mut SqliteRows, event: &Event<'_>) -> Result<(), Failure> {
        let (partition, position) = self.look(event)?;
        rows.execute("INSERT INTO ledger VALUES (?1, ?2)", (partition, position.cast_signed()))?;
        Ok(())
    }
}

impl Projection<PostgresRows> for Ledger {
    const NAME: &'static str = "ledger";

    fn join(&self) -> sidestream::Result<Vec<Selection>> {
        Self::selections()
    }

    async fn prepare(&self, rows: &mut PostgresRows) -> Result<(), Failure> {
        let table = "CREATE TABLE IF NOT EXISTS ledger (number int8 GENERATED ALWAYS AS IDENTITY, partition int4, \
                     position int8)";
        Ok(rows.execute_all(&[table]).await?)
    }

    async fn apply(&self, rows: &mut PostgresRows, event: &Event<'_>) -> Result<(), Failure> {
        let (partition, position) = self.look(event)?;
        let (partition, position) = (i32::from(partition), position.cast_signed());
        let parameters = [(&partition as _, Type::INT4), (&position as _, Type::INT8)];
        rows.execute("INSERT INTO ledger (partition, position) VALUES ($1, $2)", &parameters).await?;
        Ok(())
    }
}

/// A view whose ledger can be read.
pub trait Legible: View + Clone {
    fn ledger(&self, store: &dyn EventStore) -> impl Future<Output = Vec<Seen>>;
}

impl Legible for MemoryView<Vec<Seen>> {
    async fn ledger(&self, store: &dyn EventStore) -> Vec<Seen> {
        let projection = ProjectionId::new("ledger", 1).unwrap();
        let place = Place { projection, store: store.properties().id, partition: ONE };
        self.read(&place, Clone::clone).unwrap_or_default()
    }
}

impl Legible for SqliteView {
    async fn ledger(&self, _store: &dyn EventStore) -> Vec<Seen> {
        let read = self.read(|connection| {
            let mut rows = connection.prepare("SELECT partition, position FROM ledger ORDER BY rowid")?;
            rows.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned())))?.collect()
        });
        in_time("a view's rows", read).await.expect("readable")
    }
}

impl Legible for PostgresView {
    async fn ledger(&self, _store: &dyn EventStore) -> Vec<Seen> {
        let sql = "SELECT partition, position FROM ledger ORDER BY number";
        let rows = in_time("a view's rows", self.read(sql, &[])).await.expect("readable");
        let seen = |row: &sidestream::projection::postgres::tokio_postgres::Row| {
            (row.get::<_, i32>(0).try_into().unwrap(), row.get::<_, i64>(1).cast_unsigned())
        };
        rows.iter().map(seen).collect()
    }
}

/// What the view has to hold, from the logs alone: by time, partition and position.
pub async fn expected(store: &dyn EventStore) -> Vec<Seen> {
    let mut keys = Vec::new();
    for partition in store.properties().partitions.all() {
        for record in store.read_log(partition, Position::START, 4_096).await.unwrap().records {
            keys.push((record.recorded_at, partition.get(), record.position.get()));
        }
    }
    keys.sort_unstable();
    keys.into_iter().map(|(_, partition, position)| (partition, position)).collect()
}

/// Four partitions on two databases, each with a clock of its own.
pub struct Stores {
    pub clocks: [Arc<ManualClock>; 2],
    pub placed: Arc<dyn EventStore>,
}

impl Stores {
    pub fn new() -> Self {
        let clocks = [10, 20].map(|at| Arc::new(ManualClock::new(Timestamp::from_micros(at))));
        // Two stores have two ids.
        clocks[1].new_id();
        let count = PartitionCount::new(4).unwrap();
        let store =
            |clock: &Arc<ManualClock>| MemoryStore::with(count, Atomicity::Batch, Arc::clone(clock) as _);
        let all: Vec<PartitionId> = count.all().collect();
        let (here, there) = all.split_at(2);
        let placed = PlacedStore::builder()
            .place(here.to_vec(), store(&clocks[0]))
            .place(there.to_vec(), store(&clocks[1]));
        Self { placed: Arc::new(run(placed.open()).expect("placed")), clocks }
    }

    /// Another record, or a clock that is set, back too.
    pub async fn step(&self, step: &Step) {
        match step {
            Step::Append(is_card, to, count) => {
                let category = if *is_card { CARD } else { ACCOUNT };
                let records = (0..*count).map(|at| deposit(i64::from(at) + 1)).collect();
                append(&*self.placed, &category.stream(&id(&to.to_string())), records).await;
                self.clocks.iter().for_each(|clock| clock.advance(Duration::from_micros(1)));
            }
            Step::Clock(other, at) => {
                self.clocks[usize::from(*other)].set(Timestamp::from_micros(i64::from(*at)));
            }
            Step::Yield(turns) => {
                for _ in 0..*turns {
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    /// All steps; then the clocks settle.
    pub async fn write(&self, steps: &[Step]) {
        for step in steps {
            self.step(step).await;
        }
        self.settle();
    }

    /// All clocks come to where the latest record is.
    pub fn settle(&self) {
        self.clocks.iter().for_each(|clock| clock.set(Timestamp::from_micros(100_000)));
    }
}

#[derive(Debug, Clone)]
pub enum Step {
    Append(bool, u8, u8),
    Clock(bool, u16),
    Yield(u8),
}

/// How many records they append.
pub fn total(steps: &[Step]) -> u64 {
    let count = |step: &Step| if let Step::Append(_, _, count) = step { u64::from(*count) } else { 0 };
    steps.iter().map(count).sum()
}

pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (any::<bool>(), 0..12_u8, 1..4_u8).prop_map(|(card, to, records)| Step::Append(card, to, records)),
        2 => (any::<bool>(), 0..400_u16).prop_map(|(other, at)| Step::Clock(other, at)),
        3 => (0..12_u8).prop_map(Step::Yield),
    ];
    prop::collection::vec(step, 1..60)
}
