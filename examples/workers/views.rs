//! Three projections, and where their views are: one function chooses that.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use sidestream::clock::{Clock, SystemClock};
use sidestream::feed::Selection;
use sidestream::partition::PartitionId;
use sidestream::projection::sqlite::rusqlite::{self, Connection};
use sidestream::projection::{
    Audited, Definition, Event, Limits, Opened, Place, SqliteRows, SqliteView, View, ViewFailure, Work,
    project_fn,
};

use crate::Failure;
use crate::writer::{DEPOSITED, WITHDRAWN};

/// The projections, and the event types that each follows; none means all.
pub(crate) const PROJECTIONS: [(&str, &[&str]); 3] =
    [("everything", &[]), ("deposits", &[DEPOSITED]), ("withdrawals", &[WITHDRAWN])];

/// A projection that writes down each event, and how long after its commit it was applied.
pub(crate) fn definition(name: &str, types: &[&'static str]) -> sidestream::Result<Definition<SqliteRows>> {
    let all = Selection::all();
    let selection = if types.is_empty() { all } else { all.types(types.iter().copied())? };
    project_fn(name, selection, |rows: &mut SqliteRows, event: &Event<'_>| {
        rows.execute_all(
            "CREATE TABLE IF NOT EXISTS seen (position INTEGER NOT NULL, lag_ms INTEGER NOT NULL)",
        )?;
        let lag = SystemClock.now().as_micros() - event.recorded_at().as_micros();
        let position = event.position().get().cast_signed();
        rows.execute("INSERT INTO seen VALUES (?1, ?2)", (position, lag.max(0) / 1_000))?;
        Ok(())
    })
}

/// The view of a projection: a file for each partition, so that a worker that is stopped in the middle of a transaction
/// locks nobody else's rows. A database that takes several writers needs no such parts.
pub(crate) fn view(folder: &Path, projection: &str, partitions: u16) -> Result<Files, Failure> {
    let open = |number| {
        let path = folder.join(format!("{projection}-{number}.db"));
        SqliteView::builder(path).may_lose_the_latest_commits(true).open()
    };
    let files = (0..partitions).map(open).collect::<sidestream::Result<_>>()?;
    Ok(Files(Arc::new(files)))
}

/// A view that is made of a file for each partition.
#[derive(Debug, Clone)]
pub(crate) struct Files(Arc<Vec<SqliteView>>);

impl Files {
    fn of(&self, partition: PartitionId) -> Result<&SqliteView, ViewFailure> {
        let missing = || sidestream::Error::invalid(format!("no view of partition {partition}"));
        self.0.get(usize::from(partition.get())).ok_or_else(|| ViewFailure::View(missing()))
    }

    /// What was applied in a partition, in order, with its lag in milliseconds.
    pub(crate) async fn seen(&self, partition: PartitionId) -> Result<Vec<(u64, u64)>, Failure> {
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
