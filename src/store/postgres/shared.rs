//! What all calls of a store share, and the answers that they give.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::partition::PartitionId;
use crate::store::changes::Changes;
use crate::store::heads::Heads;
use crate::store::postgres::commit::Terms;
use crate::store::postgres::gathered::Gathered;
use crate::store::postgres::listener::Listener;
use crate::store::postgres::plan::{Admitted, List, Plan};
use crate::store::postgres::pool::Pool;
use crate::store::postgres::quorum::Confirmed;
use crate::store::postgres::waiting::Waiting;
use crate::store::{AppendFailure, Committed, StoreProperties, StreamPage, StreamRead, UnitResult};
use crate::stream::Position;

/// The results of some lists.
pub(super) type Answers = Vec<Vec<UnitResult>>;

/// What appending and reading need.
pub(super) struct Core {
    pub(super) properties: StoreProperties,
    /// Of calls that wait for nobody long.
    pub(super) writers: Pool,
    /// Of calls that wait for the lock of a partition. They are apart, so that nobody else waits along.
    pub(super) holders: Pool,
    pub(super) readers: Pool,
    /// Whether a commit has to be on a quorum.
    pub(super) quorum: bool,
    pub(super) confirmed: Confirmed,
    /// Wakes readers of this process.
    pub(super) changes: Arc<Changes>,
    /// Hears of other processes' appends, and tells them of its own.
    pub(super) listener: Option<Listener>,
    /// Appends that were committed.
    pub(super) commits: AtomicU64,
    pub(super) lists: Arc<Waiting>,
    /// Of streams of which nothing was expected.
    pub(super) heads: Mutex<Heads>,
    pub(super) reads: Arc<Gathered<Vec<StreamRead>, Vec<Result<StreamPage>>>>,
}

impl Core {
    pub(super) fn demand_partition(&self, partition: PartitionId) -> Result<()> {
        let count = self.properties.partitions;
        if partition.get() < count.get() {
            return Ok(());
        }
        Err(Error::invalid(format!("partition {partition} does not exist"))
            .expected(format!("below {count}"), partition))
    }

    pub(super) fn terms(&self) -> Terms {
        Terms { quorum: self.quorum, notify: self.listener.is_some() }
    }

    pub(super) fn count_commit(&self) {
        self.commits.fetch_add(1, Ordering::Relaxed);
    }
}

/// The results of units that were committed behind `base`.
pub(super) fn answers(
    core: &Core,
    partition: PartitionId,
    plan: Plan<'_>,
    (base, recorded_at): (u64, Timestamp),
) -> Answers {
    let Plan { verdicts, admitted } = plan;
    let committed = |place: usize| {
        let admitted = admitted.get(place);
        let before = Position::new(base).plus(admitted.map_or(0, |admitted| admitted.offset));
        let is_empty = admitted.is_none_or(|admitted| admitted.unit.is_empty());
        Committed { first: if is_empty { before } else { before.next() }, recorded_at }
    };
    if let Some(last) = admitted.last() {
        core.confirmed.note(partition, end(last, base));
        core.changes.advance(partition, end(last, base));
    }
    let answer = |verdict: Result<usize, AppendFailure>| verdict.map(committed);
    verdicts.into_iter().map(|list| list.into_iter().map(answer).collect()).collect()
}

fn end(last: &Admitted<'_>, base: u64) -> Position {
    let records = u64::try_from(last.unit.len()).unwrap_or(0);
    Position::new(base).plus(last.offset).plus(records)
}

pub(super) fn refuse_all(lists: &[List], failure: &AppendFailure) -> Answers {
    lists.iter().map(|list| refuse(list.len(), failure)).collect()
}

pub(super) fn refuse(units: usize, failure: &AppendFailure) -> Vec<UnitResult> {
    (0..units).map(|_| Err(failure.clone())).collect()
}

/// Whoever carried an append is gone, and nobody knows how far it came.
pub(super) fn unanswered() -> AppendFailure {
    AppendFailure::Unknown(Error::new(ErrorKind::Unknown, "the append ended without an answer"))
}
