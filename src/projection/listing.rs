//! What is parked, in guarded rows of the log's store, for whoever has no way into the view.
//!
//! One row says that a projection runs in a partition, and how many aggregates are parked there; each of the first of them
//! has a row of its own. The view decides, and these rows follow it: see [`Lister`](super::lister::Lister).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::partition::PartitionId;
use crate::projection::parked::Parked;
use crate::projection::place::ProjectionId;
use crate::store::rows::{RowChange, RowExpected, RowKey, RowWrite};
use crate::store::{EventStore, json_rows};

/// The spaces of the rows.
const PLACES: &str = "projections";
const PARKED: &str = "projections parked";

/// A projection in a partition, as whoever runs it told last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// The projection.
    pub projection: ProjectionId,
    /// Whether it is a join: then the first partition stands for all.
    pub is_join: bool,
    /// The epoch under which that was told.
    pub epoch: u64,
    /// How many aggregates are parked. The first [`LISTED_PARKED`](crate::limits::LISTED_PARKED) by cardinal id are listed.
    pub parked: u64,
}

/// The aggregates that projections over a store have parked, for operators, in any process.
///
/// Whoever runs a projection in a partition tells so beside the log, and what is parked there, about as often as it looks
/// for requests ([`Settings::polling`](super::Settings)): so it may be that late, and where nobody runs, it is as it was.
/// What is parked in a generation that is being built is not told.
#[derive(Debug, Clone)]
pub struct ParkedAggregates {
    store: Arc<dyn EventStore>,
}

impl ParkedAggregates {
    /// Those of a store.
    #[must_use]
    pub fn new(store: Arc<dyn EventStore>) -> Self {
        Self { store }
    }

    /// Which projections ever ran in which partitions, by partition and name.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) when the store is down.
    pub async fn places(&self) -> Result<Vec<(PartitionId, Listing)>> {
        let mut all = Vec::new();
        for partition in self.store.properties().partitions.all() {
            for row in json_rows::all(&*self.store, partition, (PLACES, "")).await?.rows {
                all.push((partition, json_rows::read(partition, &row)?));
            }
        }
        Ok(all)
    }

    /// What is parked in one of these places, by cardinal id.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) when the store is down.
    pub async fn list(&self, partition: PartitionId, projection: &ProjectionId) -> Result<Vec<Parked>> {
        listed(&*self.store, partition, projection).await
    }
}

impl Listing {
    /// The row of a place, with its revision.
    pub(super) async fn find(
        store: &dyn EventStore,
        partition: PartitionId,
        projection: &ProjectionId,
    ) -> Result<Option<(u64, Self)>> {
        let row = json_rows::find(store, partition, &RowKey::new(PLACES, projection.to_string())?).await?;
        row.map(|row| Ok((row.revision, json_rows::read(partition, &row)?))).transpose()
    }

    /// What makes it so.
    pub(super) fn write(&self, expected: RowExpected) -> Result<RowWrite> {
        json_rows::put(RowKey::new(PLACES, self.projection.to_string())?, expected, self)
    }
}

/// The aggregates that are listed in a place, by cardinal id.
pub(super) async fn listed(
    store: &dyn EventStore,
    partition: PartitionId,
    projection: &ProjectionId,
) -> Result<Vec<Parked>> {
    let page = json_rows::all(store, partition, (PARKED, &prefix(projection))).await?;
    let read = |row| json_rows::read(partition, row);
    let mut found = page.rows.iter().map(read).collect::<Result<Vec<Parked>>>()?;
    found.sort_by(|one, other| one.cardinal.cmp(&other.cardinal));
    Ok(found)
}

/// What lists an aggregate from now on.
pub(super) fn list(projection: &ProjectionId, parked: &Parked) -> Result<RowWrite> {
    json_rows::put(key(PARKED, projection, &parked.cardinal)?, RowExpected::Any, parked)
}

/// What lists it no more. The same key may be listed again, and nobody expects its numbers.
pub(super) fn unlist(projection: &ProjectionId, cardinal: &str) -> Result<RowWrite> {
    let key = key(PARKED, projection, cardinal)?;
    Ok(RowWrite { key, expected: RowExpected::Any, change: RowChange::Forget })
}

/// What the keys of a projection begin with, and those of no other one.
pub(super) fn prefix(projection: &ProjectionId) -> String {
    let name = projection.to_string();
    format!("{}:{name}/", name.len())
}

/// The key of an aggregate of a projection. Its id may be as long as a key: its hash stands for it.
pub(super) fn key(space: &str, projection: &ProjectionId, cardinal: &str) -> Result<RowKey> {
    let hash = blake3::hash(cardinal.as_bytes()).to_hex();
    RowKey::new(space, format!("{}{}", prefix(projection), hash.get(..32).unwrap_or_default()))
}
