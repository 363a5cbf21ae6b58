//! The bare loop: what the disk and the database give to anybody who writes as much, as safely, with nothing in
//! between.

use crate::cli::bench::bodies::Bodies;
use crate::cli::bench::crew::Target;
use crate::cli::bench::floor_postgres::PostgresFloor;
use crate::cli::bench::floor_queue::Way;
use crate::cli::bench::floor_sqlite::SqliteFloor;
use crate::cli::bench::place::{self, Home, Place};
use crate::cli::bench::plan::Order;
use crate::cli::bench::rows::Rows;
use crate::cli::bench::stores::Store;
use crate::cli::failure::Failure;

/// A bare loop beside a store: of its kind, and through SQLite for the store in memory.
#[derive(Debug)]
pub(super) enum Floor {
    /// And its file's size at the beginning.
    Sqlite(SqliteFloor, u64),
    Postgres(PostgresFloor),
}

/// The clients' way to it.
#[derive(Debug, Clone)]
pub(super) enum Door {
    Sqlite(Way<Bodies>),
    Postgres(Way<Rows>),
}

impl Target for Door {
    async fn carry_out(&self, orders: Vec<Order>) -> Result<(), Failure> {
        match self {
            Self::Sqlite(way) => way.carry_out(orders).await,
            Self::Postgres(way) => way.carry_out(orders).await,
        }
    }
}

impl Floor {
    /// Starts it. It ends once every door is gone.
    pub(super) async fn start(place: &Place, store: &Store) -> Result<(Self, Door), Failure> {
        if let (Home::Postgres(url), Store::Postgres(store)) = (place.home(), store) {
            let rows = Rows::record(store, url).await?;
            let (floor, way) = PostgresFloor::start(url, rows).await?;
            return Ok((Self::Postgres(floor), Door::Postgres(way)));
        }
        let (floor, way) = SqliteFloor::start(place.floor()).await?;
        Ok((Self::Sqlite(floor, place::size(place.floor())), Door::Sqlite(way)))
    }

    pub(super) fn commits(&self) -> u64 {
        match self {
            Self::Sqlite(floor, _) => floor.commits(),
            Self::Postgres(floor) => floor.commits(),
        }
    }

    /// Ends it, and tells how many bytes it has written. Every door must be gone.
    pub(super) async fn finish(self, place: &Place) -> Result<u64, Failure> {
        match self {
            Self::Sqlite(floor, before) => {
                floor.finish()?;
                Ok(place::size(place.floor()).saturating_sub(before))
            }
            Self::Postgres(floor) => floor.finish().await,
        }
    }
}
