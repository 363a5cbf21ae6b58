//! Lease rows: one for each partition of each processor, in that partition, keyed by the processor.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::cluster::spread::Assignment;
use crate::error::Result;
use crate::lease::Lease;
use crate::partition::PartitionId;
use crate::processor::ProcessorId;
use crate::store::rows::{RowChange, RowExpected, RowKey, RowWrite};
use crate::store::{AppendFailure, EventStore, Unit, UnitResult, json_rows};

/// The space of the leases.
const SPACE: &str = "leases";

/// What a lease row says: who claimed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Holder {
    pub(super) worker: Uuid,
    pub(super) name: String,
}

/// A lease row as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) holder: Holder,
    pub(super) epoch: u64,
    pub(super) expires_at: Timestamp,
}

/// The leases of a partition, and the store's time at the read.
#[derive(Debug, Clone)]
pub(super) struct Leases {
    pub(super) at: Timestamp,
    pub(super) found: BTreeMap<ProcessorId, Found>,
}

impl Leases {
    /// Who has a lease; nobody where it expired.
    pub(super) fn holder(&self, processor: &ProcessorId) -> Option<&Found> {
        self.found.get(processor).filter(|found| found.expires_at > self.at)
    }

    /// All of them, for people.
    pub(super) fn by_assignment(&self, partition: PartitionId) -> impl Iterator<Item = (Assignment, Lease)> {
        self.found.iter().map(move |(processor, found)| {
            let Found { holder, epoch, expires_at } = found;
            let lease = Lease { owner: holder.name.clone(), epoch: *epoch, expires_at: *expires_at };
            (Assignment { processor: processor.clone(), partition }, lease)
        })
    }
}

/// What became of a lease that was renewed or claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is ours for another while.
    Ours,
    /// It is another's, or gone.
    Lost,
    /// Not known: the store did not answer, or not clearly.
    Unclear,
}

impl Answer {
    fn of(result: Option<&UnitResult>) -> Self {
        match result {
            Some(Ok(_)) => Self::Ours,
            Some(Err(AppendFailure::WrongRow(_))) => Self::Lost,
            Some(Err(_)) | None => Self::Unclear,
        }
    }
}

fn unit(processor: &ProcessorId, expected: RowExpected, change: RowChange) -> Result<Unit> {
    let key = RowKey::new(SPACE, processor.as_str())?;
    Ok(Unit::of_rows(vec![RowWrite { key, expected, change }]))
}

/// Writes lease rows of one partition, each by itself.
async fn write(
    store: &dyn EventStore,
    partition: PartitionId,
    units: Result<Vec<Unit>>,
) -> Result<Vec<Answer>> {
    let units = units?;
    let count = units.len();
    if count == 0 {
        return Ok(Vec::new());
    }
    let results = store.append(partition, units).await;
    Ok((0..count).map(|at| Answer::of(results.get(at))).collect())
}

/// Renews leases.
pub(super) async fn renew(
    store: &dyn EventStore,
    partition: PartitionId,
    leases: &[(ProcessorId, u64)],
    lives: Duration,
) -> Result<Vec<Answer>> {
    let extend = RowChange::Extend { lives: Some(lives) };
    let units = leases.iter().map(|(id, epoch)| unit(id, RowExpected::Epoch(*epoch), extend.clone()));
    write(store, partition, units.collect()).await
}

/// Gives a lease up: it expires now, and anybody may claim it.
pub(super) async fn release(
    store: &dyn EventStore,
    partition: PartitionId,
    (processor, epoch): (&ProcessorId, u64),
) -> Result<Vec<Answer>> {
    let expires = RowChange::Extend { lives: Some(Duration::ZERO) };
    let unit = unit(processor, RowExpected::Epoch(epoch), expires);
    write(store, partition, unit.map(|unit| vec![unit])).await
}

/// Claims free leases. Under which epoch they became ours, the next read tells.
pub(super) async fn claim(
    store: &dyn EventStore,
    partition: PartitionId,
    processors: &[ProcessorId],
    (holder, lives): (&Holder, Duration),
) -> Result<Vec<Answer>> {
    let value = json_rows::value(SPACE, holder)?;
    let claim = RowChange::Claim { value, lives: Some(lives) };
    let units = processors.iter().map(|id| unit(id, RowExpected::Free, claim.clone()));
    write(store, partition, units.collect()).await
}

/// Reads all leases of a partition.
pub(super) async fn read(store: &dyn EventStore, partition: PartitionId) -> Result<Leases> {
    let page = json_rows::all(store, partition, (SPACE, "")).await?;
    let mut found = BTreeMap::new();
    for row in &page.rows {
        let expires_at = row.expires_at.unwrap_or(Timestamp::MAX);
        let lease = Found { holder: json_rows::read(partition, row)?, epoch: row.epoch, expires_at };
        found.insert(ProcessorId::new(row.key.key())?, lease);
    }
    Ok(Leases { at: page.at, found })
}

/// Removes the lease of a processor that nobody runs any more; its epoch stays used.
pub(super) async fn retire(
    store: &dyn EventStore,
    partition: PartitionId,
    processor: &ProcessorId,
) -> Result<Vec<Answer>> {
    let unit = unit(processor, RowExpected::Free, RowChange::Remove);
    write(store, partition, unit.map(|unit| vec![unit])).await
}
