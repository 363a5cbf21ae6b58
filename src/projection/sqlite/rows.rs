//! What a handler is given to work on.

use std::sync::Arc;

use rusqlite::{OptionalExtension, Params, Row};

use crate::error::Result;
use crate::projection::sqlite::state::State;

/// The rows of a view, within the view's transaction. Statements are prepared once and kept.
///
/// A handler cannot begin, commit or roll back, attach databases, change settings, or write to tables whose names begin
/// with `sidestream_`. The functions that it gives to queries run while the connection is locked: they read their row and
/// return.
#[derive(Debug)]
pub struct SqliteRows {
    state: Arc<State>,
    lease: u64,
}

impl SqliteRows {
    pub(super) fn new(state: Arc<State>, lease: u64) -> Self {
        Self { state, lease }
    }

    /// Runs a statement, and says how many rows it changed.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) with SQLite's error when the statement or what it was given is wrong;
    /// [`Unavailable`](crate::ErrorKind::Unavailable) when the database fails: the handler's result counts no more then,
    /// and it is called again when the database is back. [`Fenced`](crate::ErrorKind::Fenced) when the handler was given up.
    pub fn execute(&mut self, sql: &str, parameters: impl Params) -> Result<usize> {
        self.state.in_handler(self.lease, |connection| connection.prepare_cached(sql)?.execute(parameters))
    }

    /// Runs statements without parameters, one after the other: to make tables, say.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub fn execute_all(&mut self, sql: &str) -> Result<()> {
        self.state.in_handler(self.lease, |connection| connection.execute_batch(sql))
    }

    /// Reads the first row that a query gives, if it gives one.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub fn one<T>(
        &mut self,
        sql: &str,
        parameters: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>> {
        self.state.in_handler(self.lease, |connection| {
            connection.prepare_cached(sql)?.query_row(parameters, read).optional()
        })
    }

    /// Reads all rows that a query gives.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub fn all<T>(
        &mut self,
        sql: &str,
        parameters: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        self.state.in_handler(self.lease, |connection| {
            connection.prepare_cached(sql)?.query_map(parameters, read)?.collect()
        })
    }
}
