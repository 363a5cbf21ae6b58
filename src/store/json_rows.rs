//! Rows whose value is JSON: read, and written together as their writer expects them.

use std::fmt::Display;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, ErrorKind, Result};
use crate::limits;
use crate::partition::PartitionId;
use crate::store::rows::{
    Row, RowChange, RowExpected, RowKey, RowSelection, RowWrite, RowsPage, RowsRead, WrongRow,
};
use crate::store::{AppendFailure, EventStore, Unit};

/// What a row says.
///
/// # Errors
/// [`Corrupt`](ErrorKind::Corrupt) when it says something else.
pub(crate) fn read<T: DeserializeOwned>(partition: PartitionId, row: &Row) -> Result<T> {
    serde_json::from_slice(&row.value).map_err(|error| {
        Error::corrupt(format!("row {} in partition {partition} cannot be read", row.key)).caused_by(error)
    })
}

/// A row by its key.
pub(crate) async fn find(
    store: &dyn EventStore,
    partition: PartitionId,
    key: &RowKey,
) -> Result<Option<Row>> {
    let which = RowSelection::Keys(vec![key.key().to_owned()]);
    let page = store.rows(RowsRead { partition, space: key.space().to_owned(), which }).await?;
    Ok(page.rows.into_iter().next())
}

/// All rows of a space whose keys begin with `prefix`, however many pages they are; the time is that of the last one.
pub(crate) async fn all(
    store: &dyn EventStore,
    partition: PartitionId,
    (space, prefix): (&str, &str),
) -> Result<RowsPage> {
    let (mut rows, mut after) = (Vec::new(), None);
    loop {
        let which = RowSelection::Prefix { prefix: prefix.to_owned(), after, limit: limits::PAGE_ROWS };
        let page = store.rows(RowsRead { partition, space: space.to_owned(), which }).await?;
        let is_last = page.rows.len() < limits::PAGE_ROWS;
        after = page.rows.last().map(|row| row.key.key().to_owned());
        rows.extend(page.rows);
        if is_last {
            return Ok(RowsPage { rows, at: page.at });
        }
    }
}

/// The value of a row that says `content`.
///
/// # Errors
/// [`Invalid`](ErrorKind::Invalid) when it has no JSON form.
pub(crate) fn value(row: impl Display, content: &impl Serialize) -> Result<Bytes> {
    let unwritable = |error| Error::invalid(format!("row {row} cannot be written as JSON")).caused_by(error);
    serde_json::to_vec(content).map(Bytes::from).map_err(unwritable)
}

/// A row that says `content` from now on, and never expires.
pub(crate) fn put(key: RowKey, expected: RowExpected, content: &impl Serialize) -> Result<RowWrite> {
    let change = RowChange::Put { value: value(&key, content)?, lives: None };
    Ok(RowWrite { key, expected, change })
}

/// Writes rows of one partition together; where one of them is not as expected, none, and that one is returned.
///
/// # Errors
/// Those of the store; after [`Unknown`](ErrorKind::Unknown) they may have been written.
pub(crate) async fn write(
    store: &dyn EventStore,
    partition: PartitionId,
    rows: Vec<RowWrite>,
) -> Result<Result<(), Box<WrongRow>>> {
    match store.append(partition, vec![Unit::of_rows(rows)]).await.into_iter().next() {
        Some(Ok(_)) => Ok(Ok(())),
        Some(Err(AppendFailure::WrongRow(wrong))) => Ok(Err(wrong)),
        Some(Err(AppendFailure::Refused(error) | AppendFailure::Unknown(error))) => Err(error),
        Some(Err(other)) => Err(Error::new(ErrorKind::Unknown, other.to_string())),
        None => Err(Error::new(ErrorKind::Unknown, "the store did not answer")),
    }
}
