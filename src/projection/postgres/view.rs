//! The view itself.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use crate::error::{Error, ErrorKind, Result};
use crate::hash::HashMap;
use crate::projection::batch::Batch;
use crate::projection::definition::Definition;
use crate::projection::failure::{ViewFailure, fenced};
use crate::projection::generation::Role;
use crate::projection::parked::Audited;
use crate::projection::place::Place;
use crate::projection::postgres::catalogue::{self, demand};
use crate::projection::postgres::failure::{failed, uncommitted};
use crate::projection::postgres::options::Options;
use crate::projection::postgres::place::{self, At};
use crate::projection::postgres::rows::PostgresRows;
use crate::projection::postgres::schema::SCHEMA;
use crate::projection::postgres::transaction::Open;
use crate::projection::postgres::workers::Workers;
use crate::projection::view::{Limits, Opened, View, Work};
use crate::store::postgres::{Lent, Pool, Session, Transaction, check_server};

/// Rows in a PostgreSQL database. Clones share its connections.
///
/// Several places are worked on at the same time, each on a connection and a thread of its own; several projections, and
/// several processes, may share the database. Its calls need a tokio runtime.
///
/// The tables of its first generation lie where the `search_path` of its user leads. One that is built beside it
/// ([`Rebuild`](crate::projection::Rebuild)) has a schema of its own, `sidestream_view_2` and so on, and connections of its
/// own, as many again. Handlers do not know of it, where they make their tables in
/// [`prepare`](crate::projection::Projection::prepare) and name them without a schema: each transaction searches the
/// schema of its generation, and no other. Programs of other kinds find the live one by
/// `SELECT sidestream_view.enter()` at the beginning of a transaction.
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
    pub(super) core: Arc<Core>,
    pub(super) role: Role,
}

pub(super) struct Core {
    pub(super) options: Options,
    pool: Pool,
    /// One connection, for what is done to generations: runners that wait for that keep theirs meanwhile.
    pub(super) changing: Pool,
    workers: Workers,
    /// In which generation each place of the live one was opened here.
    opened: Mutex<HashMap<Place, u32>>,
}

impl Core {
    /// Connects when it has to.
    pub(super) fn new(options: Options) -> Result<Self> {
        let pool = Pool::new(options.address()?, options.connections, options.patience)?;
        let changing = Pool::new(options.address()?, 1, options.patience)?;
        let workers = Workers::new(options.connections);
        Ok(Self { options, pool, changing, workers, opened: Mutex::default() })
    }

    fn opened(&self) -> MutexGuard<'_, HashMap<Place, u32>> {
        // Entries are whole or not there.
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

    /// Reads rows by a statement of its own, outside of any batch: those of the live generation; of a view that
    /// [`build`](crate::projection::Generational::build) returned, those that are being built. Where a quorum is required it
    /// may show what a failover takes away.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) when the server cannot be reached, and with what it said.
    pub async fn read(&self, sql: &str, parameters: &[(&(dyn ToSql + Sync), Type)]) -> Result<Vec<Row>> {
        let transaction = Transaction::begin(self.session().await?, "BEGIN").await?;
        let session = transaction.session()?;
        catalogue::enter(session, self.number()).await?;
        match session.query(sql, parameters).await {
            Ok(rows) => {
                transaction.end("COMMIT").await.map_err(uncommitted)?;
                Ok(rows)
            }
            Err(source) => {
                // Whether that succeeds says nothing to who asked.
                drop(transaction.end("ROLLBACK").await);
                Err(failed("reading a view", source))
            }
        }
    }

    /// Closes the connections. Later calls, of clones too, fail with [`Unavailable`](crate::ErrorKind::Unavailable).
    pub fn close(&self) {
        self.core.pool.close();
        self.core.changing.close();
    }

    pub(super) async fn session(&self) -> Result<Lent> {
        self.core.pool.session().await.map_err(waiting)
    }

    /// The generation that is being built; none where this is the live one, whichever that is.
    fn number(&self) -> Option<u32> {
        match self.role {
            Role::Live => None,
            Role::Building(number) => Some(number),
        }
    }

    async fn begin(&self, limits: &Limits, generation: Option<u32>) -> Result<Open> {
        Open::begin(self.session().await?, self.core.options.quorum, limits.timeout, generation).await
    }

    /// A place that is being built is nobody's yet: it has no epoch.
    fn epoch(&self, epoch: u64) -> u64 {
        if self.role == Role::Live { epoch } else { 0 }
    }

    /// Who was refused a place may have been left behind with its generation.
    async fn refused<T>(&self, session: &Session, at: At<'_>, done: Result<T>) -> Result<T> {
        if done.as_ref().is_err_and(|error| error.kind() == ErrorKind::Fenced) {
            demand(catalogue::state(session, at.generation).await?, self.role, at.place)?;
        }
        done
    }

    /// What is done to open a place. Those of one projection go one after the other: several that make the same table at
    /// once would be in each other's way.
    async fn opening(
        &self,
        open: &Open,
        (place, epoch): (&Place, u64),
        definition: &Definition<PostgresRows>,
        limits: &Limits,
    ) -> Result<Opened, ViewFailure> {
        let (session, generation) = (open.session()?, open.entered().number);
        let at = At { generation, place };
        // To the end of the transaction, so that no place comes to a generation that is held.
        demand(catalogue::share(session, generation).await?, self.role, place)?;
        place::take_turn(session, at).await?;
        let opened = place::open(session, at, self.epoch(epoch), limits.now).await?;
        open.handle(&self.core.workers, Batch::preparing(definition)).await?;
        self.core.opened().insert(place.clone(), generation);
        Ok(opened)
    }

    async fn working(
        &self,
        open: &Open,
        (place, epoch): (&Place, u64),
        work: Work<PostgresRows>,
    ) -> Result<(), ViewFailure> {
        let Work { revision, from, to, batch, changes, limits } = work;
        let (session, entered, epoch) = (open.session()?, open.entered(), self.epoch(epoch));
        let at = At { generation: entered.number, place };
        // Before the handlers, to spare them vain work; what counts is the demand of the last statement.
        demand(entered.state, self.role, place)?;
        let guarded = place::guard(session, at, epoch, (revision, from)).await;
        self.refused(session, at, guarded).await?;
        if let Some(batch) = batch {
            open.handle(&self.core.workers, batch).await?;
        }
        for change in &changes {
            place::change(session, at, change).await?;
        }
        let moved = place::advance(session, at, epoch, (revision, from, to), limits.now).await;
        Ok(self.refused(session, at, moved).await?)
    }
}

/// A place whose turn did not come in time is tried again, as one whose database is down.
pub(super) fn waiting(error: Error) -> Error {
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
        let core = Core::new(self)?;
        let (session, options) = (core.pool.session().await?, &core.options);
        check_server(&session, options.quorum).await?;
        if options.migrate {
            options.run_migrations().await?;
        }
        SCHEMA.demand(&session).await?;
        drop(session);
        Ok(PostgresView { core: Arc::new(core), role: Role::Live })
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
        let open = self.begin(limits, self.number()).await?;
        let done = self.opening(&open, (place, epoch), definition, limits).await;
        open.end(done).await
    }

    async fn run(&self, place: &Place, epoch: u64, work: Work<PostgresRows>) -> Result<(), ViewFailure> {
        let generation = match self.role {
            Role::Live => self.core.opened().get(place).copied().ok_or_else(|| fenced(place))?,
            Role::Building(number) => number,
        };
        let open = self.begin(&work.limits, Some(generation)).await?;
        let done = self.working(&open, (place, epoch), work).await;
        open.end(done).await
    }

    async fn audit(&self, place: &Place, limit: usize) -> Result<Vec<Audited>> {
        let session = self.session().await?;
        let generation = catalogue::enter(&session, self.number()).await?.number;
        place::audited(&session, At { generation, place }, limit).await
    }
}

impl fmt::Debug for PostgresView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresView")
            .field("options", &self.core.options)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}
