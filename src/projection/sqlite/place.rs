//! What a view knows of a place, in its own tables.

use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::feed::JoinPositions;
use crate::partition::PartitionId;
use crate::projection::failure::fenced;
use crate::projection::generation::{Role, Stand};
use crate::projection::parked::{Action, Audited, Operator, Parked};
use crate::projection::place::{Place, ProjectionId};
use crate::projection::sqlite::file::failed;
use crate::projection::view::{Change, Opened};
use crate::stream::Position;

/// Opens a place under an epoch, in the transaction that the caller began.
///
/// A place that is being built is opened under the epoch that it has: it is nobody's yet.
pub(super) fn open(
    connection: &Connection,
    place: &Place,
    (epoch, role): (u64, Role),
    now: Timestamp,
) -> Result<Opened> {
    let fail = |source| failed("opening a place", source);
    let found = find(connection, place).map_err(fail)?;
    let epoch = match role {
        Role::Live => epoch,
        Role::Building(_) => found.as_ref().map_or(0, |found| found.epoch),
    };
    if let Some(found) = &found {
        if found.store != place.store {
            return Err(Error::invalid(format!("{place} of this view follows another store"))
                .expected(place.store, found.store)
                .advice("give each store's projections a view of their own"));
        }
        if found.epoch > epoch {
            return Err(
                fenced(place).expected(format!("at most epoch {epoch}"), format!("epoch {}", found.epoch))
            );
        }
    }
    let (name, version, partition) = key(place);
    let parameters =
        params![name, version, partition, place.store.as_bytes(), signed(epoch)?, now.as_micros()];
    connection
        .prepare_cached(include_str!("sql/view_open.sql"))
        .map_err(fail)?
        .execute(parameters)
        .map_err(fail)?;
    let opened = find(connection, place).map_err(fail)?.ok_or_else(|| fenced(place))?;
    let parked = parked(connection, place).map_err(fail)?;
    let joined = joined(connection, place)?;
    Ok(Opened { position: opened.position, joined, revision: opened.revision, parked })
}

/// The positions of a join that fills the place.
fn joined(connection: &Connection, place: &Place) -> Result<Option<JoinPositions>> {
    let fail = |source| failed("reading a join's positions", source);
    let mut statement = connection.prepare_cached(include_str!("sql/view_joined.sql")).map_err(fail)?;
    let text = statement.query_row(key(place), |row| row.get::<_, String>(0)).optional().map_err(fail)?;
    text.map(|text| JoinPositions::parse(&text)).transpose()
}

/// Demands that the place is where the work says, and tells its epoch.
pub(super) fn guard(
    connection: &Connection,
    place: &Place,
    (epoch, role): (u64, Role),
    (revision, from): (u64, Position),
) -> Result<u64> {
    let found = find(connection, place).map_err(|source| failed("looking at a place", source))?;
    let found = found.ok_or_else(|| fenced(place))?;
    let is_mine = role != Role::Live || found.epoch == epoch;
    if is_mine && (found.revision, found.position) == (revision, from) {
        Ok(found.epoch)
    } else {
        Err(fenced(place))
    }
}

/// Moves the checkpoint, guarded once more by the statement itself.
pub(super) fn advance(
    connection: &Connection,
    place: &Place,
    epoch: u64,
    (revision, from, to): (u64, Position, Position),
    now: Timestamp,
) -> Result<()> {
    let fail = |source| failed("moving a checkpoint", source);
    let (name, version, partition) = key(place);
    let parameters = params![
        name,
        version,
        partition,
        signed(epoch)?,
        signed(revision)?,
        signed(from.get())?,
        signed(to.get())?,
        now.as_micros()
    ];
    let mut statement = connection.prepare_cached(include_str!("sql/view_move.sql")).map_err(fail)?;
    let moved = statement.execute(parameters).map_err(fail)?;
    if moved == 1 { Ok(()) } else { Err(fenced(place)) }
}

/// Writes what changes besides.
pub(super) fn change(connection: &Connection, place: &Place, change: &Change) -> Result<()> {
    let fail = |source| failed("changing what is parked", source);
    let prepare = |sql| connection.prepare_cached(sql).map_err(fail);
    let (name, version, partition) = key(place);
    let changed =
        match change {
            Change::Park(parked) => prepare(include_str!("sql/view_park.sql"))?.execute(params![
                name,
                version,
                partition,
                parked.cardinal,
                signed(parked.position.get())?,
                parked.event_type,
                parked.error,
                parked.attempts,
                parked.since.as_micros(),
                signed(parked.waiting)?
            ]),
            Change::Waiting(cardinal, more) => prepare(include_str!("sql/view_waiting.sql"))?
                .execute(params![name, version, partition, cardinal, signed(*more)?]),
            Change::Unpark(cardinal) => prepare(include_str!("sql/view_unpark.sql"))?
                .execute(params![name, version, partition, cardinal]),
            Change::Joined(joined) => prepare(include_str!("sql/view_join.sql"))?.execute(params![
                name,
                version,
                partition,
                joined.text()?
            ]),
            Change::Audit(audited) => prepare(include_str!("sql/view_audit.sql"))?.execute(params![
                name,
                version,
                partition,
                audited.action.name(),
                audited.cardinal,
                signed(audited.position.get())?,
                audited.by.who,
                audited.by.why,
                audited.at.as_micros()
            ]),
        };
    changed.map(drop).map_err(fail)
}

/// What was done in a place, the latest first.
pub(super) fn audited(
    connection: &Connection,
    place: &Place,
    limit: usize,
) -> rusqlite::Result<Vec<Audited>> {
    let (name, version, partition) = key(place);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(include_str!("sql/view_audited.sql"))?;
    let read = |row: &Row<'_>| {
        let action: String = row.get(0)?;
        let unknown = || rusqlite::Error::InvalidColumnType(0, action.clone(), rusqlite::types::Type::Text);
        Ok(Audited {
            action: Action::named(&action).ok_or_else(unknown)?,
            cardinal: row.get(1)?,
            position: position(row, 2)?,
            by: Operator { who: row.get(3)?, why: row.get(4)? },
            at: Timestamp::from_micros(row.get(5)?),
        })
    };
    statement.query_map(params![name, version, partition, limit], read)?.collect()
}

fn parked(connection: &Connection, place: &Place) -> rusqlite::Result<Vec<Parked>> {
    let (name, version, partition) = key(place);
    let mut statement = connection.prepare_cached(include_str!("sql/view_parked.sql"))?;
    let read = |row: &Row<'_>| {
        Ok(Parked {
            cardinal: row.get(0)?,
            position: position(row, 1)?,
            event_type: row.get(2)?,
            error: row.get(3)?,
            attempts: row.get(4)?,
            since: Timestamp::from_micros(row.get(5)?),
            waiting: row.get::<_, i64>(6)?.cast_unsigned(),
        })
    };
    statement.query_map(params![name, version, partition], read)?.collect()
}

/// Where all places stand.
pub(super) fn stands(connection: &Connection) -> Result<Vec<Stand>> {
    let fail = |source| failed("looking at a view's places", source);
    let mut statement = connection.prepare_cached(include_str!("sql/view_stands.sql")).map_err(fail)?;
    let mut rows = statement.query([]).map_err(fail)?;
    let mut stands = Vec::new();
    while let Some(row) = rows.next().map_err(fail)? {
        stands.push(stand(connection, row).map_err(fail)??);
    }
    Ok(stands)
}

fn stand(connection: &Connection, row: &Row<'_>) -> rusqlite::Result<Result<Stand>> {
    let (name, version, partition): (String, u16, u16) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let mut parked = connection.prepare_cached(include_str!("sql/view_all_parked.sql"))?;
    let parked = parked.query_map(params![name, version, partition], |row| row.get(0))?;
    let (parked, epoch) = (parked.collect::<rusqlite::Result<_>>()?, row.get::<_, i64>(3)?.cast_unsigned());
    let (partition, position) = (PartitionId::new(partition), position(row, 4)?);
    let revision = row.get::<_, i64>(5)?.cast_unsigned();
    Ok(ProjectionId::new(name, version).map(|projection| Stand {
        projection,
        partition,
        epoch,
        revision,
        position,
        parked,
    }))
}

/// Fences lower epochs than the former generation's place had, and everybody who has either of the two open.
pub(super) fn take_over(connection: &Connection, stand: &Stand, former: &Stand) -> Result<()> {
    let fail = |source| failed("taking over an epoch", source);
    let (projection, partition) = (&stand.projection, stand.partition.get());
    let (epoch, revision) = (signed(former.epoch)?, signed(former.revision)?);
    let parameters = params![projection.name(), projection.version(), partition, epoch, revision];
    let sql = include_str!("sql/view_take_over.sql");
    connection.prepare_cached(sql).map_err(fail)?.execute(parameters).map(drop).map_err(fail)
}

/// A place as it is stored.
struct Found {
    store: Uuid,
    epoch: u64,
    revision: u64,
    position: Position,
}

fn find(connection: &Connection, place: &Place) -> rusqlite::Result<Option<Found>> {
    let (name, version, partition) = key(place);
    let read = |row: &Row<'_>| {
        Ok(Found {
            store: Uuid::from_bytes(row.get(0)?),
            epoch: row.get::<_, i64>(1)?.cast_unsigned(),
            revision: row.get::<_, i64>(2)?.cast_unsigned(),
            position: position(row, 3)?,
        })
    };
    let mut statement = connection.prepare_cached(include_str!("sql/view_place.sql"))?;
    statement.query_row(params![name, version, partition], read).optional()
}

fn position(row: &Row<'_>, at: usize) -> rusqlite::Result<Position> {
    row.get::<_, i64>(at).map(|number| Position::new(number.cast_unsigned()))
}

fn key(place: &Place) -> (&str, u16, u16) {
    (place.projection.name(), place.projection.version(), place.partition.get())
}

fn signed(number: u64) -> Result<i64> {
    i64::try_from(number).map_err(|_| {
        Error::invalid("a view cannot keep this number").expected(format!("at most {}", i64::MAX), number)
    })
}
