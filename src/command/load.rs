//! Bringing aggregates into memory: one snapshot and what follows it; and scanning their tails.

use crate::command::aggregate::Aggregate;
use crate::command::settings::count;
use crate::command::shared::Shared;
use crate::decider::Decider;
use crate::error::{Error, Result};
use crate::event::{Record, RecordKind};
use crate::hash::HashSet;
use crate::id::{StepName, TransactionId};
use crate::limits;
use crate::side_stream::Verdict;
use crate::snapshot;
use crate::store::{ReadFrom, StreamPage, StreamRead};
use crate::stream::{StreamName, Version};

/// What a scan of an aggregate's tail found, for all transactions that asked.
pub(super) struct Tail {
    /// Nothing at or before this version was looked at.
    pub(super) after: Version,
    /// Records at and before this version are gone.
    pub(super) floor: Version,
    /// The records that belong to one of the transactions.
    records: Vec<Record>,
    /// Whose records were kept.
    wanted: HashSet<TransactionId>,
}

impl Tail {
    /// Whether the scan looked for this transaction, from this version on.
    pub(super) fn covers(&self, transaction: TransactionId, after: Version) -> bool {
        self.after <= after && self.wanted.contains(&transaction)
    }

    /// The last record of a step after a version: what it did to the aggregate, or its fence.
    pub(super) fn find(
        &self,
        transaction: TransactionId,
        step: &StepName,
        after: Version,
    ) -> Option<&Record> {
        self.records.iter().rfind(|record| {
            let cause = record.data.cause.as_ref();
            record.version > after
                && cause.is_some_and(|cause| cause.transaction == transaction && cause.step == *step)
        })
    }
}

/// What a record in the aggregate stream says of its step.
pub(super) fn verdict(record: &Record) -> Verdict {
    if record.data.kind == RecordKind::Fence { Verdict::Rejected } else { Verdict::Accepted }
}

/// A read that starts where folding an aggregate does.
pub(super) fn from_snapshot(stream: &StreamName) -> StreamRead {
    read(stream, ReadFrom::SnapshotBefore(Version::MAX))
}

pub(super) fn read(stream: &StreamName, from: ReadFrom) -> StreamRead {
    StreamRead { stream: stream.clone(), from, limit: limits::PAGE_RECORDS }
}

impl<D: Decider> Shared<D> {
    pub(super) async fn page(&self, stream: &StreamName, from: ReadFrom) -> Result<StreamPage> {
        let pages = self.store.read_streams(vec![read(stream, from)]).await;
        pages.into_iter().next().unwrap_or_else(|| Err(Error::corrupt("the store answered no read")))
    }

    /// Folds an aggregate from the first page of [`from_snapshot`]. An unusable snapshot is stepped over:
    /// to an older one a few times, then to the stream's start.
    pub(super) async fn fold(&self, stream: &StreamName, mut page: StreamPage) -> Result<Aggregate<D>> {
        let mut unusable = 0;
        let mut aggregate = loop {
            let Some(found) = page.snapshot.take() else { break whole(stream, &page)? };
            match snapshot::read::<D>(&found, &self.codecs) {
                Ok(state) => break Aggregate::at(state, found.version),
                Err(error) => {
                    tracing::warn!(%error, "a snapshot is stepped over");
                    count(&self.counters.snapshots_unusable, 1);
                    unusable = usize::saturating_add(unusable, 1);
                    let older = ReadFrom::SnapshotBefore(found.version);
                    let exhausted = unusable > limits::UNREADABLE_SNAPSHOTS;
                    let from = if exhausted { ReadFrom::After(Version::EMPTY) } else { older };
                    page = self.page(stream, from).await?;
                }
            }
        };
        loop {
            count(&self.counters.loaded, u64::try_from(page.records.len()).unwrap_or(u64::MAX));
            page.records.iter().try_for_each(|record| aggregate.apply(record, &self.codecs))?;
            if !page.has_more() {
                if unusable > 0 {
                    // Nobody should have to step over it again: the next command takes a new one.
                    aggregate.since_snapshot = u64::MAX;
                }
                return Ok(aggregate);
            }
            page = self.page(stream, ReadFrom::After(aggregate.version)).await?;
        }
    }

    /// A state with the records that follow it; none where they do not follow, or are more than a page.
    pub(super) fn caught_up(&self, mut aggregate: Aggregate<D>, page: StreamPage) -> Option<Aggregate<D>> {
        if page.floor > aggregate.version || page.head < aggregate.version || page.has_more() {
            return None;
        }
        count(&self.counters.loaded, u64::try_from(page.records.len()).unwrap_or(u64::MAX));
        page.records.iter().try_for_each(|record| aggregate.apply(record, &self.codecs)).ok()?;
        aggregate.fresh = true;
        Some(aggregate)
    }

    pub(super) async fn load(&self, stream: &StreamName) -> Result<Aggregate<D>> {
        let page = self.page(stream, ReadFrom::SnapshotBefore(Version::MAX)).await?;
        self.fold(stream, page).await
    }

    /// Reads everything after `after`, keeps what belongs to `wanted`, and brings the aggregate to the
    /// stream's head.
    pub(super) async fn scan(
        &self,
        stream: &StreamName,
        aggregate: &mut Aggregate<D>,
        after: Version,
        wanted: &HashSet<TransactionId>,
    ) -> Result<Tail> {
        let mut from = after.min(aggregate.version);
        let wanted = wanted.clone();
        let mut tail = Tail { after, floor: Version::EMPTY, records: Vec::new(), wanted };
        loop {
            let page = self.page(stream, ReadFrom::After(from)).await?;
            tail.floor = page.floor;
            // A state that is older than the floor, or newer than the store, is of no use here.
            if page.floor > aggregate.version || page.head < aggregate.version {
                *aggregate = self.load(stream).await?;
            }
            let more = page.has_more();
            count(&self.counters.scanned, u64::try_from(page.records.len()).unwrap_or(u64::MAX));
            for record in page.records {
                from = record.version;
                if record.version == aggregate.version.next() {
                    aggregate.apply(&record, &self.codecs)?;
                }
                record.verify()?;
                if record.data.cause.as_ref().is_some_and(|cause| tail.wanted.contains(&cause.transaction)) {
                    tail.records.push(record);
                }
            }
            if !more && from >= aggregate.version {
                aggregate.fresh = true;
                return Ok(tail);
            }
        }
    }
}

/// Without a snapshot, the whole stream must be there.
fn whole<D: Decider>(stream: &StreamName, page: &StreamPage) -> Result<Aggregate<D>> {
    if page.floor == Version::EMPTY {
        return Ok(Aggregate::new());
    }
    Err(Error::corrupt("records were removed and no usable snapshot stands for them")
        .in_stream(stream)
        .expected(format!("a snapshot after version {}", page.floor), "none"))
}
