//! The store as one that is moved, or moved into.

use async_trait::async_trait;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::partition::PartitionId;
use crate::store::postgres::import::Columns;
use crate::store::postgres::import_steps::StepColumns;
use crate::store::postgres::rows;
use crate::store::postgres::session::Parameter;
use crate::store::postgres::store::PostgresStore;
use crate::store::postgres::types::{column, number, stored};
use crate::store::postgres::{commit, failure, mark, steps};
use crate::store::rows::{KeptRow, RowKey};
use crate::store::stream_key::StreamKey;
use crate::store::transfer::{
    Floor, ImportPage, LogHead, Mark, RowPlace, Run, Transfer, elsewhere, not_continued,
};
use crate::store::{AppendFailure, EventStore, OpenStep};
use crate::stream::{Position, StreamName, Version};

const SET_MARK: &str = include_str!("sql/set_mark.sql");
const HEADS: &str = include_str!("sql/log_heads.sql");
const FLOORS: &str = include_str!("sql/floors.sql");
const STEPS: &str = include_str!("sql/all_open_steps.sql");
const IMPORT: &str = include_str!("sql/import.sql");
const IMPORT_FLOORS: &str = include_str!("sql/import_floors.sql");
const KEPT_ROWS: &str = include_str!("sql/kept_rows.sql");
const IMPORT_ROWS: &str = include_str!("sql/import_rows.sql");
const RAISE_TIMES: &str = include_str!("sql/raise_times.sql");
const IMPORT_STEPS: &str = include_str!("sql/import_steps.sql");

impl PostgresStore {
    async fn write(&self, sql: &str, parameters: &[Parameter<'_>]) -> Result<Vec<Row>> {
        let session = self.core().writers.session().await?;
        commit::query(&session, "moving the store", sql, parameters).await.map_err(|failure| match failure {
            AppendFailure::Refused(error) | AppendFailure::Unknown(error) => error,
            other => failure::unavailable(other.to_string()),
        })
    }
}

/// A page by name, as parameters.
fn by_name(after: Option<&StreamName>, limit: usize) -> (String, i64) {
    (after.map_or_else(String::new, ToString::to_string), i64::try_from(limit).unwrap_or(i64::MAX))
}

#[async_trait]
impl Transfer for PostgresStore {
    async fn mark(&self) -> Result<Mark> {
        mark::read(&*self.core().readers.session().await?).await
    }

    async fn set_mark(&self, mark: Mark) -> Result<()> {
        let (code, place) = (i16::from(mark.code()), mark.place());
        let parameters: [Parameter<'_>; 3] =
            [(&self.core().quorum, Type::BOOL), (&code, Type::INT2), (&place, Type::TEXT)];
        self.write(SET_MARK, &parameters).await.map(drop)
    }

    async fn log_heads(&self) -> Result<Vec<LogHead>> {
        let rows = self.read("reading where the partitions are", HEADS, &[]).await?;
        let head = |row| {
            Ok(LogHead {
                position: Position::new(number(column(row, 0)?)),
                recorded_at: Timestamp::from_micros(column(row, 1)?),
            })
        };
        rows.iter().map(head).collect()
    }

    async fn floors(&self, after: Option<StreamName>, limit: usize) -> Result<Vec<Floor>> {
        let (after, limit) = by_name(after.as_ref(), limit);
        let rows = self.read("reading floors", FLOORS, &[(&after, Type::TEXT), (&limit, Type::INT8)]).await?;
        let floor = |row| {
            Ok(Floor {
                stream: StreamName::parse(column(row, 0)?)?,
                floor: Version::new(number(column(row, 1)?)),
                head: Version::new(number(column(row, 2)?)),
            })
        };
        rows.iter().map(floor).collect()
    }

    async fn steps_by_name(&self, after: Option<StreamName>, limit: usize) -> Result<Vec<OpenStep>> {
        let (after, limit) = by_name(after.as_ref(), limit);
        let rows =
            self.read("reading open steps", STEPS, &[(&after, Type::TEXT), (&limit, Type::INT8)]).await?;
        rows.iter().map(steps::parse).collect()
    }

    async fn import_floors(&self, floors: Vec<Floor>) -> Result<()> {
        let count = self.properties().partitions;
        let partition = |floor: &Floor| i32::from(count.of(floor.stream.cardinal()).get());
        let partitions: Vec<i32> = floors.iter().map(partition).collect();
        let keys: Vec<_> = floors.iter().map(|floor| StreamKey::of(&floor.stream).to_vec()).collect();
        let streams: Vec<_> = floors.iter().map(|floor| floor.stream.as_str()).collect();
        let versions: Vec<_> = floors.iter().map(|floor| stored(floor.floor.get())).collect();
        let parameters: [Parameter<'_>; 5] = [
            (&self.core().quorum, Type::BOOL),
            (&partitions, Type::INT4_ARRAY),
            (&keys, Type::BYTEA_ARRAY),
            (&streams, Type::TEXT_ARRAY),
            (&versions, Type::INT8_ARRAY),
        ];
        self.write(IMPORT_FLOORS, &parameters).await.map(drop)
    }

    async fn import(&self, partition: PartitionId, page: ImportPage) -> Result<()> {
        let runs = page.check(partition, self.properties().partitions)?;
        let columns = Columns::new(partition, self.core().quorum, &page, &runs);
        let rows = self.write(IMPORT, &columns.parameters()).await?;
        let row =
            rows.first().ok_or_else(|| Error::corrupt("the server answered an import without a row"))?;
        let stands = Position::new(number(column(row, 0)?));
        if stands != page.after {
            return Err(elsewhere(stands, &page));
        }
        let heads = column::<Option<Vec<i64>>>(row, 1)?.unwrap_or_default();
        demand_continued(&runs, &heads)
    }

    async fn import_steps(&self, is_first: bool, steps: Vec<OpenStep>) -> Result<()> {
        let columns = StepColumns::new(self.core().quorum, is_first, &steps, self.properties().partitions);
        self.write(IMPORT_STEPS, &columns.parameters()).await.map(drop)
    }

    async fn kept_rows(&self, after: Option<RowPlace>, limit: usize) -> Result<Vec<(RowPlace, KeptRow)>> {
        let (partition, space, key) =
            after.as_ref().map_or((0, "", ""), |(at, key)| (i32::from(at.get()), key.space(), key.key()));
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let parameters: [Parameter<'_>; 4] =
            [(&partition, Type::INT4), (&space, Type::TEXT), (&key, Type::TEXT), (&limit, Type::INT8)];
        let rows = self.read("reading rows", KEPT_ROWS, &parameters).await?;
        let kept = |row| {
            let partition = u16::try_from(column::<i32>(row, 0)?).unwrap_or(u16::MAX);
            let key = RowKey::new(column::<String>(row, 1)?, column::<String>(row, 2)?)?;
            Ok(((PartitionId::new(partition), key), rows::kept(row, 3)?))
        };
        rows.iter().map(kept).collect()
    }

    async fn import_rows(&self, kept: Vec<(RowPlace, KeptRow)>) -> Result<()> {
        let partitions: Vec<i32> =
            kept.iter().map(|((partition, _), _)| i32::from(partition.get())).collect();
        let (spaces, keys) = rows::columns(kept.iter().map(|((_, key), _)| key));
        let written: Vec<&KeptRow> = kept.iter().map(|(_, row)| row).collect();
        let written = rows::Written::new(&written);
        let mut parameters: Vec<Parameter<'_>> = vec![
            (&self.core().quorum, Type::BOOL),
            (&partitions, Type::INT4_ARRAY),
            (&spaces, Type::TEXT_ARRAY),
            (&keys, Type::TEXT_ARRAY),
        ];
        parameters.extend(written.parameters());
        self.write(IMPORT_ROWS, &parameters).await.map(drop)
    }

    async fn raise_times(&self, times: Vec<Timestamp>) -> Result<()> {
        let times: Vec<i64> = times.into_iter().map(Timestamp::as_micros).collect();
        let parameters: [Parameter<'_>; 2] = [(&self.core().quorum, Type::BOOL), (&times, Type::INT8_ARRAY)];
        self.write(RAISE_TIMES, &parameters).await.map(drop)
    }
}

/// Names the stream that is elsewhere, where the server said so.
fn demand_continued(runs: &[Run<'_>], heads: &[i64]) -> Result<()> {
    let stands = runs.iter().zip(heads).map(|(run, head)| (run, Version::new(number(*head))));
    let wrong = stands.into_iter().find(|(run, stands)| run.before != *stands);
    wrong.map_or(Ok(()), |(run, stands)| Err(not_continued(run, stands)))
}
