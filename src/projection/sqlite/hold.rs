//! The live generation, kept where it is by a transaction of its file, and the switch.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use async_trait::async_trait;
use rusqlite::{Connection, params};

use crate::error::{Error, ErrorKind, Result};
use crate::projection::content::ContentHash;
use crate::projection::generation::{self, Demands, Hold, Stand, Switched};
use crate::projection::sqlite::content::SqliteContent;
use crate::projection::sqlite::file::{self, failed};
use crate::projection::sqlite::files::Files;
use crate::projection::sqlite::{catalogue, place};

/// A transaction that keeps all others from writing, up to its end. A process that dies ends it.
pub(super) struct SqliteHold {
    live: Connection,
    from: u32,
    /// The generation that is being built, and its file's connection.
    built: (u32, Connection),
    stands: Vec<Stand>,
}

impl SqliteHold {
    /// Begins it. It blocks, for 2 s at most while others write.
    pub(super) fn begin(files: &Files) -> Result<Self> {
        let (live, entry) = files.live()?;
        let number = entry.building.ok_or_else(generation::nothing_built)?;
        // Its file is made where it is not there yet.
        files.make(number)?;
        let connection = writing(files, live.number)?;
        let entry = catalogue::find(&connection)?;
        if entry.successor.is_some() || entry.building != Some(number) {
            return Err(Error::new(ErrorKind::Unavailable, "another one switched this view's generations")
                .advice("look which generations there are"));
        }
        let stands = place::stands(&connection)?;
        let built = opened(files, number)?;
        Ok(Self { live: connection, from: live.number, built: (number, built), stands })
    }

    /// The new generation's file is made ready first; the commit of the former one's is the switch. In between nobody
    /// takes the new one for the live one.
    fn end(self, demands: &Demands<SqliteContent>) -> Result<Switched> {
        let Self { live, from, built: (to, built), stands } = self;
        begin(&built)?;
        let found = place::stands(&built)?;
        generation::compare(&stands, &found, demands.more_parked)?;
        let content = demands.content.as_ref().map(|content| same(content, &live, &built)).transpose()?;
        for former in &stands {
            if let Some(stand) = generation::successor(former, &found) {
                place::take_over(&built, stand, former)?;
            }
        }
        keep_audit(&live, &built).map_err(|source| failed("keeping what was done", source))?;
        let stands = place::stands(&built)?;
        commit(&built, ErrorKind::Unavailable)?;
        catalogue::switch(&live, to)?;
        commit(&live, ErrorKind::Unknown)?;
        Ok(Switched { from, to, stands, content })
    }
}

#[async_trait]
impl Hold<SqliteContent> for SqliteHold {
    fn stands(&self) -> &[Stand] {
        &self.stands
    }

    async fn switch(self: Box<Self>, demands: Demands<SqliteContent>) -> Result<Switched> {
        let gone = |source| Error::new(ErrorKind::Unknown, "a switch was given up").caused_by(source);
        tokio::task::spawn_blocking(move || self.end(&demands)).await.map_err(gone)?
    }
}

/// A connection to a generation's file, beside that of its runners.
fn opened(files: &Files, number: u32) -> Result<Connection> {
    file::open(&files.options.at(files.path(number)), number, &Arc::new(AtomicBool::new(false)))
}

/// The same, in a transaction that keeps all others from writing.
pub(super) fn writing(files: &Files, number: u32) -> Result<Connection> {
    let connection = opened(files, number)?;
    begin(&connection)?;
    Ok(connection)
}

fn begin(connection: &Connection) -> Result<()> {
    connection.execute_batch("BEGIN IMMEDIATE").map_err(|source| failed("holding a view", source))
}

pub(super) fn commit(connection: &Connection, kind: ErrorKind) -> Result<()> {
    connection.execute_batch("COMMIT").map_err(|source| {
        Error::new(kind, "sqlite: committing to a view's generations failed").caused_by(source)
    })
}

fn same(content: &SqliteContent, live: &Connection, built: &Connection) -> Result<ContentHash> {
    let (live, built) = (content.hash(live)?, content.hash(built)?);
    generation::agree(&live, &built)?;
    Ok(live)
}

/// What operators did stays known. A switch that was begun before may have kept some of it.
fn keep_audit(from: &Connection, to: &Connection) -> rusqlite::Result<()> {
    let mut all = from.prepare(include_str!("sql/view_audit_all.sql"))?;
    let mut once = to.prepare(include_str!("sql/view_audit_once.sql"))?;
    let mut rows = all.query([])?;
    while let Some(row) = rows.next()? {
        let text = |at| row.get::<_, String>(at);
        let number = |at| row.get::<_, i64>(at);
        once.execute(params![
            text(0)?,
            number(1)?,
            number(2)?,
            text(3)?,
            text(4)?,
            number(5)?,
            text(6)?,
            text(7)?,
            number(8)?
        ])?;
    }
    Ok(())
}
