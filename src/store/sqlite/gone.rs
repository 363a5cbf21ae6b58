//! In a copy: streams of which nothing is left. The log has to say how far they went, so each takes the place of a
//! record that was removed. There are always enough: a stream that has a floor lost at least one.

use rusqlite::{Connection, params};

use crate::error::Result;
use crate::partition::PartitionId;
use crate::store::sqlite::failure;
use crate::stream::{StreamName, Version};

const ADD: &str = include_str!("sql/add_gone.sql");
const NEXT: &str = include_str!("sql/gone.sql");
const REMOVE: &str = include_str!("sql/remove_gone.sql");

/// Adds a stream that needs a place.
pub(super) fn add(
    connection: &Connection,
    stream: &StreamName,
    partition: PartitionId,
    head: Version,
) -> rusqlite::Result<()> {
    let parameters = params![stream.as_str(), partition.get(), head.get().cast_signed()];
    connection.prepare_cached(ADD)?.execute(parameters).map(drop)
}

/// The streams of a partition that wait for a place.
pub(super) struct Waiting<'a> {
    connection: &'a Connection,
    partition: PartitionId,
}

impl<'a> Waiting<'a> {
    pub(super) fn new(connection: &'a Connection, partition: PartitionId) -> Self {
        Self { connection, partition }
    }

    pub(super) fn partition(&self) -> PartitionId {
        self.partition
    }

    /// Takes out some of them, at most `most`.
    pub(super) fn take(&mut self, most: usize) -> Result<Vec<(StreamName, Version)>> {
        let take = || -> rusqlite::Result<Vec<(String, i64)>> {
            let limit = i64::try_from(most).unwrap_or(i64::MAX);
            let mut statement = self.connection.prepare_cached(NEXT)?;
            let rows = statement
                .query_map(params![self.partition.get(), limit], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let taken: Vec<(String, i64)> = rows.collect::<rusqlite::Result<_>>()?;
            for (stream, _) in &taken {
                self.connection.prepare_cached(REMOVE)?.execute([stream])?;
            }
            Ok(taken)
        };
        let taken = take().map_err(|source| failure::of("looking for streams without records", source))?;
        let parse = |(stream, head): (String, i64)| {
            Ok((StreamName::parse(&stream)?, Version::new(head.cast_unsigned())))
        };
        taken.into_iter().map(parse).collect()
    }
}
