//! Reading a partition's log.

use tokio_postgres::Row;

use crate::error::{Error, Result};
use crate::store::LogPage;
use crate::store::postgres::row::record;
use crate::store::postgres::types::column;
use crate::store::postgres::types::number;
use crate::stream::Position;

pub(super) const READ: &str = include_str!("sql/read_log.sql");
pub(super) const READ_TYPES: &str = include_str!("sql/read_types.sql");

/// Puts a page together from rows by position, of which there is one more than `limit` where records follow.
pub(super) fn page(rows: &[Row], after: Position, limit: usize) -> Result<LogPage> {
    let first = rows.first().ok_or_else(|| Error::invalid("the partition does not exist"))?;
    let head = Position::new(number(column(first, 0)?));
    let mut records = Vec::with_capacity(rows.len());
    for row in rows {
        records.extend(record(row, 1)?);
    }
    let is_cut = records.len() > limit;
    records.truncate(limit);
    let last = records.last().map_or(after, |record| record.position);
    Ok(LogPage { records, read_to: if is_cut { last } else { head.max(after) }, head })
}
