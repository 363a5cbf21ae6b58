//! What is known of a place, in guarded rows of the log's store.
//!
//! One row is the checkpoint: its revision is the place's. Parked aggregates have a row each, and the last things that
//! were done have numbered rows that are used again. All of them are written in the checkpoint's unit.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::feed::JoinPositions;
use crate::limits;
use crate::projection::failure::fenced;
use crate::projection::parked::{Audited, Parked};
use crate::projection::place::Place;
use crate::projection::view::Change;
use crate::store::rows::{RowChange, RowExpected, RowKey, RowSelection, RowWrite, RowsRead};
use crate::store::{EventStore, json_rows};
use crate::stream::Position;

/// The spaces of the rows.
const PLACES: &str = "view places";
const PARKED: &str = "view parked";
const AUDIT: &str = "view audit";

/// A checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) epoch: u64,
    pub(super) position: Position,
    pub(super) joined: Option<JoinPositions>,
    /// How much was kept of what was done.
    pub(super) audited: u64,
}

impl Kept {
    /// A place that was never opened.
    pub(super) const NEW: Self = Self { epoch: 0, position: Position::START, joined: None, audited: 0 };
}

/// Something that was done, with its number.
#[derive(Debug, Serialize, Deserialize)]
struct Numbered {
    number: u64,
    audited: Audited,
}

/// The checkpoint, and its revision.
pub(super) async fn find(store: &dyn EventStore, place: &Place) -> Result<Option<(u64, Kept)>> {
    let row = json_rows::find(store, place.partition, &RowKey::new(PLACES, name(place))?).await?;
    row.map(|row| Ok((row.revision, json_rows::read(place.partition, &row)?))).transpose()
}

/// Writes a checkpoint, with what changes besides, where the place is at a revision; false where it is not.
pub(super) async fn write(
    store: &dyn EventStore,
    place: &Place,
    expected: RowExpected,
    kept: &Kept,
    mut rows: Vec<RowWrite>,
) -> Result<bool> {
    rows.insert(0, json_rows::put(RowKey::new(PLACES, name(place))?, expected, kept)?);
    Ok(json_rows::write(store, place.partition, rows).await?.is_ok())
}

/// What is parked.
pub(super) async fn parked(store: &dyn EventStore, place: &Place) -> Result<Vec<Parked>> {
    all(store, place, PARKED).await
}

/// What was done, the latest first.
pub(super) async fn audited(store: &dyn EventStore, place: &Place, limit: usize) -> Result<Vec<Audited>> {
    let mut found: Vec<Numbered> = all(store, place, AUDIT).await?;
    found.sort_by_key(|numbered| std::cmp::Reverse(numbered.number));
    Ok(found.into_iter().take(limit).map(|numbered| numbered.audited).collect())
}

/// What becomes of the rows by these changes; the checkpoint takes in its own.
pub(super) async fn changed(
    store: &dyn EventStore,
    place: &Place,
    kept: &mut Kept,
    changes: Vec<Change>,
) -> Result<Vec<RowWrite>> {
    let waiting = changes.iter().filter_map(|change| match change {
        Change::Waiting(cardinal, _) => Some(key_of(place, cardinal)),
        _ => None,
    });
    let which = RowSelection::Keys(waiting.collect());
    let partition = place.partition;
    let page = store.rows(RowsRead { partition, space: PARKED.to_owned(), which }).await?;
    let mut known = BTreeMap::new();
    for row in &page.rows {
        let parked: Parked = json_rows::read(partition, row)?;
        known.insert(parked.cardinal.clone(), parked);
    }
    let (mut parked, mut writes) = (BTreeMap::new(), Vec::new());
    for change in changes {
        match change {
            Change::Park(one) => drop(parked.insert(one.cardinal.clone(), Some(one))),
            Change::Unpark(cardinal) => drop(parked.insert(cardinal, None)),
            Change::Joined(joined) => kept.joined = Some(joined),
            Change::Waiting(cardinal, more) => {
                let of = parked.entry(cardinal).or_insert_with_key(|cardinal| known.remove(cardinal));
                if let Some(one) = of {
                    one.waiting = one.waiting.saturating_add(more);
                }
            }
            Change::Audit(audited) => {
                let number = kept.audited;
                kept.audited = number.saturating_add(1);
                let place_of = number.checked_rem(limits::ELSEWHERE_AUDITS).unwrap_or(0);
                let key = RowKey::new(AUDIT, format!("{}{place_of:03}", prefix(place)))?;
                writes.push(json_rows::put(key, RowExpected::Any, &Numbered { number, audited })?);
            }
        }
    }
    for (cardinal, one) in parked {
        let key = RowKey::new(PARKED, key_of(place, &cardinal))?;
        writes.push(match one {
            Some(one) => json_rows::put(key, RowExpected::Any, &one)?,
            None => RowWrite { key, expected: RowExpected::Any, change: RowChange::Remove },
        });
    }
    Ok(writes)
}

/// Demands that the place is where a work says.
pub(super) fn guard(
    found: Option<(u64, Kept)>,
    place: &Place,
    (epoch, revision, from): (u64, u64, Position),
) -> Result<Kept> {
    let is_mine = |(at, kept): &(u64, Kept)| (kept.epoch, *at, kept.position) == (epoch, revision, from);
    found.filter(is_mine).map(|(_, kept)| kept).ok_or_else(|| fenced(place))
}

fn name(place: &Place) -> String {
    place.projection.to_string()
}

/// What the keys of a projection begin with, and those of no other one.
fn prefix(place: &Place) -> String {
    let name = name(place);
    format!("{}:{name}/", name.len())
}

/// The key of a parked aggregate: a cardinal id may be longer than a key.
fn key_of(place: &Place, cardinal: &str) -> String {
    let hash = blake3::hash(cardinal.as_bytes()).to_hex();
    format!("{}{}", prefix(place), hash.get(..32).unwrap_or_default())
}

/// The rows of a place whose keys begin with its prefix.
async fn all<T: DeserializeOwned>(store: &dyn EventStore, place: &Place, space: &str) -> Result<Vec<T>> {
    let page = json_rows::all(store, place.partition, (space, &prefix(place))).await?;
    page.rows.iter().map(|row| json_rows::read(place.partition, row)).collect()
}
