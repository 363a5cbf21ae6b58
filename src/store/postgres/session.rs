//! One connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::{TryStreamExt, pin_mut};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::store::postgres::address::Address;
use crate::store::postgres::notices::{Notices, carry};

/// A parameter and its type. Statements are unnamed and are parsed with each call: a pooler in front of the server
/// may give each call to another connection.
pub(crate) type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// A connection, and what the server warned of on it.
pub(crate) struct Session {
    client: Client,
    notices: Arc<Notices>,
    carrier: AbortHandle,
    tls: MakeRustlsConnect,
    /// A transaction was begun on it and has not been ended: nobody else may have it.
    in_transaction: AtomicBool,
}

impl Session {
    pub(crate) async fn open(address: &Address) -> Result<Self, tokio_postgres::Error> {
        let (client, connection) = address.config.connect(address.tls.clone()).await?;
        let notices = Arc::new(Notices::default());
        let carrier = tokio::spawn(carry(connection, Arc::clone(&notices))).abort_handle();
        Ok(Self {
            client,
            notices,
            carrier,
            tls: address.tls.clone(),
            in_transaction: AtomicBool::new(false),
        })
    }

    pub(super) fn is_usable(&self) -> bool {
        !self.client.is_closed() && !self.in_transaction.load(Ordering::Acquire)
    }

    pub(super) fn set_in_transaction(&self, is_in_one: bool) {
        self.in_transaction.store(is_in_one, Ordering::Release);
    }

    /// Runs a statement to its very end: its rows are given once the server is ready for the next one, and so has
    /// committed.
    pub(crate) async fn query(
        &self,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, tokio_postgres::Error> {
        let parameters = parameters.iter().map(|(value, kind)| (*value, kind.clone()));
        let rows = self.client.query_typed_raw(sql, parameters).await?;
        pin_mut!(rows);
        let mut all = Vec::new();
        while let Some(row) = rows.try_next().await? {
            all.push(row);
        }
        Ok(all)
    }

    /// As [`query`](Self::query), row by row: they are not kept.
    pub(crate) async fn each(
        &self,
        sql: &str,
        parameters: &[Parameter<'_>],
        mut look: impl FnMut(&Row) -> Result<(), tokio_postgres::Error> + Send,
    ) -> Result<(), tokio_postgres::Error> {
        let parameters = parameters.iter().map(|(value, kind)| (*value, kind.clone()));
        let rows = self.client.query_typed_raw(sql, parameters).await?;
        pin_mut!(rows);
        while let Some(row) = rows.try_next().await? {
            look(&row)?;
        }
        Ok(())
    }

    /// As [`query`](Self::query), for a statement whose number of rows is all that is asked for.
    pub(crate) async fn change(
        &self,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<u64, tokio_postgres::Error> {
        let parameters = parameters.iter().map(|(value, kind)| (*value, kind.clone()));
        let rows = self.client.query_typed_raw(sql, parameters).await?;
        pin_mut!(rows);
        while rows.try_next().await?.is_some() {}
        Ok(rows.rows_affected().unwrap_or(0))
    }

    /// Runs statements without parameters.
    pub(crate) async fn execute(&self, sql: &str) -> Result<(), tokio_postgres::Error> {
        self.client.batch_execute(sql).await
    }

    /// Closes the connection, whoever else still holds it, and stops the statement that runs on it: the server undoes
    /// its transaction, and lets go of what that locked.
    pub(crate) fn sever(&self) {
        self.carrier.abort();
        let (token, tls) = (self.client.cancel_token(), self.tls.clone());
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move { drop(token.cancel_query(tls).await) });
        }
    }

    pub(super) fn notices(&self) -> u64 {
        self.notices.count()
    }

    /// What the server warned of since there were so many notices.
    pub(super) fn warned_since(&self, count: u64) -> Option<String> {
        (self.notices.count() > count).then(|| self.notices.last().unwrap_or_default())
    }
}
