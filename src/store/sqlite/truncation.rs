//! Removing the first records of a stream, slice by slice.

use rusqlite::{Connection, OptionalExtension, params};

use crate::error::{Error, Result};
use crate::store::sqlite::body::Body;
use crate::store::sqlite::failure;
use crate::store::sqlite::halt::Halt;
use crate::store::sqlite::index::live::Live;
use crate::store::sqlite::index::lookup::{self, Located};
use crate::store::stream_key::StreamKey;
use crate::store::{ReadFrom, StreamRead};
use crate::stream::{StreamName, Version};

const UNIT: &str = include_str!("sql/unit.sql");
const CHANGE: &str = include_str!("sql/change_unit.sql");
const FLOOR: &str = include_str!("sql/floor.sql");
const FLOORS: &str = include_str!("sql/floors.sql");
const ANY_FLOOR: &str = include_str!("sql/any_floor.sql");
const RAISE_FLOOR: &str = include_str!("sql/raise_floor.sql");

/// Records that one transaction removes: commands wait for it, so it is short. Each slice raises the
/// floor by what it removed, so a crash between two leaves a stream that is truncated less far.
const SLICE_RECORDS: u64 = 4_096;

/// Removes the next slice and returns the floor it reaches. The units stay, without the records: the indexes
/// go on pointing to them, and can still be made anew.
pub(super) fn slice(
    connection: &Connection,
    live: &Live,
    stream: &StreamName,
    through: Version,
) -> Result<Version, Halt> {
    let floor = floor(connection, stream).map_err(Halt::Refused)?;
    let mut located = locate(connection, live, stream, floor).map_err(Halt::Refused)?;
    let head = located.as_ref().map_or(Version::EMPTY, |located| located.head);
    if through > head {
        return Err(Halt::Refused(
            Error::invalid("cannot truncate above the head")
                .in_stream(stream)
                .expected(format!("at most version {head}"), through),
        ));
    }
    let Some(located) = located.as_mut().filter(|_| through > floor) else { return Ok(floor) };
    let reached = through.min(floor.plus(SLICE_RECORDS));
    remove(connection, located, stream, reached)?;
    let parameters = params![stream.as_str(), reached.get().cast_signed()];
    connection
        .prepare_cached(RAISE_FLOOR)
        .and_then(|mut statement| statement.execute(parameters))
        .map_err(|error| Halt::before_commit("raising a stream's floor", error))?;
    Ok(reached)
}

/// The version at and before which a stream's records are gone.
pub(super) fn floor(connection: &Connection, stream: &StreamName) -> Result<Version> {
    let read = || -> rusqlite::Result<Option<i64>> {
        connection.prepare_cached(FLOOR)?.query_row([stream.as_str()], |row| row.get(0)).optional()
    };
    let found = read().map_err(|source| failure::of("reading a stream's floor", source))?;
    Ok(found.map_or(Version::EMPTY, |version| Version::new(version.cast_unsigned())))
}

/// The streams that have a floor, by name.
pub(super) fn floors(
    connection: &Connection,
    after: Option<&StreamName>,
    limit: usize,
) -> Result<Vec<(StreamName, Version)>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let read = || -> rusqlite::Result<Vec<(String, i64)>> {
        let mut statement = connection.prepare_cached(FLOORS)?;
        let parameters = params![after.map_or("", StreamName::as_str), limit];
        statement.query_map(parameters, |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    };
    let found = read().map_err(|source| failure::of("reading floors", source))?;
    let parse = |(stream, floor): (String, i64)| {
        Ok((StreamName::parse(&stream)?, Version::new(floor.cast_unsigned())))
    };
    found.into_iter().map(parse).collect()
}

/// Whether records of any stream are gone.
pub(super) fn any_floor(connection: &Connection) -> Result<bool> {
    let read = || connection.prepare_cached(ANY_FLOOR)?.query_row([], |row| row.get(0));
    read().map_err(|source| failure::of("looking for floors", source))
}

fn locate(
    connection: &Connection,
    live: &Live,
    stream: &StreamName,
    floor: Version,
) -> Result<Option<Located>> {
    let key = StreamKey::of(stream);
    let read = StreamRead { stream: stream.clone(), from: ReadFrom::After(floor), limit: usize::MAX };
    let (mut recent, sealed) = live.look(&[(key, &read)]);
    let recent = recent.pop().unwrap_or_default();
    lookup::locate(connection, &sealed, &key, &read, floor, recent)
}

fn remove(
    connection: &Connection,
    located: &mut Located,
    stream: &StreamName,
    reached: Version,
) -> Result<(), Halt> {
    while let Some(append) = located.next(connection).map_err(Halt::Refused)? {
        change(connection, append.row.cast_signed(), stream, reached)?;
        if append.last >= reached.get() {
            break;
        }
    }
    Ok(())
}

fn change(connection: &Connection, row: i64, stream: &StreamName, reached: Version) -> Result<(), Halt> {
    let fail = |error| Halt::before_commit("removing records", error);
    let read = connection
        .prepare_cached(UNIT)
        .and_then(|mut statement| statement.query_row([row], |row| row.get::<_, Vec<u8>>(3)).optional());
    let Some(body) = read.map_err(fail)? else { return Ok(()) };
    let changed = Body::parse(&body).and_then(|body| body.without(stream.as_str(), reached));
    let Some(changed) = changed.map_err(|error| Halt::Refused(error.in_stream(stream)))? else {
        return Ok(());
    };
    connection
        .prepare_cached(CHANGE)
        .and_then(|mut statement| statement.execute(params![row, changed]))
        .map(drop)
        .map_err(fail)
}
