//! Closing partitions at a time. The writer does it between two commits: whatever was stamped before is visible by
//! then, or known to be dead. See [`closing`].

use std::sync::Arc;

use rusqlite::{Connection, params};

use crate::clock::Timestamp;
use crate::error::Result;
use crate::hash::HashMap;
use crate::partition::{PartitionCount, PartitionId};
use crate::store::closing;
use crate::store::sqlite::halt::Halt;
use crate::store::sqlite::index::live::Live;
use crate::store::sqlite::index::outline::Head;
use crate::store::sqlite::writer::Writer;
use crate::store::sqlite::{failure, row};

const PUT: &str = include_str!("sql/put_closed.sql");
const READ: &str = include_str!("sql/closed.sql");

/// Closes partitions, by one commit, or none where all have passed `through`.
pub(super) fn close(
    writer: &mut Writer,
    partitions: &[PartitionId],
    through: Timestamp,
) -> Result<Vec<Timestamp>> {
    if let Some(error) = writer.mark().refuses_appends() {
        return Err(error);
    }
    let (live, now, count) = (Arc::clone(writer.live()), writer.now(), writer.properties().partitions);
    let mut raised: HashMap<PartitionId, Head> = HashMap::default();
    let mut times = Vec::with_capacity(partitions.len());
    for partition in partitions {
        let head = raised.get(partition).copied().or_else(|| live.head(*partition));
        let head = head.ok_or_else(|| row::no_partition(*partition, count))?;
        let (closed, least) = closing::close(head.time, through, now);
        if least != head.time {
            raised.insert(*partition, Head { time: least, ..head });
        }
        times.push(closed);
    }
    raise(writer, raised)?;
    Ok(times)
}

/// Raises the least times of partitions.
pub(super) fn raise(writer: &mut Writer, raised: HashMap<PartitionId, Head>) -> Result<()> {
    if raised.is_empty() {
        return Ok(());
    }
    writer.write(|connection| {
        put(connection, &raised).map_err(|error| Halt::before_commit("closing partitions", error))
    })?;
    writer.live().publish(&[], raised);
    Ok(())
}

fn put(connection: &Connection, raised: &HashMap<PartitionId, Head>) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(PUT)?;
    for (partition, head) in raised {
        statement.execute(params![partition.get(), head.time.as_micros()])?;
    }
    Ok(())
}

/// At a start: has the partitions be closed as they were, once the log is read.
pub(super) fn load(connection: &Connection, live: &Live, partitions: PartitionCount) -> Result<()> {
    let read = || -> rusqlite::Result<Vec<(u16, i64)>> {
        let mut statement = connection.prepare_cached(READ)?;
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    };
    let found = read().map_err(|source| failure::of("reading when partitions were closed", source))?;
    for (partition, least) in found {
        let partition = PartitionId::new(partition);
        let head = live.head(partition).ok_or_else(|| row::no_partition(partition, partitions))?;
        let time = head.time.max(Timestamp::from_micros(least));
        live.publish(&[], [(partition, Head { time, ..head })]);
    }
    Ok(())
}
