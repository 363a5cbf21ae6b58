//! Views in the log's own database: a table for each projection, which all workers write to side by side.

use sidestream::feed::Selection;
use sidestream::partition::PartitionId;
use sidestream::projection::postgres::tokio_postgres::Row;
use sidestream::projection::postgres::tokio_postgres::types::{ToSql, Type};
use sidestream::projection::{Event, Failure as Refusal, PostgresRows, PostgresView, Projection};
use sidestream::runtime::Builder;

use crate::Failure;
use crate::views::{PROJECTIONS, entry, selection};

/// Connections of a worker, for all of its partitions.
const CONNECTIONS: usize = 3;

/// The projection of this number.
struct Seen<const NUMBER: usize>;

#[allow(clippy::indexing_slicing, reason = "checked when it is compiled")]
impl<const NUMBER: usize> Projection<PostgresRows> for Seen<NUMBER> {
    const NAME: &'static str = PROJECTIONS[NUMBER].0;

    fn selection(&self) -> sidestream::Result<Selection> {
        selection(PROJECTIONS[NUMBER].1)
    }

    async fn prepare(&self, rows: &mut PostgresRows) -> Result<(), Refusal> {
        let name = Self::NAME;
        let table = format!(
            "CREATE TABLE IF NOT EXISTS seen_{name} (number int8 GENERATED ALWAYS AS IDENTITY, \
             partition int4 NOT NULL, position int8 NOT NULL, lag_ms int8 NOT NULL)"
        );
        Ok(rows.execute_all(&[&table]).await?)
    }

    async fn apply(&self, rows: &mut PostgresRows, event: &Event<'_>) -> Result<(), Refusal> {
        let ((position, lag), partition) = (entry(event), i32::from(event.partition().get()));
        let sql =
            format!("INSERT INTO seen_{} (partition, position, lag_ms) VALUES ($1, $2, $3)", Self::NAME);
        let parameters: [(&(dyn ToSql + Sync), Type); 3] =
            [(&partition, Type::INT4), (&position, Type::INT8), (&lag, Type::INT8)];
        rows.execute(&sql, &parameters).await?;
        Ok(())
    }
}

/// The database of all views.
#[derive(Clone)]
pub(crate) struct Database(PostgresView);

impl Database {
    pub(super) async fn open(url: &str) -> Result<Self, Failure> {
        let view = PostgresView::builder(url).migrate(true).connections(CONNECTIONS);
        Ok(Self(view.open().await?))
    }

    pub(super) fn project(&self, builder: Builder) -> Builder {
        let view = || self.0.clone();
        builder.project(Seen::<0>, view()).project(Seen::<1>, view()).project(Seen::<2>, view())
    }

    pub(super) async fn seen(
        &self,
        projection: &str,
        partition: PartitionId,
    ) -> Result<Vec<(u64, u64)>, Failure> {
        let table = format!("seen_{projection}");
        let is_there = self.0.read("SELECT to_regclass($1) IS NOT NULL", &[(&table, Type::TEXT)]).await?;
        if !is_there.first().is_some_and(|row| row.get(0)) {
            return Ok(Vec::new());
        }
        let sql = format!("SELECT position, lag_ms FROM {table} WHERE partition = $1 ORDER BY number");
        let rows = self.0.read(&sql, &[(&i32::from(partition.get()), Type::INT4)]).await?;
        let pair = |row: &Row| (row.get::<_, i64>(0).cast_unsigned(), row.get::<_, i64>(1).cast_unsigned());
        Ok(rows.iter().map(pair).collect())
    }
}
