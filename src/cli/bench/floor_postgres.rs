//! The bare loop over PostgreSQL: a few connections, each of which inserts what waits by one statement.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::cli::bench::database;
use crate::cli::bench::floor_queue::{self, Way, take_waiting};
use crate::cli::bench::rows::{Rows, Stamped};
use crate::cli::failure::Failure;
use crate::cli::postgres_url::PostgresUrl;
use crate::store::postgres::{Parameter, Session, failed};

/// Connections that insert side by side.
const CONNECTIONS: usize = 4;
/// The schema of its table.
const SCHEMA: &str = "sidestream_bench_floor";
const OPEN: &str = include_str!("sql/pg_floor_open.sql");
const INSERT: &str = include_str!("sql/pg_floor_insert.sql");
const CLOSE: &str = include_str!("sql/pg_floor_close.sql");

type Job = floor_queue::Job<Stamped>;
type Jobs = Arc<Mutex<mpsc::Receiver<Job>>>;

/// The tasks that write.
#[derive(Debug)]
pub(super) struct PostgresFloor {
    url: PostgresUrl,
    tasks: Vec<JoinHandle<Result<(), Failure>>>,
    commits: Arc<AtomicU64>,
    /// The table's size at the beginning.
    bytes: u64,
}

impl PostgresFloor {
    /// Makes the table and starts the tasks. They end once every way to them is gone.
    pub(super) async fn start(url: &PostgresUrl, rows: Rows) -> Result<(Self, Way<Rows>), Failure> {
        let opened = database::session(url).await?.execute(OPEN).await;
        opened.map_err(|source| failed("making the bare loop's table", source))?;
        let bytes = database::size(url, SCHEMA).await?;
        let (way, jobs) = floor_queue::way(rows);
        let (jobs, commits) = (Arc::new(Mutex::new(jobs)), Arc::new(AtomicU64::new(0)));
        let mut tasks = Vec::new();
        for _ in 0..CONNECTIONS {
            let session = database::session(url).await?;
            let (jobs, rows, commits) = (Arc::clone(&jobs), way.stamp(), Arc::clone(&commits));
            tasks.push(tokio::spawn(serve(session, jobs, rows, commits)));
        }
        Ok((Self { url: url.clone(), tasks, commits, bytes }, way))
    }

    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Waits for the tasks, measures the table and removes it. Every way to them must be gone.
    pub(super) async fn finish(self) -> Result<u64, Failure> {
        let mut ended = Ok(());
        for task in self.tasks {
            ended = task.await?.and(ended);
        }
        let bytes = database::size(&self.url, SCHEMA).await;
        let closed = database::session(&self.url).await?.execute(CLOSE).await;
        closed.map_err(|source| failed("removing the bare loop's table", source))?;
        ended?;
        Ok(bytes?.saturating_sub(self.bytes))
    }
}

async fn serve(
    session: Session,
    jobs: Jobs,
    rows: Arc<Rows>,
    commits: Arc<AtomicU64>,
) -> Result<(), Failure> {
    loop {
        let mut batch = Vec::new();
        let mut waiting = jobs.lock().await;
        let Some(first) = waiting.recv().await else { return Ok(()) };
        take_waiting(&mut waiting, first, &mut batch);
        drop(waiting);
        let columns = Columns::new(&rows, &batch);
        let inserted = session.query(INSERT, &columns.parameters()).await;
        inserted.map_err(|source| failed("inserting into the bare loop's table", source))?;
        commits.fetch_add(1, Ordering::Relaxed);
        batch.into_iter().for_each(Job::answer);
    }
}

/// Rows as columns: one statement takes them all.
#[derive(Default)]
struct Columns<'r> {
    partitions: Vec<i32>,
    versions: Vec<i64>,
    times: Vec<i64>,
    numbers_1: Vec<i64>,
    numbers_2: Vec<i64>,
    checksums: Vec<i32>,
    kinds: Vec<i16>,
    schemas: Vec<i32>,
    effects: Vec<bool>,
    transactions: Vec<Uuid>,
    keys: Vec<&'r [u8]>,
    streams: Vec<&'r str>,
    types: Vec<&'r str>,
    codecs: Vec<&'r str>,
    steps: Vec<Option<&'r str>>,
    fingerprints: Vec<Option<&'r [u8]>>,
    requesters: Vec<Option<&'r [u8]>>,
    payloads: Vec<&'r [u8]>,
}

impl<'r> Columns<'r> {
    fn new(rows: &'r Rows, batch: &'r [Job]) -> Self {
        let mut columns = Self::default();
        batch.iter().flat_map(|job| &job.rows).for_each(|stamped| columns.add(rows, stamped));
        columns
    }

    fn add(&mut self, rows: &'r Rows, stamped: &'r Stamped) {
        for row in &rows.kept {
            let (key, stream) =
                if row.is_side { (&stamped.key, &stamped.stream) } else { (&row.key, &row.stream) };
            self.partitions.push(row.partition);
            self.versions.push(row.version);
            self.times.push(row.recorded_at);
            self.numbers_1.push(row.numbers.0);
            self.numbers_2.push(row.numbers.1);
            self.checksums.push(row.checksum);
            self.kinds.push(row.kind);
            self.schemas.push(row.schema);
            self.effects.push(row.is_effect);
            self.transactions.push(stamped.transaction);
            self.keys.push(key);
            self.streams.push(stream);
            self.types.push(&row.event_type);
            self.codecs.push(&row.codec);
            self.steps.push(row.step.as_deref());
            self.fingerprints.push(row.fingerprint.as_deref());
            self.requesters.push(row.requester.as_deref());
            self.payloads.push(&row.payload);
        }
    }

    fn parameters(&self) -> [Parameter<'_>; 18] {
        [
            (&self.partitions, Type::INT4_ARRAY),
            (&self.versions, Type::INT8_ARRAY),
            (&self.times, Type::INT8_ARRAY),
            (&self.numbers_1, Type::INT8_ARRAY),
            (&self.numbers_2, Type::INT8_ARRAY),
            (&self.checksums, Type::INT4_ARRAY),
            (&self.kinds, Type::INT2_ARRAY),
            (&self.schemas, Type::INT4_ARRAY),
            (&self.effects, Type::BOOL_ARRAY),
            (&self.transactions, Type::UUID_ARRAY),
            (&self.keys, Type::BYTEA_ARRAY),
            (&self.streams, Type::TEXT_ARRAY),
            (&self.types, Type::TEXT_ARRAY),
            (&self.codecs, Type::TEXT_ARRAY),
            (&self.steps, Type::TEXT_ARRAY),
            (&self.fingerprints, Type::BYTEA_ARRAY),
            (&self.requesters, Type::BYTEA_ARRAY),
            (&self.payloads, Type::BYTEA_ARRAY),
        ]
    }
}
