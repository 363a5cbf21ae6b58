//! Reading a partition's log.

use tokio_postgres::Row;

use crate::error::{Error, Result};
use crate::event::{EventType, Record};
use crate::store::LogPage;
use crate::store::postgres::row::{Wanted, take};
use crate::store::postgres::types::column;
use crate::store::postgres::types::number;
use crate::stream::Position;

pub(super) const READ: &str = include_str!("sql/read_log.sql");
pub(super) const READ_TYPES: &str = include_str!("sql/read_types.sql");

/// Puts a page together from rows by position, of which there are more than `limit` where records follow. Where `types` are
/// given, rows bring records of others along.
pub(super) fn page(
    rows: &[Row],
    after: Position,
    limit: usize,
    types: Option<&[EventType]>,
) -> Result<LogPage> {
    let first = rows.first().ok_or_else(|| Error::invalid("the partition does not exist"))?;
    let head = Position::new(number(column(first, 0)?));
    let mut records = Vec::with_capacity(rows.len());
    let no_framework = |types: &[EventType]| !types.iter().any(|name| name.as_str().starts_with('$'));
    let wanted = if types.is_some_and(no_framework) { Wanted::Own } else { Wanted::All };
    for row in rows {
        take(&mut records, row, 1, wanted)?;
    }
    let is_wanted = |record: &Record| {
        record.position > after && types.is_none_or(|types| types.contains(&record.data.event_type))
    };
    records.retain(is_wanted);
    let is_cut = records.len() > limit;
    records.truncate(limit);
    let last = records.last().map_or(after, |record| record.position);
    Ok(LogPage { records, read_to: if is_cut { last } else { head.max(after) }, head })
}
