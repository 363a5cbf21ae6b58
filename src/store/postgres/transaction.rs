//! A transaction of several statements, on a connection that nobody else has meanwhile.

use std::sync::Arc;

use crate::error::Result;
use crate::store::AppendFailure;
use crate::store::postgres::failure;
use crate::store::postgres::pool::Lent;

/// An open transaction. Dropped, it is undone at once: its connection is closed, and nobody gets it again.
pub(crate) struct Transaction {
    /// None once it has ended well.
    session: Option<Arc<Lent>>,
}

impl Transaction {
    /// Begins it, by this statement.
    pub(crate) async fn begin(mut session: Lent, how: &str) -> Result<Self> {
        session.in_transaction = true;
        let session = Arc::new(session);
        let transaction = Self { session: Some(Arc::clone(&session)) };
        let begun = session.execute(how).await;
        begun.map_err(|source| failure::of("beginning a transaction", source))?;
        Ok(transaction)
    }

    /// The connection.
    pub(crate) fn session(&self) -> Result<&Arc<Lent>> {
        self.session.as_ref().ok_or_else(|| failure::unavailable("the transaction has ended"))
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
        match self.session.take().map(Arc::try_unwrap) {
            Some(Ok(mut session)) => session.in_transaction = false,
            // Somebody still has it: nobody else may.
            Some(Err(shared)) => shared.sever(),
            None => {}
        }
        Ok(())
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        let Some(session) = self.session.take() else { return };
        session.sever();
        if let Some(session) = Arc::into_inner(session) {
            drop(Lent::take(session));
        }
    }
}
