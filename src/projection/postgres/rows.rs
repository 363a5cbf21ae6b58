//! What a handler is given to work on.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use crate::error::{Error, ErrorKind, Result};
use crate::projection::postgres::failure::{failed, is_of_the_database};
use crate::projection::postgres::pipeline::{OwnedParameter, Pipeline, Statement};
use crate::projection::postgres::statement::admit;
use crate::projection::progress::Progress;
use crate::store::postgres::Session;

/// The rows of a view, within the view's transaction.
///
/// Parameters are given with their types: a statement is parsed, bound and run in one round trip, and poolers in front of
/// the server do not mind. Each call takes one statement. `COMMIT` and its like, `SET`, `COPY` and the schema
/// `sidestream_view` are refused. Isolation is `READ COMMITTED`.
///
/// A statement that fails spoils the transaction, as PostgreSQL has it: the event has failed, whatever its handler makes
/// of the error. `ON CONFLICT` and its like say beforehand what is no failure. So does a call that is dropped before it
/// returned.
#[derive(Debug)]
pub struct PostgresRows {
    shared: Arc<Shared>,
}

/// What went wrong in a batch first.
#[derive(Debug, Clone)]
pub(super) enum Trouble {
    /// The database failed.
    Database(Error),
    /// A statement of this event's handler.
    Handler(usize, String),
}

/// What the view and the handlers share while a batch runs.
pub(super) struct Shared {
    session: Arc<Session>,
    progress: Arc<Progress>,
    runtime: Handle,
    state: Arc<Mutex<State>>,
    /// Begun by the first statement that is not waited for.
    pipeline: Mutex<Option<Pipeline>>,
}

#[derive(Debug, Default)]
struct State {
    trouble: Option<Trouble>,
    is_closed: bool,
}

impl Shared {
    pub(super) fn new(session: Arc<Session>, progress: Arc<Progress>) -> Arc<Self> {
        let (state, pipeline) = (Arc::default(), Mutex::new(None));
        Arc::new(Self { session, progress, runtime: Handle::current(), state, pipeline })
    }

    /// Waits for what was sent and not waited for; no more can be.
    pub(super) async fn settle(&self) {
        let pipeline = self.pipeline().take();
        if let Some(pipeline) = pipeline {
            pipeline.end().await;
        }
    }

    fn pipeline(&self) -> MutexGuard<'_, Option<Pipeline>> {
        self.pipeline.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a statement over that is not waited for.
    fn send(&self, sql: String, parameters: Vec<OwnedParameter>) -> impl Future<Output = ()> + use<> {
        let event = self.progress.running().unwrap_or(0);
        let state = Arc::clone(&self.state);
        let failed = move |event, source| {
            let trouble = trouble(event, source);
            lock(&state).trouble.get_or_insert(trouble);
        };
        let begin = || Pipeline::begin(Arc::clone(&self.session), &self.runtime, failed);
        self.pipeline().get_or_insert_with(begin).send(Statement { event, sql, parameters })
    }

    /// No handler may do anything any more. Says what went wrong.
    pub(super) fn close(&self) -> Option<Trouble> {
        let mut state = self.lock();
        state.is_closed = true;
        state.trouble.clone()
    }

    /// No handler may do anything any more, and what they did is undone. True: only the view commits.
    pub(super) fn revoke(&self) -> bool {
        self.lock().is_closed = true;
        self.session.sever();
        true
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn demand(&self) -> Result<()> {
        match &*self.lock() {
            State { is_closed: true, .. } => Err(Error::new(
                ErrorKind::Fenced,
                "this handler was given up: it took too long, or its runner is gone",
            )),
            State { trouble: Some(Trouble::Database(error)), .. } => Err(error.clone()),
            State { trouble: Some(Trouble::Handler(_, cause)), .. } => {
                Err(Error::invalid(format!("an earlier statement has spoiled the transaction: {cause}")))
            }
            State { trouble: None, .. } => Ok(()),
        }
    }

    fn note(&self, trouble: Trouble) {
        self.lock().trouble.get_or_insert(trouble);
    }

    /// Takes in why a statement failed.
    fn told(&self, source: tokio_postgres::Error) -> Error {
        if is_of_the_database(&source) {
            let error = failed("running a handler's statement", source);
            self.note(Trouble::Database(error.clone()));
            return error;
        }
        let cause = source.as_db_error().map_or_else(|| source.to_string(), ToString::to_string);
        self.spoil(format!("a handler's statement failed: {cause}"));
        Error::invalid("a handler's statement failed").caused_by(source)
    }

    fn spoil(&self, cause: String) {
        self.note(Trouble::Handler(self.progress.running().unwrap_or(0), cause));
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // Changes are made whole.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What it means that an event's statement failed.
fn trouble(event: usize, source: tokio_postgres::Error) -> Trouble {
    if is_of_the_database(&source) {
        return Trouble::Database(failed("running a handler's statement", source));
    }
    let cause = source.as_db_error().map_or_else(|| source.to_string(), ToString::to_string);
    Trouble::Handler(event, format!("a handler's statement failed: {cause}"))
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("state", &self.state).finish_non_exhaustive()
    }
}

impl PostgresRows {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Runs a statement, and says how many rows it changed. Several at once, as by `tokio::join!`, go to the server one
    /// behind the other without waiting.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) with PostgreSQL's error when the statement or what it was given is wrong;
    /// [`Unavailable`](ErrorKind::Unavailable) when the database fails: the handler's result counts no more then, and it
    /// is called again when the database is back. [`Fenced`](ErrorKind::Fenced) when the handler was given up.
    pub async fn execute(&self, sql: &str, parameters: &[(&(dyn ToSql + Sync), Type)]) -> Result<u64> {
        self.run(sql, self.shared.session.change(sql, parameters)).await
    }

    /// Runs statements without parameters, one after the other: to make tables, say.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub async fn execute_all(&self, statements: &[&str]) -> Result<()> {
        for sql in statements {
            self.execute(sql, &[]).await?;
        }
        Ok(())
    }

    /// Reads all rows that a query gives.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub async fn query(&self, sql: &str, parameters: &[(&(dyn ToSql + Sync), Type)]) -> Result<Vec<Row>> {
        self.run(sql, self.shared.session.query(sql, parameters)).await
    }

    /// Reads the first row that a query gives, if it gives one.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub async fn query_one(
        &self,
        sql: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Option<Row>> {
        Ok(self.query(sql, parameters).await?.into_iter().next())
    }

    /// Sends a statement behind those before it, and does not wait for its answer: a handler that needs none, such as one
    /// that adds to a sum, costs no round trip then. Statements take effect in the order in which they are sent and run, and
    /// all are answered before the batch is committed; one that fails fails its event, as if it had been waited for.
    ///
    /// # Errors
    /// As [`execute`](Self::execute), for what is known already: of the statement itself nothing is.
    ///
    /// ```no_run
    /// use sidestream::projection::PostgresRows;
    /// use sidestream::projection::postgres::tokio_postgres::types::Type;
    ///
    /// # async fn run(rows: &PostgresRows, account: &str, minor: i64) -> sidestream::Result<()> {
    /// let add = "UPDATE balances SET minor = minor + $2 WHERE account = $1";
    /// rows.send(add, vec![(Box::new(account.to_owned()), Type::TEXT), (Box::new(minor), Type::INT8)]).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn send(&self, sql: &str, parameters: Vec<OwnedParameter>) -> Result<()> {
        self.shared.demand()?;
        admit(sql)?;
        self.shared.send(sql.to_owned(), parameters).await;
        Ok(())
    }

    async fn run<T>(
        &self,
        sql: &str,
        work: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T> {
        let settled = self.shared.pipeline().as_ref().map(Pipeline::settled);
        if let Some(settled) = settled {
            settled.await;
        }
        self.shared.demand()?;
        admit(sql)?;
        let mut unfinished = Unfinished { shared: &self.shared, has_ended: false };
        let result = work.await;
        unfinished.has_ended = true;
        result.map_err(|source| self.shared.told(source))
    }
}

/// A statement that was begun: when nobody hears how it ended, its event has failed.
struct Unfinished<'a> {
    shared: &'a Shared,
    has_ended: bool,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if !self.has_ended {
            self.shared.spoil("a handler's statement was dropped before it returned".to_owned());
        }
    }
}
