//! The store as its users hold it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use tokio_postgres::types::Type;

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::event::EventType;
use crate::hash::HashMap;
use crate::limits;
use crate::partition::PartitionId;
use crate::store::admission::too_long;
use crate::store::postgres::commit;
use crate::store::postgres::failure;
use crate::store::postgres::held::Held;
use crate::store::postgres::log_read;
use crate::store::postgres::plan::{Checked, List};
use crate::store::postgres::rows;
use crate::store::postgres::session::Parameter;
use crate::store::postgres::shared::{Core, refuse};
use crate::store::postgres::status::Status;
use crate::store::postgres::steps;
use crate::store::postgres::types::column;
use crate::store::postgres::types::{bound, number};
use crate::store::rows::{RowsPage, RowsRead};
use crate::store::stream_key::StreamKey;
use crate::store::{
    AppendFailure, EventStore, HeldPartition, LogPage, OpenStep, OpenStepsRead, StoreProperties, StreamPage,
    StreamRead, Unit, UnitResult,
};
use crate::stream::{Position, StreamName, Version};

const OPEN_STEPS: &str = include_str!("sql/open_steps.sql");
const CLOSE: &str = include_str!("sql/close_partitions.sql");
const TRUNCATE: &str = include_str!("sql/truncate.sql");

/// A store in a PostgreSQL database, shared by any number of processes. Clones share its connections.
///
/// Its calls need a tokio runtime. Dropping the last clone closes the connections; what was handed over is committed
/// or not, as with every dropped call.
///
/// ```no_run
/// use sidestream::store::postgres::PostgresStore;
///
/// # async fn run() -> sidestream::Result<()> {
/// let store = PostgresStore::builder("postgres://pay@db1,db2,db3/payments").require_quorum(true).open().await?;
/// # drop(store);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PostgresStore {
    core: Arc<Core>,
}

impl PostgresStore {
    pub(super) fn of(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Closes the connections. Later calls, of clones too, fail with [`Unavailable`](crate::ErrorKind::Unavailable).
    pub fn close(&self) {
        self.core.writers.close();
        self.core.holders.close();
        self.core.readers.close();
        if let Some(listener) = &self.core.listener {
            listener.stop();
        }
    }

    /// What this store has done so far.
    #[must_use]
    pub fn status(&self) -> Status {
        Status { commits: self.core.commits.load(Ordering::Relaxed) }
    }

    pub(super) fn core(&self) -> &Core {
        &self.core
    }

    pub(super) async fn read(
        &self,
        doing: &str,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<tokio_postgres::Row>> {
        let session = self.core.readers.session().await?;
        session.query(sql, parameters).await.map_err(|source| failure::of(doing, source))
    }

    /// A list with rows goes alone. Without records it locks the rows and nothing else: leases wait for no commit of
    /// the log, and no commit for them.
    async fn append_with_rows(&self, partition: PartitionId, list: List) -> Vec<UnitResult> {
        let rows_only = list.iter().all(|checked| checked.unit.appends.is_empty());
        let units = list.len();
        let written = async {
            self.core.demand_partition(partition).map_err(AppendFailure::Refused)?;
            if rows_only {
                let session = self.core.writers.session().await.map_err(AppendFailure::Refused)?;
                return Held::write_rows(&self.core, session, partition, list).await;
            }
            let session = self.core.holders.session().await.map_err(AppendFailure::Refused)?;
            let held = Held::begin(&self.core, session, partition).await.map_err(AppendFailure::Refused)?;
            Ok(held.finish(&[list]).await)
        };
        match written.await {
            Ok(mut answers) => answers.pop().unwrap_or_default(),
            Err(failure) => refuse(units, &failure),
        }
    }

    /// A page of a partition's log shows nothing that a failover may take away.
    async fn confirmed(&self, partition: PartitionId, page: LogPage) -> Result<LogPage> {
        if self.core.quorum {
            self.core.confirmed.demand(&self.core.readers, &[(partition, page.head)]).await?;
        }
        Ok(page)
    }
}

#[async_trait]
impl EventStore for PostgresStore {
    fn properties(&self) -> StoreProperties {
        self.core.properties
    }

    async fn append(&self, partition: PartitionId, units: Vec<Unit>) -> Vec<UnitResult> {
        if let Some(failure) = too_long(units.len()) {
            return units.iter().map(|_| Err(failure.clone())).collect();
        }
        let properties = self.core.properties;
        let has_rows = units.iter().any(|unit| !unit.rows.is_empty());
        let list = units.into_iter().map(|unit| Checked::new(unit, partition, properties)).collect();
        if has_rows {
            return self.append_with_rows(partition, list).await;
        }
        self.core.append(partition, list).await
    }

    async fn read_streams(&self, reads: Vec<StreamRead>) -> Vec<Result<StreamPage>> {
        if reads.len() > limits::BULK_READS {
            let error = Error::invalid("too many reads in one call")
                .expected(format!("at most {}", limits::BULK_READS), reads.len());
            return reads.iter().map(|_| Err(error.clone())).collect();
        }
        self.core.read_streams(reads).await
    }

    async fn read_log(&self, partition: PartitionId, after: Position, limit: usize) -> Result<LogPage> {
        let limit = limit.min(limits::PAGE_RECORDS);
        let parameters: [Parameter<'_>; 3] = [
            (&i32::from(partition.get()), Type::INT4),
            (&bound(after.get()), Type::INT8),
            (&one_more(limit), Type::INT8),
        ];
        let rows = self.read("reading the log", log_read::READ, &parameters).await?;
        self.confirmed(partition, log_read::page(&rows, after, limit, None)?).await
    }

    async fn read_types(
        &self,
        partition: PartitionId,
        types: &[EventType],
        after: Position,
        limit: usize,
    ) -> Result<LogPage> {
        let limit = limit.min(limits::PAGE_RECORDS);
        let mut names: Vec<_> = types.iter().map(EventType::as_str).collect();
        names.sort_unstable();
        names.dedup();
        let (framework, users): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| name.starts_with('$'));
        let parameters: [Parameter<'_>; 5] = [
            (&i32::from(partition.get()), Type::INT4),
            (&bound(after.get()), Type::INT8),
            (&one_more(limit), Type::INT8),
            (&users, Type::TEXT_ARRAY),
            (&framework, Type::TEXT_ARRAY),
        ];
        let rows = self.read("reading event types", log_read::READ_TYPES, &parameters).await?;
        self.confirmed(partition, log_read::page(&rows, after, limit, Some(types))?).await
    }

    async fn open_steps(&self, read: OpenStepsRead) -> Result<Vec<OpenStep>> {
        let parameters = steps::PageParameters::new(&read);
        let rows = self.read("reading open steps", OPEN_STEPS, &parameters.all()).await?;
        rows.iter().map(steps::parse).collect()
    }

    async fn truncate(&self, stream: &StreamName, through: Version) -> Result<Version> {
        let partition = self.core.properties.partitions.of(stream.cardinal());
        let session = self.core.holders.session().await?;
        let key = StreamKey::of(stream).to_vec();
        let parameters: [Parameter<'_>; 5] = [
            (&i32::from(partition.get()), Type::INT4),
            (&self.core.quorum, Type::BOOL),
            (&key, Type::BYTEA),
            (&bound(through.get()), Type::INT8),
            (&stream.as_str(), Type::TEXT),
        ];
        let rows = commit::query(&session, "removing records", TRUNCATE, &parameters).await;
        let rows = rows.map_err(told)?;
        let row =
            rows.first().ok_or_else(|| Error::corrupt("the server answered a truncation without a row"))?;
        let (head, floor) = (number(column(row, 0)?), number(column(row, 1)?));
        if through.get() > head {
            return Err(Error::invalid("cannot truncate above the head")
                .in_stream(stream)
                .expected(format!("at most version {head}"), through));
        }
        Ok(Version::new(floor))
    }

    async fn rows(&self, read: RowsRead) -> Result<RowsPage> {
        read.check()?;
        self.core.demand_partition(read.partition)?;
        let session = self.core.readers.session().await?;
        let page = rows::page(&session, &read).await?;
        drop(session);
        if self.core.quorum {
            self.core.confirmed.demand_all(&self.core.readers).await?;
        }
        Ok(page)
    }

    async fn close_partitions(
        &self,
        partitions: &[PartitionId],
        through: Timestamp,
    ) -> Result<Vec<Timestamp>> {
        partitions.iter().try_for_each(|partition| self.core.demand_partition(*partition))?;
        let session = self.core.holders.session().await?;
        let numbers: Vec<i32> = partitions.iter().map(|partition| i32::from(partition.get())).collect();
        let parameters: [Parameter<'_>; 3] = [
            (&numbers, Type::INT4_ARRAY),
            (&self.core.quorum, Type::BOOL),
            (&through.as_micros(), Type::INT8),
        ];
        let rows = commit::query(&session, "closing partitions", CLOSE, &parameters).await.map_err(told)?;
        let mut closed: HashMap<i32, i64> = HashMap::default();
        for row in &rows {
            closed.insert(column(row, 0)?, column(row, 1)?);
        }
        let missing = || Error::corrupt("the server did not close all partitions");
        let time = |number| closed.get(number).copied().map(Timestamp::from_micros).ok_or_else(missing);
        numbers.iter().map(time).collect()
    }

    async fn hold(&self, partition: PartitionId) -> Result<Option<Box<dyn HeldPartition>>> {
        let session = self.core.holders.session().await?;
        Ok(Some(Box::new(Held::begin(&self.core, session, partition).await?)))
    }

    async fn changed(&self, partition: PartitionId, after: Position) {
        self.core.changes.past(partition, after).await;
    }
}

/// The error of a change that is no append.
fn told(failure: AppendFailure) -> Error {
    match failure {
        AppendFailure::Refused(error) | AppendFailure::Unknown(error) => error,
        other => failure::unavailable(other.to_string()),
    }
}

/// One more than a page has shows whether anything follows.
fn one_more(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1)
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").field("properties", &self.core.properties).finish_non_exhaustive()
    }
}
