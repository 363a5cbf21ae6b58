//! The view itself.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use crate::error::{Error, ErrorKind, Result};
use crate::projection::batch::Batch;
use crate::projection::definition::Definition;
use crate::projection::failure::ViewFailure;
use crate::projection::parked::Audited;
use crate::projection::place::Place;
use crate::projection::postgres::failure::failed;
use crate::projection::postgres::options::Options;
use crate::projection::postgres::place;
use crate::projection::postgres::rows::PostgresRows;
use crate::projection::postgres::schema::SCHEMA;
use crate::projection::postgres::transaction::Open;
use crate::projection::postgres::workers::Workers;
use crate::projection::view::{Limits, Opened, View, Work};
use crate::store::postgres::{Pool, check_server};

/// Rows in a PostgreSQL database. Clones share its connections.
///
/// Several places are worked on at the same time, each on a connection and a thread of its own; several projections, and
/// several processes, may share the database. Its calls need a tokio runtime.
///
/// ```no_run
/// use sidestream::projection::PostgresView;
///
/// # async fn run() -> sidestream::Result<()> {
/// let view = PostgresView::builder("postgres://pay@db1,db2/reports").migrate(true).open().await?;
/// # drop(view);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PostgresView {
    core: Arc<Core>,
}

struct Core {
    pool: Pool,
    quorum: bool,
    workers: Workers,
}

impl PostgresView {
    /// Begins to open a view at a URL: `postgres://user:password@host:5432/database`, several hosts with commas between.
    pub fn builder(url: impl Into<String>) -> Options {
        Options::new(url.into())
    }

    /// Opens a view whose schema is there.
    ///
    /// # Errors
    /// As [`Options::open`].
    pub async fn open(url: impl Into<String>) -> Result<Self> {
        Self::builder(url).open().await
    }

    /// Reads rows by a statement of its own, outside of any batch. Where a quorum is required it may show what a failover
    /// takes away.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) when the server cannot be reached, and with what it said.
    pub async fn read(&self, sql: &str, parameters: &[(&(dyn ToSql + Sync), Type)]) -> Result<Vec<Row>> {
        let session = self.core.pool.session().await?;
        session.query(sql, parameters).await.map_err(|source| failed("reading a view", source))
    }

    /// Closes the connections. Later calls, of clones too, fail with [`Unavailable`](crate::ErrorKind::Unavailable).
    pub fn close(&self) {
        self.core.pool.close();
    }

    async fn begin(&self, limits: &Limits) -> Result<Open> {
        let lent = self.core.pool.session().await.map_err(waiting)?;
        Open::begin(lent, self.core.quorum, limits.timeout).await
    }

    /// What is done to open a place. Those of one projection go one after the other: several that make the same table at
    /// once would be in each other's way.
    async fn opening(
        &self,
        open: &Open,
        (at, epoch): (&Place, u64),
        definition: &Definition<PostgresRows>,
        limits: &Limits,
    ) -> Result<Opened, ViewFailure> {
        place::take_turn(open.session()?, at).await?;
        let opened = place::open(open.session()?, at, epoch, limits.now).await?;
        open.handle(&self.core.workers, Batch::preparing(definition)).await?;
        Ok(opened)
    }

    async fn working(
        &self,
        open: &Open,
        (at, epoch): (&Place, u64),
        work: Work<PostgresRows>,
    ) -> Result<(), ViewFailure> {
        let Work { revision, from, to, batch, changes, limits } = work;
        // Before the handlers, to spare them vain work; what counts is the demand of the last statement.
        place::guard(open.session()?, at, epoch, (revision, from)).await?;
        if let Some(batch) = batch {
            open.handle(&self.core.workers, batch).await?;
        }
        for change in &changes {
            place::change(open.session()?, at, change).await?;
        }
        Ok(place::advance(open.session()?, at, epoch, (revision, from, to), limits.now).await?)
    }
}

/// A place whose turn did not come in time is tried again, as one whose database is down.
fn waiting(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Overloaded => Error::new(ErrorKind::Unavailable, "a view has too few connections")
            .advice("give it more, or larger batches")
            .caused_by(error),
        _ => error,
    }
}

impl Options {
    /// Opens the view.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when the address, the rights or the schema do not fit;
    /// [`Unavailable`](crate::ErrorKind::Unavailable) when no server that takes writes is found.
    pub async fn open(self) -> Result<PostgresView> {
        let pool = Pool::new(self.address()?, self.connections, self.patience)?;
        let session = pool.session().await?;
        check_server(&session, self.quorum).await?;
        if self.migrate {
            self.run_migrations().await?;
        }
        SCHEMA.demand(&session).await?;
        drop(session);
        let core = Core { pool, quorum: self.quorum, workers: Workers::new(self.connections) };
        Ok(PostgresView { core: Arc::new(core) })
    }
}

#[async_trait]
impl View for PostgresView {
    type Rows = PostgresRows;

    async fn open(
        &self,
        place: &Place,
        epoch: u64,
        definition: &Definition<PostgresRows>,
        limits: &Limits,
    ) -> Result<Opened, ViewFailure> {
        let open = self.begin(limits).await?;
        let done = self.opening(&open, (place, epoch), definition, limits).await;
        open.end(done).await
    }

    async fn run(&self, place: &Place, epoch: u64, work: Work<PostgresRows>) -> Result<(), ViewFailure> {
        let open = self.begin(&work.limits).await?;
        let done = self.working(&open, (place, epoch), work).await;
        open.end(done).await
    }

    async fn audit(&self, place: &Place, limit: usize) -> Result<Vec<Audited>> {
        place::audited(&*self.core.pool.session().await?, place, limit).await
    }
}

impl fmt::Debug for PostgresView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresView").field("quorum", &self.core.quorum).finish_non_exhaustive()
    }
}
