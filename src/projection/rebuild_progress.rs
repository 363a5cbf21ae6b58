//! How far a rebuild has come.

use std::time::Duration;

use serde::Serialize;

use crate::partition::PartitionId;
use crate::projection::generation::{Stand, successor};
use crate::projection::place::ProjectionId;

/// How far one place was built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Built {
    /// The projection of the live generation.
    pub projection: ProjectionId,
    /// The partition.
    pub partition: PartitionId,
    /// Up to which position of the partition's log.
    pub done: u64,
    /// How many positions lie between there and the live generation.
    pub to_do: u64,
}

/// How far a rebuild has come, counted in positions of the log, selected or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RebuildProgress {
    /// By place.
    pub places: Vec<Built>,
    /// All together.
    pub done: u64,
    /// All together.
    pub to_do: u64,
    /// How many positions a second, since this process began.
    pub per_second: u64,
    /// How long what is left takes at this rate; `None` while nothing is known of it.
    pub left: Option<Duration>,
}

impl RebuildProgress {
    /// What is known from where both generations stand. `begun_at` is what was done when this process began.
    pub(super) fn of(live: &[Stand], built: &[Stand], (begun_at, elapsed): (u64, Duration)) -> Self {
        let places: Vec<_> = live.iter().map(|stand| place(stand, built)).collect();
        let done = places.iter().map(|place| place.done).fold(0, u64::saturating_add);
        let to_do = places.iter().map(|place| place.to_do).fold(0, u64::saturating_add);
        let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        let since = u128::from(done.saturating_sub(begun_at)).saturating_mul(1_000_000);
        let rate = since.checked_div(u128::from(micros)).unwrap_or(0);
        let per_second = u64::try_from(rate).unwrap_or(u64::MAX);
        let left = to_do.saturating_mul(1_000).checked_div(per_second).map(Duration::from_millis);
        Self { places, done, to_do, per_second, left }
    }
}

/// Whether there are live places, all of them are built, and all together are no further behind than that.
pub(super) fn is_near(live: &[Stand], built: &[Stand], positions: u64) -> bool {
    let behind = live.iter().map(|stand| {
        let found = successor(stand, built)?;
        Some(stand.position.get().saturating_sub(found.position.get()))
    });
    !live.is_empty() && behind.sum::<Option<u64>>().is_some_and(|behind| behind <= positions)
}

fn place(stand: &Stand, built: &[Stand]) -> Built {
    let done = successor(stand, built).map_or(0, |found| found.position.get());
    let to_do = stand.position.get().saturating_sub(done);
    Built { projection: stand.projection.clone(), partition: stand.partition, done, to_do }
}
