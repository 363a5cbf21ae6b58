//! Removing the first records of a stream, slice by slice.

use rusqlite::{Connection, params};

use crate::error::Error;
use crate::store::sqlite::batch::Halt;
use crate::store::sqlite::key::StreamKey;
use crate::store::sqlite::reader;
use crate::stream::{StreamName, Version};

const REMOVE: &str = include_str!("sql/truncate_records.sql");
const RAISE_FLOOR: &str = include_str!("sql/raise_floor.sql");

/// Records that one transaction removes: commands wait for it, so it is short. Each slice raises the
/// floor by what it removed, so a crash between two leaves a stream that is truncated less far.
const SLICE_RECORDS: u64 = 4_096;

/// Removes the next slice and returns the floor it reaches.
pub(super) fn slice(connection: &Connection, stream: &StreamName, through: Version) -> Result<Version, Halt> {
    let key = StreamKey::of(stream);
    let (floor, head) = reader::bounds(connection, &key).map_err(Halt::Refused)?;
    if through > head {
        return Err(Halt::Refused(
            Error::invalid("cannot truncate above the head")
                .in_stream(stream)
                .expected(format!("at most version {head}"), through),
        ));
    }
    if through <= floor {
        return Ok(floor);
    }
    let reached = through.min(floor.plus(SLICE_RECORDS));
    remove(connection, &key, reached).map_err(|e| Halt::before_commit("removing records", e))?;
    Ok(reached)
}

fn remove(connection: &Connection, key: &StreamKey, reached: Version) -> rusqlite::Result<()> {
    let parameters = params![key.bytes, reached.get().cast_signed()];
    connection.prepare_cached(REMOVE)?.execute(parameters)?;
    connection.prepare_cached(RAISE_FLOOR)?.execute(parameters).map(drop)
}
