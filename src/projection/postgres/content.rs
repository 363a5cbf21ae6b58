//! The rows of a generation as one number.

use std::error::Error as StdError;

use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type};

use crate::error::{Error, Result};
use crate::projection::content::{ContentHash, Hasher};
use crate::projection::postgres::failure::{failed, is_of_the_database};
use crate::projection::postgres::statement::admit;
use crate::store::postgres::Session;

const ALL_ROWS: &str = include_str!("sql/view_all_rows.sql");

/// Which rows of two generations must be the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PostgresContent {
    /// All columns of these tables, whatever the order of their rows. Numbers that the server hands out by itself
    /// (identity columns, sequences) are not the same in two generations: name queries instead where a table has some.
    Tables(Vec<String>),
    /// What these queries give, in the order in which they give it: let each have an `ORDER BY` that leaves nothing open.
    Queries(Vec<String>),
}

impl PostgresContent {
    /// All columns of these tables, each named as handlers name it, without a schema.
    pub fn tables<T: Into<String>>(tables: impl IntoIterator<Item = T>) -> Self {
        Self::Tables(tables.into_iter().map(Into::into).collect())
    }

    /// What these queries give, in order.
    pub fn queries<Q: Into<String>>(queries: impl IntoIterator<Item = Q>) -> Self {
        Self::Queries(queries.into_iter().map(Into::into).collect())
    }

    /// The hash of the generation that the transaction was led to. Rows are taken in one after the other.
    pub(super) async fn hash(&self, session: &Session) -> Result<ContentHash> {
        let queries: Vec<String> = match self {
            Self::Queries(queries) => queries.clone(),
            Self::Tables(tables) => tables.iter().map(|table| all_rows(table)).collect(),
        };
        let mut hasher = Hasher::default();
        for query in &queries {
            admit(query)?;
            hasher.value(b'q', query.as_bytes());
            session.each(query, &[], |row| take_in(row, &mut hasher)).await.map_err(differing)?;
        }
        Ok(hasher.end())
    }
}

/// A query for a table, which orders its rows by all of their columns.
fn all_rows(table: &str) -> String {
    ALL_ROWS.trim_end().replace("?1", &format!("\"{}\"", table.replace('"', "\"\"")))
}

fn take_in(row: &Row, hasher: &mut Hasher) -> Result<(), tokio_postgres::Error> {
    hasher.value(b'r', &[]);
    for column in 0..row.len() {
        match row.try_get::<_, Option<Raw<'_>>>(column)? {
            Some(Raw(bytes)) => hasher.value(b'v', bytes),
            None => hasher.value(b'n', &[]),
        }
    }
    Ok(())
}

/// A value as the server sends it.
struct Raw<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(Self(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

fn differing(source: tokio_postgres::Error) -> Error {
    if is_of_the_database(&source) {
        return failed("comparing generations", source);
    }
    Error::invalid("the rows of two generations cannot be compared")
        .advice("name tables and queries as handlers do, without a schema, and such as both generations have")
        .caused_by(source)
}
