//! Views in files, one for each partition, so that nobody waits for the file of another partition.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use sidestream::partition::PartitionId;
use sidestream::projection::sqlite::rusqlite::{self, Connection};
use sidestream::projection::{
    Audited, Definition, Event, Limits, Opened, Place, SqliteRows, SqliteView, View, ViewFailure, Work,
    project_fn,
};

use crate::Failure;
use crate::views::{entry, selection};

/// A projection that writes down each event, and how long after its commit it was applied.
pub(super) fn definition(name: &str, types: &[&'static str]) -> sidestream::Result<Definition<SqliteRows>> {
    project_fn(name, selection(types)?, |rows: &mut SqliteRows, event: &Event<'_>| {
        rows.execute_all(
            "CREATE TABLE IF NOT EXISTS seen (position INTEGER NOT NULL, lag_ms INTEGER NOT NULL)",
        )?;
        rows.execute("INSERT INTO seen VALUES (?1, ?2)", entry(event))?;
        Ok(())
    })
}

/// A view that is made of a file for each partition.
#[derive(Debug, Clone)]
pub(crate) struct Files(Arc<Vec<SqliteView>>);

impl Files {
    /// The files of a projection.
    pub(super) fn open(folder: &Path, projection: &str, partitions: u16) -> Result<Self, Failure> {
        let open = |number| {
            let path = folder.join(format!("{projection}-{number}.db"));
            SqliteView::builder(path).may_lose_the_latest_commits(true).open()
        };
        let files = (0..partitions).map(open).collect::<sidestream::Result<_>>()?;
        Ok(Self(Arc::new(files)))
    }

    fn of(&self, partition: PartitionId) -> Result<&SqliteView, ViewFailure> {
        let missing = || sidestream::Error::invalid(format!("no view of partition {partition}"));
        self.0.get(usize::from(partition.get())).ok_or_else(|| ViewFailure::View(missing()))
    }

    /// What was applied in a partition, in order, with its lag in milliseconds.
    pub(super) async fn seen(&self, partition: PartitionId) -> Result<Vec<(u64, u64)>, Failure> {
        let view = self.0.get(usize::from(partition.get())).ok_or("no such partition")?;
        let read = |connection: &Connection| {
            let is_there = "SELECT count(*) FROM sqlite_master WHERE name = 'seen'";
            if connection.query_row(is_there, [], |row| row.get::<_, i64>(0))? == 0 {
                return Ok(Vec::new());
            }
            let mut rows = connection.prepare("SELECT position, lag_ms FROM seen ORDER BY rowid")?;
            let pair = |row: &rusqlite::Row<'_>| {
                Ok((row.get::<_, i64>(0)?.cast_unsigned(), row.get::<_, i64>(1)?.cast_unsigned()))
            };
            rows.query_map([], pair)?.collect()
        };
        Ok(view.read(read).await?)
    }
}

#[async_trait]
impl View for Files {
    type Rows = SqliteRows;

    async fn open(
        &self,
        place: &Place,
        epoch: u64,
        definition: &Definition<SqliteRows>,
        limits: &Limits,
    ) -> Result<Opened, ViewFailure> {
        self.of(place.partition)?.open(place, epoch, definition, limits).await
    }

    async fn run(&self, place: &Place, epoch: u64, work: Work<SqliteRows>) -> Result<(), ViewFailure> {
        self.of(place.partition)?.run(place, epoch, work).await
    }

    async fn audit(&self, place: &Place, limit: usize) -> sidestream::Result<Vec<Audited>> {
        match self.of(place.partition) {
            Ok(view) => view.audit(place, limit).await,
            Err(_) => Ok(Vec::new()),
        }
    }
}
