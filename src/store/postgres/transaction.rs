//! A transaction of several statements, on a connection that nobody else has meanwhile.

use std::sync::Arc;

use futures_util::future;

use crate::error::Result;
use crate::store::AppendFailure;
use crate::store::postgres::failure;
use crate::store::postgres::pool::Lent;
use crate::store::postgres::session::Session;

/// An open transaction. Dropped, it is undone at once: its connection is closed, and nobody gets it again.
pub(crate) struct Transaction {
    /// None once it has ended well.
    session: Option<Lent>,
}

impl Transaction {
    /// Begins it, by this statement.
    pub(crate) async fn begin(session: Lent, how: &str) -> Result<Self> {
        Ok(Self::begin_with(session, how, async |_| ()).await?.0)
    }

    /// Begins it, and sends its first statement along without waiting.
    pub(super) async fn begin_with<T>(
        session: Lent,
        how: &str,
        first: impl AsyncFnOnce(&Session) -> T,
    ) -> Result<(Self, T)> {
        session.set_in_transaction(true);
        let transaction = Self { session: Some(session) };
        let session = transaction.session()?;
        // Statements are sent when they are polled first: in this order.
        let (begun, first) = future::join(session.execute(how), first(session)).await;
        begun.map_err(|source| failure::of("beginning a transaction", source))?;
        Ok((transaction, first))
    }

    /// The connection.
    pub(crate) fn session(&self) -> Result<&Arc<Session>> {
        self.session.as_deref().ok_or_else(|| failure::unavailable("the transaction has ended"))
    }

    /// Ends it, by `COMMIT` or `ROLLBACK`. It is certain only when the server says so and warns of nothing. The server
    /// answers a `COMMIT` after a statement that failed with a rollback and no error: the last statement before it must
    /// have succeeded.
    pub(crate) async fn end(self, how: &str) -> Result<(), AppendFailure> {
        self.end_with(async |_| Ok(()), how).await
    }

    /// Sends a last statement, and the end along without waiting. Where the statement fails, so has all of it, if it is
    /// the server that says so: anything else has to be [`Unknown`](AppendFailure::Unknown).
    pub(super) async fn end_with(
        mut self,
        last: impl AsyncFnOnce(&Session) -> Result<(), AppendFailure>,
        how: &str,
    ) -> Result<(), AppendFailure> {
        let session = self.session().map_err(AppendFailure::Refused)?;
        let before = session.notices();
        let (last, ended) = future::join(last(session), session.execute(how)).await;
        last?;
        ended.map_err(failure::committing)?;
        if let Some(warning) = session.warned_since(before) {
            return Err(failure::warned(warning));
        }
        // Where somebody still has it, nobody else may: dropping closes it.
        if let Some(session) = self.session.take_if(|session| Arc::strong_count(session) == 1) {
            session.set_in_transaction(false);
        }
        Ok(())
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            session.sever();
            // Its place in the pool is free at once, whoever else still holds it.
            drop(Lent::take(session));
        }
    }
}
