//! A transaction of several statements, on a connection that nobody else has meanwhile.

use std::sync::Arc;

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
        session.set_in_transaction(true);
        let transaction = Self { session: Some(session) };
        let begun = transaction.session()?.execute(how).await;
        begun.map_err(|source| failure::of("beginning a transaction", source))?;
        Ok(transaction)
    }

    /// The connection.
    pub(crate) fn session(&self) -> Result<&Arc<Session>> {
        self.session.as_deref().ok_or_else(|| failure::unavailable("the transaction has ended"))
    }

    /// Ends it, by `COMMIT` or `ROLLBACK`. It is certain only when the server says so and warns of nothing. The server
    /// answers a `COMMIT` after a statement that failed with a rollback and no error: the last statement before it must
    /// have succeeded.
    pub(crate) async fn end(mut self, how: &str) -> Result<(), AppendFailure> {
        let session = self.session().map_err(AppendFailure::Refused)?;
        let before = session.notices();
        session.execute(how).await.map_err(failure::committing)?;
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
