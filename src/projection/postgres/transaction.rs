//! One transaction of the view's: begun, handed to handlers, ended.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_postgres::types::Type;

use crate::clock;
use crate::error::{Error, ErrorKind, Result};
use crate::projection::batch::Batch;
use crate::projection::failure::{ViewFailure, lost};
use crate::projection::postgres::catalogue::{Entered, signed};
use crate::projection::postgres::failure::{failed, uncommitted};
use crate::projection::postgres::rows::{PostgresRows, Shared, Trouble};
use crate::projection::postgres::workers::Workers;
use crate::projection::progress::Progress;
use crate::store::postgres::{Lent, Parameter, Session, Transaction};

const BEGIN: &str = include_str!("sql/view_begin.sql");
/// How long a transaction may be idle beyond what its handlers may take.
const IDLE: Duration = Duration::from_secs(30);

/// A transaction of the view's. Dropped, it is undone, and its connection closed.
pub(super) struct Open {
    transaction: Transaction,
    timeout: Duration,
    entered: Entered,
}

impl Open {
    /// Begins it: durable, on a quorum where that is demanded, and ended by the server when its runner sleeps for longer
    /// than handlers may take. It is led to the tables of a generation; of the live one where none is named.
    pub(super) async fn begin(
        lent: Lent,
        quorum: bool,
        timeout: Duration,
        generation: Option<u32>,
    ) -> Result<Self> {
        let transaction = Transaction::begin(lent, "BEGIN ISOLATION LEVEL READ COMMITTED").await?;
        // A handler is given up after at most twice its time.
        let idle = timeout.saturating_mul(2).saturating_add(IDLE).as_millis();
        let idle = i64::from(i32::try_from(idle).unwrap_or(i32::MAX));
        let generation = generation.map(signed);
        let parameters: [Parameter<'_>; 3] =
            [(&quorum, Type::BOOL), (&idle, Type::INT8), (&generation, Type::INT4)];
        let begun = transaction.session()?.query(BEGIN, &parameters).await;
        let begun = begun.map_err(|source| failed("beginning a view's transaction", source))?;
        Ok(Self { transaction, timeout, entered: Entered::of(&begun)? })
    }

    /// Which generation it was led to, and what that was then.
    pub(super) fn entered(&self) -> Entered {
        self.entered
    }

    pub(super) fn session(&self) -> Result<&Session> {
        self.transaction.session().map(|session| &**session)
    }

    /// Runs handlers on a thread. What the database failed at is not theirs.
    pub(super) async fn handle(
        &self,
        workers: &Workers,
        batch: Batch<PostgresRows>,
    ) -> Result<(), ViewFailure> {
        let (progress, runtime) = (Arc::new(Progress::default()), Handle::current());
        let watched = Arc::clone(&progress);
        let shared = Shared::new(Arc::clone(self.transaction.session()?), Arc::clone(&progress));
        let (revoked, given) = (Arc::clone(&shared), Arc::clone(&shared));
        let job = move || {
            let mut rows = PostgresRows::new(given);
            batch.run(&mut rows, &progress, &runtime)
        };
        let taken = workers.take();
        let worker = taken.worker().ok_or_else(busy)?;
        let done = worker.run(watched, self.timeout, move || (move || revoked.revoke(), job)).await;
        let done = done.map_err(|how| lost(how, self.timeout))?;
        if clock::within(self.timeout, shared.settle()).await.is_none() {
            shared.revoke();
            return Err(unanswered(self.timeout).into());
        }
        match (done, shared.close()) {
            (_, Some(Trouble::Database(error))) => Err(error.into()),
            (Err(ViewFailure::Handler { index, cause, error }), Some(Trouble::Handler(at, _)))
                if index == at =>
            {
                Err(ViewFailure::Handler { index, cause, error })
            }
            (_, Some(Trouble::Handler(index, cause))) => {
                Err(ViewFailure::Handler { index, cause, error: None })
            }
            (done, None) => done,
        }
    }

    /// Commits what was done, or undoes it, and so keeps the connection. The last statement before a commit must have
    /// succeeded.
    pub(super) async fn end<T>(self, done: Result<T, ViewFailure>) -> Result<T, ViewFailure> {
        match done {
            Ok(done) => {
                self.transaction.end("COMMIT").await.map_err(uncommitted)?;
                Ok(done)
            }
            Err(failure) => {
                // A connection that was given up is not spoken to any more.
                if let Err(error) = self.transaction.end("ROLLBACK").await {
                    tracing::debug!(%error, "a view's connection is given up");
                }
                Err(failure)
            }
        }
    }
}

fn unanswered(limit: Duration) -> Error {
    Error::new(ErrorKind::Unavailable, "statements that handlers sent were not answered in time")
        .expected(format!("answers within {limit:?}"), "none")
}

fn busy() -> Error {
    Error::new(ErrorKind::Unavailable, "all threads of a view are taken")
}
