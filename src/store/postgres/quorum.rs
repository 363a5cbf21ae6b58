//! How far the log is known to be on a quorum.
//!
//! Others' commits become visible when their wait for the quorum is cancelled, though a failover may take them away.
//! So where a quorum is required, what was read is shown only once a commit of this process, made afterwards, was
//! acknowledged by the quorum: the standbys take the log in order. Own commits tell, too.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

use crate::error::{Error, Result};
use crate::partition::{PartitionCount, PartitionId};
use crate::store::AppendFailure;
use crate::store::postgres::commit;
use crate::store::postgres::failure;
use crate::store::postgres::pool::Pool;
use crate::store::postgres::types::column;
use crate::store::postgres::types::number;
use crate::stream::Position;

const CONFIRM: &str = include_str!("sql/confirm.sql");

/// By partition, up to where the log is on a quorum for sure.
#[derive(Debug)]
pub(super) struct Confirmed {
    positions: Vec<AtomicU64>,
    /// One confirmation at a time: those who wait may find that it did for them, too.
    confirming: Mutex<()>,
}

impl Confirmed {
    pub(super) fn new(partitions: PartitionCount) -> Self {
        let positions = partitions.all().map(|_| AtomicU64::new(0)).collect();
        Self { positions, confirming: Mutex::new(()) }
    }

    /// Takes in that a commit up to here was acknowledged.
    pub(super) fn note(&self, partition: PartitionId, position: Position) {
        if let Some(known) = self.positions.get(usize::from(partition.get())) {
            known.fetch_max(position.get(), Ordering::AcqRel);
        }
    }

    fn holds(&self, partition: PartitionId, position: Position) -> bool {
        let known = self.positions.get(usize::from(partition.get()));
        known.is_some_and(|known| known.load(Ordering::Acquire) >= position.get())
    }

    /// Returns once all that was seen is on a quorum.
    pub(super) async fn demand(&self, pool: &Pool, seen: &[(PartitionId, Position)]) -> Result<()> {
        let holds = || seen.iter().all(|(partition, position)| self.holds(*partition, *position));
        if holds() {
            return Ok(());
        }
        let _one = self.confirming.lock().await;
        if holds() { Ok(()) } else { self.confirm(pool).await }
    }

    /// Returns once all that is visible now is on a quorum: rows have no positions to compare.
    pub(super) async fn demand_all(&self, pool: &Pool) -> Result<()> {
        let _one = self.confirming.lock().await;
        self.confirm(pool).await
    }

    async fn confirm(&self, pool: &Pool) -> Result<()> {
        let session = pool.session().await?;
        let rows = commit::query(&session, "confirming", CONFIRM, &[]).await.map_err(unconfirmed)?;
        let row = rows.first().ok_or_else(|| Error::corrupt("the server confirmed nothing"))?;
        let positions: Vec<i64> = column(row, 0)?;
        for (known, position) in self.positions.iter().zip(positions) {
            known.fetch_max(number(position), Ordering::AcqRel);
        }
        Ok(())
    }
}

/// What was read is not shown: nobody knows whether it stays.
fn unconfirmed(failure: AppendFailure) -> Error {
    match failure {
        AppendFailure::Refused(error) => error,
        other => failure::unavailable(format!("the quorum did not confirm what was read: {other}")),
    }
}
