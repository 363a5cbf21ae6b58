//! The store as one that is moved, or moved into.

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::error::Result;
use crate::partition::PartitionId;
use crate::store::rows::KeptRow;
use crate::store::sqlite::import;
use crate::store::sqlite::store::SqliteStore;
use crate::store::transfer::{Floor, ImportPage, LogHead, Mark, RowPlace, Transfer};
use crate::store::{EventStore, OpenStep, ReadFrom, StreamRead};
use crate::stream::{StreamName, Version};

#[async_trait]
impl Transfer for SqliteStore {
    async fn mark(&self) -> Result<Mark> {
        self.read(|reader| reader.mark()).await
    }

    async fn set_mark(&self, mark: Mark) -> Result<()> {
        self.job(move |writer| import::mark(writer, mark)).await
    }

    async fn log_heads(&self) -> Result<Vec<LogHead>> {
        self.read(|reader| reader.log_heads()).await
    }

    async fn floors(&self, after: Option<StreamName>, limit: usize) -> Result<Vec<Floor>> {
        let floors = self.read(move |reader| reader.floors(after.as_ref(), limit)).await?;
        let read = |(stream, floor): &(StreamName, Version)| StreamRead {
            stream: stream.clone(),
            from: ReadFrom::After(*floor),
            limit: 0,
        };
        let pages = self.read_streams(floors.iter().map(read).collect()).await;
        let floors = floors.into_iter().zip(pages);
        floors.map(|((stream, floor), page)| Ok(Floor { stream, floor, head: page?.head })).collect()
    }

    async fn steps_by_name(&self, after: Option<StreamName>, limit: usize) -> Result<Vec<OpenStep>> {
        self.read(move |reader| reader.steps_by_name(after.as_ref(), limit)).await
    }

    async fn import_floors(&self, floors: Vec<Floor>) -> Result<()> {
        self.job(move |writer| import::floors(writer, &floors)).await
    }

    async fn import(&self, partition: PartitionId, page: ImportPage) -> Result<()> {
        self.job(move |writer| import::page(writer, partition, &page)).await
    }

    async fn import_steps(&self, is_first: bool, steps: Vec<OpenStep>) -> Result<()> {
        self.job(move |writer| import::steps(writer, is_first, &steps)).await
    }

    async fn kept_rows(&self, after: Option<RowPlace>, limit: usize) -> Result<Vec<(RowPlace, KeptRow)>> {
        self.read(move |reader| reader.kept_rows(after.as_ref(), limit)).await
    }

    async fn import_rows(&self, rows: Vec<(RowPlace, KeptRow)>) -> Result<()> {
        self.job(move |writer| import::rows(writer, &rows)).await
    }

    async fn raise_times(&self, times: Vec<Timestamp>) -> Result<()> {
        self.job(move |writer| import::times(writer, &times)).await
    }
}
