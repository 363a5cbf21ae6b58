//! Generations of a view in SQLite: a file for each, beside the first one.

use async_trait::async_trait;
use rusqlite::Connection;

use crate::error::{ErrorKind, Result};
use crate::projection::generation::{
    self, Ceiling, Generational, Generations, Hold, Role, Stand, nothing_built,
};
use crate::projection::place::Place;
use crate::projection::sqlite::catalogue;
use crate::projection::sqlite::content::{SqliteContent, quoted};
use crate::projection::sqlite::file::{FIRST, failed};
use crate::projection::sqlite::files::Files;
use crate::projection::sqlite::hold::{SqliteHold, commit, writing};
use crate::projection::sqlite::place;
use crate::projection::sqlite::view::SqliteView;

#[async_trait]
impl Generational for SqliteView {
    type Content = SqliteContent;

    async fn generations(&self) -> Result<Generations> {
        self.blocking(|view| {
            let (live, entry) = view.files.live()?;
            let former = former(&view.files, live.number)?;
            Ok(Generations { live: live.number, building: entry.building, former })
        })
        .await
    }

    async fn build(&self) -> Result<Self> {
        self.blocking(|view| {
            let (live, _) = view.files.live()?;
            let connection = writing(&view.files, live.number)?;
            let number = catalogue::build(&connection)?.ok_or_else(nothing_built)?;
            commit(&connection, ErrorKind::Unknown)?;
            view.files.make(number)?;
            Ok(Self { role: Role::Building(number), ..view })
        })
        .await
    }

    async fn ceiling(&self, place: &Place) -> Result<Ceiling> {
        let place = place.clone();
        self.blocking(move |view| {
            let (live, entry) = view.files.live()?;
            match view.role {
                Role::Building(number) if entry.building == Some(number) => {
                    Ok(generation::ceiling(&place, &live.read_here(place::stands)?))
                }
                _ => Ok(Ceiling::Over),
            }
        })
        .await
    }

    async fn stands(&self) -> Result<Vec<Stand>> {
        self.blocking(|view| view.generation()?.read_here(place::stands)).await
    }

    async fn hold(&self) -> Result<Box<dyn Hold<SqliteContent>>> {
        Ok(Box::new(self.blocking(|view| SqliteHold::begin(&view.files)).await?))
    }

    async fn give_up(&self) -> Result<()> {
        self.blocking(|view| {
            let (live, entry) = view.files.live()?;
            let Some(number) = entry.building else { return Ok(()) };
            let connection = writing(&view.files, live.number)?;
            catalogue::give_up(&connection, number)?;
            commit(&connection, ErrorKind::Unknown)?;
            view.files.remove(number)
        })
        .await
    }

    async fn drop_former(&self) -> Result<usize> {
        self.blocking(|view| {
            let (live, _) = view.files.live()?;
            let former = former(&view.files, live.number)?;
            if live.number != FIRST {
                let first = writing(&view.files, FIRST)?;
                // From here on nobody needs the files in between.
                catalogue::skip(&first, live.number)?;
                empty(&first).map_err(|source| failed("dropping a generation", source))?;
                commit(&first, ErrorKind::Unknown)?;
            }
            former
                .iter()
                .filter(|number| **number != FIRST)
                .try_for_each(|number| view.files.remove(*number))?;
            Ok(former.len())
        })
        .await
    }
}

/// Generations that were live and still have rows. One that was given up and whose file could not be removed counts, too.
fn former(files: &Files, live: u32) -> Result<Vec<u32>> {
    let mut former: Vec<_> =
        (FIRST..live).filter(|number| *number != FIRST && files.path(*number).exists()).collect();
    if live != FIRST && !files.generation(FIRST)?.read_here(place::stands)?.is_empty() {
        former.insert(0, FIRST);
    }
    Ok(former)
}

/// Removes the rows of the first file, which stays to lead to the live one.
fn empty(connection: &Connection) -> rusqlite::Result<()> {
    // Within the transaction keys of other tables are looked at when it ends, and then there are none.
    connection.execute_batch("PRAGMA defer_foreign_keys = 1")?;
    let mut names = connection.prepare(include_str!("sql/view_tables.sql"))?;
    let names: Vec<String> = names.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    for name in names {
        connection.execute_batch(&include_str!("sql/view_drop_table.sql").replace("?1", &quoted(&name)))?;
    }
    connection.execute_batch(include_str!("sql/view_clear.sql"))
}
