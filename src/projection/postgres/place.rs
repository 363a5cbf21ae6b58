//! What a view knows of a place, in its own tables.

use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::feed::JoinPositions;
use crate::projection::failure::fenced;
use crate::projection::parked::{Action, Audited, Operator, Parked};
use crate::projection::place::Place;
use crate::projection::postgres::catalogue;
use crate::projection::postgres::failure::failed;
use crate::projection::view::{Change, Opened};
use crate::store::postgres::{Parameter, Session, column};
use crate::stream::Position;

const TURN: &str = include_str!("sql/view_turn.sql");
const OPEN: &str = include_str!("sql/view_open_place.sql");
const FIND: &str = include_str!("sql/view_find_place.sql");
const MOVE: &str = include_str!("sql/view_move_place.sql");
const PARK: &str = include_str!("sql/view_add_parked.sql");
const WAITING: &str = include_str!("sql/view_add_waiting.sql");
const UNPARK: &str = include_str!("sql/view_remove_parked.sql");
const PARKED: &str = include_str!("sql/view_all_parked.sql");
const JOIN: &str = include_str!("sql/view_set_joined.sql");
const JOINED: &str = include_str!("sql/view_joined.sql");
const AUDIT: &str = include_str!("sql/view_add_audit.sql");
const AUDITED: &str = include_str!("sql/view_all_audited.sql");

/// A place of a generation.
#[derive(Debug, Clone, Copy)]
pub(super) struct At<'a> {
    pub(super) generation: u32,
    pub(super) place: &'a Place,
}

/// Waits until no other place of the projection is being opened, to the end of the transaction.
pub(super) async fn take_turn(session: &Session, at: At<'_>) -> Result<()> {
    let parameters: [Parameter<'_>; 2] =
        [(&at.place.projection.name(), Type::TEXT), (&catalogue::signed(at.generation), Type::INT4)];
    let turn = session.query(TURN, &parameters).await;
    turn.map(drop).map_err(|source| failed("waiting to open a place", source))
}

/// Opens a place under an epoch.
pub(super) async fn open(session: &Session, at: At<'_>, epoch: u64, now: Timestamp) -> Result<Opened> {
    let fail = |source| failed("opening a place", source);
    let (key, epoch_is, time) = (Key::of(at), signed(epoch)?, now.as_micros());
    let parameters = key.and(&[(&at.place.store, Type::UUID), (&epoch_is, Type::INT8), (&time, Type::INT8)]);
    let rows = session.query(OPEN, &parameters).await.map_err(fail)?;
    let Some(row) = rows.first() else { return Err(refusal(session, at, epoch).await?) };
    let (position, revision) = (position(row, 0)?, unsigned(row, 1)?);
    let rows = session.query(PARKED, &key.and(&[])).await.map_err(fail)?;
    let parked = rows.iter().map(parked).collect::<Result<_>>()?;
    Ok(Opened { position, joined: joined(session, &key).await?, revision, parked })
}

/// The positions of a join that fills the place.
async fn joined(session: &Session, key: &Key<'_>) -> Result<Option<JoinPositions>> {
    let rows = session.query(JOINED, &key.and(&[])).await;
    let rows = rows.map_err(|source| failed("reading a join's positions", source))?;
    let read = |row: &Row| JoinPositions::parse(&column::<String>(row, 0)?);
    rows.first().map(read).transpose()
}

/// Why a place was not opened.
async fn refusal(session: &Session, at: At<'_>, epoch: u64) -> Result<Error> {
    let Some(found) = find(session, at).await? else { return Ok(fenced(at.place)) };
    if found.store != at.place.store {
        return Ok(Error::invalid(format!("{} of this view follows another store", at.place))
            .expected(at.place.store, found.store)
            .advice("give each store's projections a view of their own"));
    }
    Ok(fenced(at.place).expected(format!("at most epoch {epoch}"), format!("epoch {}", found.epoch)))
}

/// Demands that the place is where the work says.
pub(super) async fn guard(
    session: &Session,
    at: At<'_>,
    epoch: u64,
    (revision, from): (u64, Position),
) -> Result<()> {
    let found = find(session, at).await?;
    let is_mine = |found: &Found| (found.epoch, found.revision, found.position) == (epoch, revision, from);
    if found.as_ref().is_some_and(is_mine) { Ok(()) } else { Err(fenced(at.place)) }
}

/// Moves the checkpoint, where the place is still as the work says. The row stays locked up to the commit.
pub(super) async fn advance(
    session: &Session,
    at: At<'_>,
    epoch: u64,
    (revision, from, to): (u64, Position, Position),
    now: Timestamp,
) -> Result<()> {
    let (key, time) = (Key::of(at), now.as_micros());
    let (epoch, revision) = (signed(epoch)?, signed(revision)?);
    let (from, to) = (signed(from.get())?, signed(to.get())?);
    let parameters = key.and(&[
        (&epoch, Type::INT8),
        (&revision, Type::INT8),
        (&from, Type::INT8),
        (&to, Type::INT8),
        (&time, Type::INT8),
    ]);
    let moved = session.change(MOVE, &parameters).await;
    let moved = moved.map_err(|source| failed("moving a checkpoint", source))?;
    if moved == 1 { Ok(()) } else { Err(fenced(at.place)) }
}

/// Writes what changes besides.
pub(super) async fn change(session: &Session, at: At<'_>, change: &Change) -> Result<()> {
    let changed = match change {
        Change::Park(parked) => return park(session, at, parked).await,
        Change::Audit(audited) => return audit(session, at, audited).await,
        Change::Waiting(cardinal, more) => {
            let more = signed(*more)?;
            let key = Key::of(at);
            session.change(WAITING, &key.and(&[(cardinal, Type::TEXT), (&more, Type::INT8)])).await
        }
        Change::Joined(joined) => {
            let positions = joined.text()?;
            session.change(JOIN, &Key::of(at).and(&[(&positions, Type::TEXT)])).await
        }
        Change::Unpark(cardinal) => session.change(UNPARK, &Key::of(at).and(&[(cardinal, Type::TEXT)])).await,
    };
    changed.map(drop).map_err(|source| failed("changing what is parked", source))
}

async fn park(session: &Session, at: At<'_>, parked: &Parked) -> Result<()> {
    let (position, waiting) = (signed(parked.position.get())?, signed(parked.waiting)?);
    let (attempts, since) = (i64::from(parked.attempts), parked.since.as_micros());
    let key = Key::of(at);
    let parameters = key.and(&[
        (&parked.cardinal, Type::TEXT),
        (&position, Type::INT8),
        (&parked.event_type, Type::TEXT),
        (&parked.error, Type::TEXT),
        (&attempts, Type::INT8),
        (&since, Type::INT8),
        (&waiting, Type::INT8),
    ]);
    let parked = session.change(PARK, &parameters).await;
    parked.map(drop).map_err(|source| failed("parking an aggregate", source))
}

async fn audit(session: &Session, at: At<'_>, audited: &Audited) -> Result<()> {
    let (position, time, action) =
        (signed(audited.position.get())?, audited.at.as_micros(), audited.action.name());
    let key = Key::of(at);
    let parameters = key.and(&[
        (&action, Type::TEXT),
        (&audited.cardinal, Type::TEXT),
        (&position, Type::INT8),
        (&audited.by.who, Type::TEXT),
        (&audited.by.why, Type::TEXT),
        (&time, Type::INT8),
    ]);
    let kept = session.change(AUDIT, &parameters).await;
    kept.map(drop).map_err(|source| failed("keeping what was done", source))
}

/// What was done in a place, the latest first.
pub(super) async fn audited(session: &Session, at: At<'_>, limit: usize) -> Result<Vec<Audited>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = session.query(AUDITED, &Key::of(at).and(&[(&limit, Type::INT8)])).await;
    let rows = rows.map_err(|source| failed("reading what was done", source))?;
    let read = |row: &Row| {
        let action: String = column(row, 0)?;
        let unknown = || Error::corrupt(format!("a view tells of an unknown action {action:?}"));
        Ok(Audited {
            action: Action::named(&action).ok_or_else(unknown)?,
            cardinal: column(row, 1)?,
            position: position(row, 2)?,
            by: Operator { who: column(row, 3)?, why: column(row, 4)? },
            at: Timestamp::from_micros(column(row, 5)?),
        })
    };
    rows.iter().map(read).collect()
}

fn parked(row: &Row) -> Result<Parked> {
    Ok(Parked {
        cardinal: column(row, 0)?,
        position: position(row, 1)?,
        event_type: column(row, 2)?,
        error: column(row, 3)?,
        attempts: u32::try_from(column::<i64>(row, 4)?).unwrap_or(u32::MAX),
        since: Timestamp::from_micros(column(row, 5)?),
        waiting: unsigned(row, 6)?,
    })
}

/// A place as it is stored.
struct Found {
    store: Uuid,
    epoch: u64,
    revision: u64,
    position: Position,
}

async fn find(session: &Session, at: At<'_>) -> Result<Option<Found>> {
    let rows = session.query(FIND, &Key::of(at).and(&[])).await;
    let rows = rows.map_err(|source| failed("looking at a place", source))?;
    let read = |row: &Row| {
        let (store, epoch) = (column(row, 0)?, unsigned(row, 1)?);
        Ok(Found { store, epoch, revision: unsigned(row, 2)?, position: position(row, 3)? })
    };
    rows.first().map(read).transpose()
}

/// What a place is found by, as the database takes it.
struct Key<'a> {
    generation: i32,
    projection: &'a str,
    version: i32,
    partition: i32,
}

impl<'a> Key<'a> {
    fn of(At { generation, place }: At<'a>) -> Self {
        Self {
            generation: catalogue::signed(generation),
            projection: place.projection.name(),
            version: place.projection.version().into(),
            partition: place.partition.get().into(),
        }
    }

    /// The key, and further parameters.
    fn and<'b>(&'b self, others: &[Parameter<'b>]) -> Vec<Parameter<'b>> {
        let mut all: Vec<Parameter<'b>> = vec![
            (&self.generation, Type::INT4),
            (&self.projection, Type::TEXT),
            (&self.version, Type::INT4),
            (&self.partition, Type::INT4),
        ];
        all.extend_from_slice(others);
        all
    }
}

fn position(row: &Row, at: usize) -> Result<Position> {
    unsigned(row, at).map(Position::new)
}

pub(super) fn unsigned(row: &Row, at: usize) -> Result<u64> {
    column::<i64>(row, at).map(i64::cast_unsigned)
}

pub(super) fn signed(number: u64) -> Result<i64> {
    i64::try_from(number).map_err(|_| {
        Error::invalid("a view cannot keep this number").expected(format!("at most {}", i64::MAX), number)
    })
}
