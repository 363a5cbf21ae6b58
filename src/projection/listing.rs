//! What is parked, in guarded rows of the log's store, for whoever has no way into the view.
//!
//! One row says that a projection runs in a partition, and how many aggregates are parked there; each of the first of them
//! has a row of its own. The view decides, and these rows follow it: see [`Lister`](super::lister::Lister).

use std::sync::Arc;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::limits;
use crate::partition::PartitionId;
use crate::projection::parked::Parked;
use crate::projection::place::ProjectionId;
use crate::store::EventStore;
use crate::store::rows::{Row, RowChange, RowExpected, RowKey, RowSelection, RowWrite, RowsRead};

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
    /// How many aggregates are parked. The first [`limits::LISTED_PARKED`] by cardinal id are listed.
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
            let rows = rows(&*self.store, partition, (PLACES, String::new())).await?;
            for row in &rows {
                all.push((partition, read(row)?));
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
        let which = RowSelection::Keys(vec![projection.to_string()]);
        let page = store.rows(RowsRead { partition, space: PLACES.to_owned(), which }).await?;
        page.rows.first().map(|row| Ok((row.revision, read(row)?))).transpose()
    }

    /// What makes it so.
    pub(super) fn write(&self, expected: RowExpected) -> Result<RowWrite> {
        put(RowKey::new(PLACES, self.projection.to_string())?, expected, self)
    }
}

/// The aggregates that are listed in a place, by cardinal id.
pub(super) async fn listed(
    store: &dyn EventStore,
    partition: PartitionId,
    projection: &ProjectionId,
) -> Result<Vec<Parked>> {
    let rows = rows(store, partition, (PARKED, prefix(projection))).await?;
    let mut found = rows.iter().map(read).collect::<Result<Vec<Parked>>>()?;
    found.sort_by(|one, other| one.cardinal.cmp(&other.cardinal));
    Ok(found)
}

/// What lists an aggregate from now on.
pub(super) fn list(projection: &ProjectionId, parked: &Parked) -> Result<RowWrite> {
    put(key(projection, &parked.cardinal)?, RowExpected::Any, parked)
}

/// What lists it no more. The same key may be listed again, and nobody expects its numbers.
pub(super) fn unlist(projection: &ProjectionId, cardinal: &str) -> Result<RowWrite> {
    let key = key(projection, cardinal)?;
    Ok(RowWrite { key, expected: RowExpected::Any, change: RowChange::Forget })
}

/// A row that says so from now on.
pub(super) fn put(key: RowKey, expected: RowExpected, content: &impl Serialize) -> Result<RowWrite> {
    let broken = |source| Error::invalid(format!("row {key} cannot be written")).caused_by(source);
    let value = Bytes::from(serde_json::to_vec(content).map_err(broken)?);
    Ok(RowWrite { key, expected, change: RowChange::Put { value, lives: None } })
}

/// What a row says.
pub(super) fn read<T: DeserializeOwned>(row: &Row) -> Result<T> {
    serde_json::from_slice(&row.value).map_err(|source| {
        Error::corrupt(format!("row {} cannot be read", row.key))
            .advice("was it written by a newer version?")
            .caused_by(source)
    })
}

/// What the keys of a projection begin with, and those of no other one.
fn prefix(projection: &ProjectionId) -> String {
    let name = projection.to_string();
    format!("{}:{name}/", name.len())
}

/// An aggregate's id may be as long as a key: its hash stands for it.
fn key(projection: &ProjectionId, cardinal: &str) -> Result<RowKey> {
    let hash = blake3::hash(cardinal.as_bytes()).to_hex();
    RowKey::new(PARKED, format!("{}{}", prefix(projection), hash.get(..32).unwrap_or_default()))
}

async fn rows(
    store: &dyn EventStore,
    partition: PartitionId,
    (space, prefix): (&str, String),
) -> Result<Vec<Row>> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let which = RowSelection::Prefix { prefix: prefix.clone(), after, limit: limits::PAGE_ROWS };
        let mut page = store.rows(RowsRead { partition, space: space.to_owned(), which }).await?;
        let is_last = page.rows.len() < limits::PAGE_ROWS;
        after = page.rows.last().map(|row| row.key.key().to_owned());
        found.append(&mut page.rows);
        if is_last {
            return Ok(found);
        }
    }
}
