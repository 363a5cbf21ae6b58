//! Which store it is, and of how many partitions.

use uuid::Uuid;

use crate::error::{Error, Result};
use crate::partition::PartitionCount;
use crate::store::postgres::failure;
use crate::store::postgres::session::Session;
use crate::store::postgres::types::column;
use crate::store::{Atomicity, LogScope, StoreProperties};

const META: &str = include_str!("sql/meta.sql");

/// What the store says of itself; it must have as many partitions as are expected.
pub(super) async fn properties(
    session: &Session,
    expected: Option<PartitionCount>,
) -> Result<StoreProperties> {
    let rows = session.query(META, &[]).await;
    let rows = rows.map_err(|source| failure::of("reading what the store is", source))?;
    let mut id = None;
    let mut partitions = None;
    for row in &rows {
        let (key, value): (String, String) = (column(row, 0)?, column(row, 1)?);
        match key.as_str() {
            "id" => id = Uuid::try_parse(&value).ok(),
            "partitions" => partitions = value.parse().ok().and_then(|count| PartitionCount::new(count).ok()),
            _ => {}
        }
    }
    let (Some(id), Some(partitions)) = (id, partitions) else {
        return Err(Error::corrupt("sidestream.meta does not say what the store is"));
    };
    if let Some(expected) = expected.filter(|expected| *expected != partitions) {
        return Err(Error::invalid("the store has another number of partitions")
            .expected(expected.get(), partitions.get())
            .advice("open it with the number that it was made with, or without one; it is fixed for ever"));
    }
    Ok(StoreProperties { id, partitions, atomicity: Atomicity::Batch, log: LogScope::AllStreams })
}
