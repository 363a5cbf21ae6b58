//! Which generations of a view there are, and what becomes of them.

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::error::{Error, Result};
use crate::projection::generation::{Generations, Role, moved_on, not_building};
use crate::projection::place::Place;
use crate::projection::postgres::failure::failed;
use crate::store::postgres::{Parameter, Session, column};

const ALL: &str = include_str!("sql/view_generations.sql");
const ENTER: &str = include_str!("sql/view_enter.sql");
const STATE: &str = include_str!("sql/view_state.sql");
const SHARE: &str = include_str!("sql/view_share_generation.sql");
const LOCK: &str = include_str!("sql/view_lock_generation.sql");
const BUILD: &str = include_str!("sql/view_build.sql");
const SET_STATE: &str = include_str!("sql/view_set_state.sql");
const FORGET: &str = include_str!("sql/view_forget.sql");
const KEEP_AUDIT: &str = include_str!("sql/view_keep_audit.sql");
const MAKE_SCHEMA: &str = include_str!("sql/view_make_schema.sql");
const DROP_SCHEMA: &str = include_str!("sql/view_drop_schema.sql");
const LEFT: &str = include_str!("sql/view_left_schemas.sql");

/// What a generation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Live,
    Building,
    Former,
    Dropped,
}

impl State {
    fn of(row: &Row, at: usize) -> Result<Self> {
        Ok(match column::<String>(row, at)?.as_str() {
            "live" => Self::Live,
            "building" => Self::Building,
            "former" => Self::Former,
            "dropped" => Self::Dropped,
            other => return Err(Error::corrupt(format!("a view's generation is {other:?}"))),
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Building => "building",
            Self::Former => "former",
            Self::Dropped => "dropped",
        }
    }
}

/// A generation, and what it was when it was looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entered {
    pub(super) number: u32,
    pub(super) state: State,
}

impl Entered {
    /// Reads what `sidestream_view.enter` said.
    pub(super) fn of(rows: &[Row]) -> Result<Self> {
        let row = rows.first().ok_or_else(unknown)?;
        let number: Option<i32> = column(row, 0)?;
        Ok(Self { number: unsigned(number.ok_or_else(unknown)?), state: State::of(row, 1)? })
    }
}

/// Demands that a place may be opened, or committed to, in a generation of this state.
pub(super) fn demand(state: State, role: Role, place: &Place) -> Result<()> {
    match (role, state) {
        (Role::Live, State::Live) | (Role::Building(_), State::Building) => Ok(()),
        (Role::Live, _) => Err(moved_on(place)),
        (Role::Building(_), _) => Err(not_building(place)),
    }
}

/// Leads the rest of the transaction to the tables of a generation; of the live one where none is named.
pub(super) async fn enter(session: &Session, number: Option<u32>) -> Result<Entered> {
    let number = number.map(signed);
    let rows = session.query(ENTER, &[(&number, Type::INT4)]).await.map_err(looking)?;
    Entered::of(&rows)
}

pub(super) async fn state(session: &Session, number: u32) -> Result<State> {
    state_by(session, STATE, number).await
}

/// What a generation is, and stays to the end of the transaction. It waits for who holds it.
pub(super) async fn share(session: &Session, number: u32) -> Result<State> {
    state_by(session, SHARE, number).await
}

/// The same, and nobody opens a place of it meanwhile.
pub(super) async fn lock(session: &Session, number: u32) -> Result<State> {
    state_by(session, LOCK, number).await
}

async fn state_by(session: &Session, sql: &str, number: u32) -> Result<State> {
    let rows = session.query(sql, &[(&signed(number), Type::INT4)]).await.map_err(looking)?;
    State::of(rows.first().ok_or_else(unknown)?, 0)
}

pub(super) async fn generations(session: &Session) -> Result<Generations> {
    let rows = session.query(ALL, &[]).await.map_err(looking)?;
    let (mut live, mut building, mut former) = (None, None, Vec::new());
    for row in &rows {
        let number = unsigned(column(row, 0)?);
        match State::of(row, 1)? {
            State::Live => live = Some(number),
            State::Building => building = Some(number),
            State::Former => former.push(number),
            State::Dropped => {}
        }
    }
    Ok(Generations { live: live.ok_or_else(unknown)?, building, former })
}

/// Begins a generation with a schema of its own, where none is being built.
pub(super) async fn build(session: &Session) -> Result<()> {
    let begun = session.query(BUILD, &[]).await.map_err(looking)?;
    let Some(row) = begun.first() else { return Ok(()) };
    let number = unsigned(column(row, 0)?);
    let made = session.execute(&schema(MAKE_SCHEMA, number)).await;
    made.map_err(|source| making_schema(number, source))
}

pub(super) async fn set_state(session: &Session, number: u32, state: State) -> Result<()> {
    let parameters: [Parameter<'_>; 2] = [(&signed(number), Type::INT4), (&state.name(), Type::TEXT)];
    session.change(SET_STATE, &parameters).await.map(drop).map_err(looking)
}

/// A generation whose rows are no longer asked for. Its tables are dropped apart, so that nobody is waited for while it is
/// marked.
pub(super) async fn forget(session: &Session, number: u32) -> Result<()> {
    set_state(session, number, State::Dropped).await?;
    session.change(FORGET, &[(&signed(number), Type::INT4)]).await.map(drop).map_err(looking)
}

/// What operators did stays known.
pub(super) async fn keep_audit(session: &Session, (from, to): (u32, u32)) -> Result<()> {
    let parameters: [Parameter<'_>; 2] = [(&signed(from), Type::INT4), (&signed(to), Type::INT4)];
    session.change(KEEP_AUDIT, &parameters).await.map(drop).map_err(looking)
}

/// Drops the schemas of all generations that are dropped. The first has none of its own.
pub(super) async fn drop_schemas(session: &Session) -> Result<()> {
    let rows = session.query(LEFT, &[]).await.map_err(looking)?;
    for row in &rows {
        let dropped = session.execute(&schema(DROP_SCHEMA, unsigned(column(row, 0)?))).await;
        dropped.map_err(|source| failed("dropping a generation", source))?;
    }
    Ok(())
}

/// The statement, for the schema of this generation.
fn schema(sql: &str, number: u32) -> String {
    sql.trim_end().replace("?1", &number.to_string())
}

fn making_schema(number: u32, source: tokio_postgres::Error) -> Error {
    if source.code().is_none_or(|code| code.code() != "42501") {
        return failed("beginning a generation", source);
    }
    Error::invalid(format!("this user may not make the schema sidestream_view_{number}"))
        .advice("grant CREATE on the database to who rebuilds its views: see docs/operations.md")
        .caused_by(source)
}

fn looking(source: tokio_postgres::Error) -> Error {
    failed("looking at a view's generations", source)
}

fn unknown() -> Error {
    Error::corrupt("a view does not know its generation").advice("make the view anew")
}

/// As the database takes it. Numbers are counted up from 1, so all fit.
pub(super) fn signed(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn unsigned(number: i32) -> u32 {
    u32::try_from(number).unwrap_or(0)
}
