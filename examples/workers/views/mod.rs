//! Three projections that write down each event, and where their views are: in files beside a SQLite store, or in the
//! database of a PostgreSQL store, which all workers share.

mod files;
mod postgres;

use std::path::Path;

use sidestream::clock::{Clock, SystemClock};
use sidestream::feed::Selection;
use sidestream::partition::PartitionId;
use sidestream::projection::Event;
use sidestream::runtime::Builder;

use crate::Failure;
use crate::options::Options;
use crate::writer::{DEPOSITED, WITHDRAWN};

use files::Files;
use postgres::Database;

/// The projections, and the event types that each follows; none means all.
pub(crate) const PROJECTIONS: [(&str, &[&str]); 3] =
    [("everything", &[]), ("deposits", &[DEPOSITED]), ("withdrawals", &[WITHDRAWN])];

/// What a projection follows.
fn selection(types: &[&'static str]) -> sidestream::Result<Selection> {
    let all = Selection::all();
    if types.is_empty() { Ok(all) } else { all.types(types.iter().copied()) }
}

/// An event's position, and how long after its commit it is applied, in milliseconds.
fn entry(event: &Event<'_>) -> (i64, i64) {
    let lag = SystemClock.now().as_micros() - event.recorded_at().as_micros();
    (event.position().get().cast_signed(), lag.max(0) / 1_000)
}

/// The views of all projections.
#[derive(Clone)]
pub(crate) enum Views {
    Files([Files; 3]),
    Database(Database),
}

impl Views {
    pub(crate) async fn open(options: &Options, partitions: u16) -> Result<Self, Failure> {
        match options.store.as_ref().and_then(|store| store.shared()) {
            Some(url) => Ok(Self::Database(Database::open(url).await?)),
            None => Self::in_files(options.views(), partitions),
        }
    }

    fn in_files(folder: &Path, partitions: u16) -> Result<Self, Failure> {
        std::fs::create_dir_all(folder)?;
        let [one, two, three] = PROJECTIONS.map(|(name, _)| Files::open(folder, name, partitions));
        Ok(Self::Files([one?, two?, three?]))
    }

    /// A service that runs all projections.
    pub(crate) fn project(&self, mut builder: Builder) -> Builder {
        match self {
            Self::Files(files) => {
                for ((name, types), files) in PROJECTIONS.into_iter().zip(files) {
                    builder = builder.define(files::definition(name, types), files.clone());
                }
                builder
            }
            Self::Database(database) => database.project(builder),
        }
    }

    /// What a projection applied in a partition, in order, with its lag in milliseconds.
    pub(crate) async fn seen(
        &self,
        projection: &str,
        partition: PartitionId,
    ) -> Result<Vec<(u64, u64)>, Failure> {
        match self {
            Self::Files(all) => {
                let of_name = PROJECTIONS.iter().zip(all).find(|((name, _), _)| *name == projection);
                of_name.ok_or("no such projection")?.1.seen(partition).await
            }
            Self::Database(database) => database.seen(projection, partition).await,
        }
    }
}
