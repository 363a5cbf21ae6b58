//! The rows of a file as one number.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

use crate::error::Result;
use crate::projection::content::{ContentHash, Hasher};
use crate::projection::sqlite::file::failed;

/// Which rows of two generations must be the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SqliteContent {
    /// All columns of all tables that are the handlers', whatever their order. Numbers that SQLite hands out by itself are
    /// not the same in two generations: name queries instead where a table has such a column.
    AllTables,
    /// What these queries give, in the order in which they give it: let each have an `ORDER BY` that leaves nothing open.
    Queries(Vec<String>),
}

impl SqliteContent {
    /// What these queries give, in order.
    pub fn queries<Q: Into<String>>(queries: impl IntoIterator<Item = Q>) -> Self {
        Self::Queries(queries.into_iter().map(Into::into).collect())
    }

    /// The hash, as of the connection's transaction.
    pub(super) fn hash(&self, connection: &Connection) -> Result<ContentHash> {
        let fail = |source| failed("comparing generations", source);
        let queries = match self {
            Self::Queries(queries) => queries.clone(),
            Self::AllTables => all_tables(connection).map_err(fail)?,
        };
        let mut hasher = Hasher::default();
        for query in &queries {
            hasher.value(b'q', query.as_bytes());
            rows(connection, query, &mut hasher).map_err(fail)?;
        }
        Ok(hasher.end())
    }
}

/// A query for each table, which orders its rows by all of their columns.
fn all_tables(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut names = connection.prepare(include_str!("sql/view_tables.sql"))?;
    let names: Vec<String> = names.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let query = |name: &String| {
        let all = include_str!("sql/view_all_rows.sql").trim_end().replace("?1", &quoted(name));
        let columns = connection.prepare(&all)?.column_count();
        let order: Vec<_> = (1..=columns).map(|column| column.to_string()).collect();
        Ok(format!("{all} ORDER BY {}", order.join(", ")))
    };
    names.iter().map(query).collect()
}

/// A name as it stands in a statement.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn rows(connection: &Connection, query: &str, hasher: &mut Hasher) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(query)?;
    let columns = statement.column_count();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        hasher.value(b'r', &[]);
        (0..columns).try_for_each(|column| value(row, column, hasher))?;
    }
    Ok(())
}

fn value(row: &Row<'_>, column: usize, hasher: &mut Hasher) -> rusqlite::Result<()> {
    match row.get_ref(column)? {
        ValueRef::Null => hasher.value(b'n', &[]),
        ValueRef::Integer(number) => hasher.value(b'i', &number.to_le_bytes()),
        ValueRef::Real(number) => hasher.value(b'f', &number.to_bits().to_le_bytes()),
        ValueRef::Text(text) => hasher.value(b't', text),
        ValueRef::Blob(blob) => hasher.value(b'b', blob),
    }
    Ok(())
}
