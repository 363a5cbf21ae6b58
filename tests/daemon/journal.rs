//! A projection that writes down each event that it is given, and fails where it is told to.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use sidestream::event::Record;
use sidestream::partition::PartitionId;
use sidestream::projection::postgres::tokio_postgres::types::Type;
use sidestream::projection::{
    Event, Failure, MemoryView, PostgresRows, PostgresView, Projection, SqliteRows, SqliteView,
};
use sidestream::store::EventStore;

use crate::rules::{self, Account};
use crate::support::{in_time, place};

/// What is written down of an event.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    pub position: i64,
    pub stream: String,
    pub version: i64,
    pub minor: i64,
}

impl Entry {
    pub fn of_record(record: &Record) -> Self {
        let event: rules::Event = serde_json::from_slice(&record.data.payload).expect("JSON");
        let minor = minor_of(&event);
        let (position, version) = (record.position.get().cast_signed(), record.version.get().cast_signed());
        Self { position, stream: record.stream.to_string(), version, minor }
    }

    fn of_event(event: &Event<'_>) -> Result<Self, Failure> {
        let minor = minor_of(&event.decode::<Account>()?);
        let (position, version) = (event.position().get().cast_signed(), event.version().get().cast_signed());
        Ok(Self { position, stream: event.stream().to_string(), version, minor })
    }
}

fn minor_of(event: &rules::Event) -> i64 {
    match event {
        rules::Event::Deposited { minor }
        | rules::Event::Held { minor }
        | rules::Event::Captured { minor }
        | rules::Event::Released { minor } => *minor,
    }
}

/// What a handler does with an amount that it cannot stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    Fails,
    Panics,
    /// It waits for what never comes.
    Waits,
    /// It keeps its thread until the test is over, and then tries to write.
    Blocks,
    /// It says that something outside is down.
    IsDown,
}

/// Amounts that fail, and how; changed while it runs, as a mended handler would be.
#[derive(Debug, Clone, Default)]
pub struct Journal {
    pub bad: Arc<Mutex<Vec<(i64, Trouble)>>>,
    pub free: Arc<Mutex<BTreeSet<i64>>>,
}

impl Journal {
    pub fn with(bad: &[(i64, Trouble)]) -> Self {
        Self { bad: Arc::new(Mutex::new(bad.to_vec())), free: Arc::default() }
    }

    pub fn mend(&self) {
        self.bad.lock().unwrap().clear();
    }

    pub async fn trouble(&self, minor: i64) -> Result<(), Failure> {
        let bad = self.bad.lock().unwrap().iter().find(|(bad, _)| *bad == minor).copied();
        match bad {
            None => Ok(()),
            Some((_, Trouble::Fails)) => Err("no such amount".into()),
            Some((_, Trouble::Panics)) => panic!("on purpose"),
            Some((_, Trouble::Waits)) => std::future::pending().await,
            Some((_, Trouble::IsDown)) => {
                let kind = sidestream::ErrorKind::Unavailable;
                Err(sidestream::Error::new(kind, "the neighbour is down").into())
            }
            Some((_, Trouble::Blocks)) => {
                while !self.free.lock().unwrap().contains(&minor) {
                    std::thread::sleep(std::time::Duration::from_millis(5));
                }
                Ok(())
            }
        }
    }
}

impl Projection<Vec<Entry>> for Journal {
    const NAME: &'static str = "journal";

    async fn apply(&self, rows: &mut Vec<Entry>, event: &Event<'_>) -> Result<(), Failure> {
        let entry = Entry::of_event(event)?;
        rows.push(entry.clone());
        self.trouble(entry.minor).await
    }
}

impl Projection<SqliteRows> for Journal {
    const NAME: &'static str = "journal";

    async fn prepare(&self, rows: &mut SqliteRows) -> Result<(), Failure> {
        rows.execute_all(
            "CREATE TABLE IF NOT EXISTS journal (partition INTEGER, position INTEGER, stream TEXT, version INTEGER, \
             minor INTEGER)",
        )?;
        Ok(())
    }

    async fn apply(&self, rows: &mut SqliteRows, event: &Event<'_>) -> Result<(), Failure> {
        let entry = Entry::of_event(event)?;
        let write = |rows: &mut SqliteRows| {
            rows.execute(
                "INSERT INTO journal VALUES (?1, ?2, ?3, ?4, ?5)",
                (event.partition().get(), entry.position, &entry.stream, entry.version, entry.minor),
            )
        };
        write(rows)?;
        let is_bad = self.bad.lock().unwrap().iter().any(|(bad, _)| *bad == entry.minor);
        self.trouble(entry.minor).await?;
        if is_bad {
            // A handler that was given up and comes back.
            write(rows)?;
        }
        Ok(())
    }
}

impl Projection<PostgresRows> for Journal {
    const NAME: &'static str = "journal";

    async fn prepare(&self, rows: &mut PostgresRows) -> Result<(), Failure> {
        rows.execute_all(&[
            "CREATE TABLE IF NOT EXISTS journal (number int8 GENERATED ALWAYS AS IDENTITY, partition int8, \
             position int8, stream text, version int8, minor int8)",
        ])
        .await?;
        Ok(())
    }

    async fn apply(&self, rows: &mut PostgresRows, event: &Event<'_>) -> Result<(), Failure> {
        let entry = Entry::of_event(event)?;
        write(rows, event, &entry).await?;
        let is_bad = self.bad.lock().unwrap().iter().any(|(bad, _)| *bad == entry.minor);
        self.trouble(entry.minor).await?;
        if is_bad {
            // A handler that was given up and comes back.
            write(rows, event, &entry).await?;
        }
        Ok(())
    }
}

async fn write(rows: &PostgresRows, event: &Event<'_>, entry: &Entry) -> sidestream::Result<u64> {
    let partition = i64::from(event.partition().get());
    rows.execute(
        "INSERT INTO journal (partition, position, stream, version, minor) VALUES ($1, $2, $3, $4, $5)",
        &[
            (&partition, Type::INT8),
            (&entry.position, Type::INT8),
            (&entry.stream, Type::TEXT),
            (&entry.version, Type::INT8),
            (&entry.minor, Type::INT8),
        ],
    )
    .await
}

/// A view whose journal can be read.
pub trait Readable {
    fn journal(
        &self,
        store: &dyn EventStore,
        partition: PartitionId,
    ) -> impl std::future::Future<Output = Vec<Entry>>;
}

impl Readable for MemoryView<Vec<Entry>> {
    async fn journal(&self, store: &dyn EventStore, partition: PartitionId) -> Vec<Entry> {
        self.read(&place(store, partition), Clone::clone).unwrap_or_default()
    }
}

impl Readable for SqliteView {
    async fn journal(&self, _store: &dyn EventStore, partition: PartitionId) -> Vec<Entry> {
        let number = partition.get();
        let read = self.read(move |connection| {
            let mut rows = connection.prepare(
                "SELECT position, stream, version, minor FROM journal WHERE partition = ?1 ORDER BY rowid",
            )?;
            let entry = |row: &sidestream::projection::sqlite::rusqlite::Row<'_>| {
                Ok(Entry {
                    position: row.get(0)?,
                    stream: row.get(1)?,
                    version: row.get(2)?,
                    minor: row.get(3)?,
                })
            };
            rows.query_map([number], entry)?.collect()
        });
        in_time("a view's rows", read).await.expect("readable")
    }
}

impl Readable for PostgresView {
    async fn journal(&self, _store: &dyn EventStore, partition: PartitionId) -> Vec<Entry> {
        let number = i64::from(partition.get());
        let sql = "SELECT position, stream, version, minor FROM journal WHERE partition = $1 ORDER BY number";
        let parameters = [(&number as _, Type::INT8)];
        let rows = in_time("a view's rows", self.read(sql, &parameters)).await.expect("readable");
        let entry = |row: &sidestream::projection::postgres::tokio_postgres::Row| Entry {
            position: row.get(0),
            stream: row.get(1),
            version: row.get(2),
            minor: row.get(3),
        };
        rows.iter().map(entry).collect()
    }
}
