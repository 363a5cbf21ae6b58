//! What the store knows of a move that it is part of: see [`Mark`].

use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::store::postgres::failure;
use crate::store::postgres::options::{Options, Role};
use crate::store::postgres::session::Session;
use crate::store::postgres::types::column;
use crate::store::transfer::Mark;

const MARK: &str = include_str!("sql/mark.sql");
const BECOME_COPY: &str = include_str!("sql/become_copy.sql");

/// Reads the mark.
pub(super) async fn read(session: &Session) -> Result<Mark> {
    let rows = session.query(MARK, &[]).await;
    let rows = rows.map_err(|source| failure::of("reading the mark of a move", source))?;
    let Some(row) = rows.first() else { return Ok(Mark::None) };
    Mark::stored(i64::from(column::<i16>(row, 0)?), column(row, 1)?)
}

/// Makes an empty store the copy that is asked for; one that is so already stays.
pub(super) async fn adopt(session: &Session, options: &Options, found: Uuid) -> Result<()> {
    let Role::CopyOf(wanted) = options.role else { return Ok(()) };
    let refused = || {
        Error::invalid("there is another store in this database")
            .expected(
                format!("an empty database or store, or a copy of store {wanted}"),
                format!("store {found}"),
            )
            .advice("copy into a database of its own; nothing was written")
    };
    let rows = session.query(BECOME_COPY, &[(&wanted.to_string(), Type::TEXT)]).await;
    let rows = rows.map_err(|source| failure::of("beginning a copy", source))?;
    let was_empty: bool = rows.first().map_or(Ok(false), |row| column(row, 0))?;
    if was_empty || found == wanted { Ok(()) } else { Err(refused()) }
}

/// Demands that a store with its mark may be opened in the role that is asked for.
pub(super) async fn demand(session: &Session, role: Role) -> Result<()> {
    match role {
        Role::Service => read(session).await?.refuses_appends().map_or(Ok(()), Err),
        Role::Source | Role::CopyOf(_) => Ok(()),
    }
}
