//! The table of guarded rows.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Params, Row as Found, params};

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::limits;
use crate::partition::PartitionId;
use crate::store::rows::{KeptRow, Row, RowContent, RowKey, RowSelection, RowsRead, behind};
use crate::store::sqlite::failure;
use crate::store::transfer::RowPlace;

const READ: &str = include_str!("sql/row.sql");
const PUT: &str = include_str!("sql/put_row.sql");
const FORGET: &str = include_str!("sql/forget_row.sql");
const ALL: &str = include_str!("sql/kept_rows.sql");
const BY_KEY: &str = include_str!("sql/rows_by_key.sql");
const BY_PREFIX: &str = include_str!("sql/rows_by_prefix.sql");

/// What is kept of a row, as of the transaction that is open.
pub(super) fn found(connection: &Connection, partition: PartitionId, key: &RowKey) -> Result<KeptRow> {
    let read = || -> rusqlite::Result<Option<KeptRow>> {
        let parameters = params![partition.get(), key.space(), key.key()];
        connection.prepare_cached(READ)?.query_row(parameters, |row| kept(row, 0)).optional()
    };
    let found = read().map_err(|source| failure::of("reading a row", source))?;
    Ok(found.unwrap_or(KeptRow::NEVER))
}

/// Writes what is kept of a row from now on; nothing of one that was forgotten.
pub(super) fn put(
    connection: &Connection,
    partition: PartitionId,
    key: &RowKey,
    row: &KeptRow,
) -> rusqlite::Result<()> {
    if *row == KeptRow::NEVER {
        let parameters = params![partition.get(), key.space(), key.key()];
        return connection.prepare_cached(FORGET)?.execute(parameters).map(drop);
    }
    let (revision, epoch) = (row.revision.cast_signed(), row.epoch.cast_signed());
    let content = row.content.as_ref();
    let expires_at = content.and_then(|content| content.expires_at).map(Timestamp::as_micros);
    let value = content.map(|content| &*content.value);
    let at = row.changed_at.as_micros();
    let parameters = params![partition.get(), key.space(), key.key(), revision, epoch, at, expires_at, value];
    connection.prepare_cached(PUT)?.execute(parameters).map(drop)
}

/// What is kept of all rows, by partition, space and key, after one.
pub(super) fn all(
    connection: &Connection,
    after: Option<&RowPlace>,
    limit: usize,
) -> Result<Vec<(RowPlace, KeptRow)>> {
    let (partition, space, key) =
        after.map_or((0, "", ""), |(partition, key)| (partition.get(), key.space(), key.key()));
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let read = || -> rusqlite::Result<Vec<(u16, String, String, KeptRow)>> {
        let mut statement = connection.prepare_cached(ALL)?;
        let found = statement.query_map(params![partition, space, key, limit], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, kept(row, 3)?))
        });
        found?.collect()
    };
    let found = read().map_err(|source| failure::of("reading rows", source))?;
    let place =
        |(partition, space, key, row)| Ok(((PartitionId::new(partition), RowKey::new(space, key)?), row));
    found.into_iter().map(place).collect()
}

/// The rows that a read asks for, by key, as of one moment.
pub(super) fn page(connection: &Connection, read: &RowsRead) -> Result<Vec<Row>> {
    let (partition, space) = (read.partition.get(), read.space.as_str());
    let found = match &read.which {
        RowSelection::Keys(keys) => {
            let keys = serde_json::json!(keys).to_string();
            select(connection, BY_KEY, params![partition, space, keys])
        }
        RowSelection::Prefix { prefix, after, limit } => {
            let after = after.as_deref().unwrap_or_default();
            let limit = i64::try_from((*limit).min(limits::PAGE_ROWS)).unwrap_or(0);
            select(connection, BY_PREFIX, params![partition, space, after, prefix, behind(prefix), limit])
        }
    };
    let found = found.map_err(|source| failure::of("reading rows", source))?;
    found.into_iter().map(|(key, row)| there(space, key, row)).collect()
}

fn select(
    connection: &Connection,
    sql: &str,
    parameters: impl Params,
) -> rusqlite::Result<Vec<(String, KeptRow)>> {
    let mut statement = connection.prepare_cached(sql)?;
    statement.query_map(parameters, |row| Ok((row.get(0)?, kept(row, 1)?)))?.collect()
}

fn there(space: &str, key: String, row: KeptRow) -> Result<Row> {
    let key = RowKey::new(space, key)
        .map_err(|source| Error::corrupt("the key of a row cannot be read").caused_by(source))?;
    let name = key.to_string();
    row.into_row(key).ok_or_else(|| Error::corrupt(format!("row {name} was removed, and is there")))
}

/// What is kept of a row, from its numbers on.
fn kept(row: &Found<'_>, from: usize) -> rusqlite::Result<KeptRow> {
    let at = |place: usize| from.saturating_add(place);
    let value: Option<Vec<u8>> = row.get(at(4))?;
    let expires_at = row.get::<_, Option<i64>>(at(3))?.map(Timestamp::from_micros);
    Ok(KeptRow {
        revision: row.get::<_, i64>(at(0))?.cast_unsigned(),
        epoch: row.get::<_, i64>(at(1))?.cast_unsigned(),
        changed_at: Timestamp::from_micros(row.get(at(2))?),
        content: value.map(|value| RowContent { value: Bytes::from(value), expires_at }),
    })
}
