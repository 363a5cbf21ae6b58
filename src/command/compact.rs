//! Compaction: removing the part of an aggregate's stream that nothing can ask for again.

use std::time::Duration;

use crate::command::CommandHandler;
use crate::decider::Decider;
use crate::error::Result;
use crate::event::Record;
use crate::limits;
use crate::snapshot;
use crate::store::{OpenStepsRead, ReadFrom};
use crate::stream::{AggregateId, StreamName, Version};

impl<D: Decider> CommandHandler<D> {
    /// Removes the records of an aggregate at and before `through`, as far as that is safe, and returns
    /// the new floor. It keeps a usable snapshot and everything after it, and everything after the version
    /// that any open step was requested at. The removed events are gone from the partition's log too: run
    /// it only once every projection is past them, and after archiving what must be kept.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn compact(&self, aggregate: &AggregateId, through: Version) -> Result<Version> {
        let stream = D::CATEGORY.stream(aggregate);
        // The order matters: a request that comes after the head was read carries a version at or above it,
        // and one that came before is found open or is settled.
        let page = self.shared.page(&stream, ReadFrom::SnapshotBefore(Version::MAX)).await?;
        let head = page.head;
        let covered = self.covered(&stream, page.snapshot.as_ref()).await?;
        let needed = self.lowest_open(aggregate).await?.unwrap_or(Version::MAX);
        let target = through.min(head).min(covered).min(needed);
        if target <= page.floor {
            return Ok(page.floor);
        }
        self.shared.store.truncate(&stream, target).await
    }

    /// What the last snapshot but one stands for: should the last be damaged one day, that one is still there.
    async fn covered(&self, stream: &StreamName, latest: Option<&Record>) -> Result<Version> {
        let Some(latest) = latest.filter(|latest| self.is_usable(latest)) else { return Ok(Version::EMPTY) };
        let page = self.shared.page(stream, ReadFrom::SnapshotBefore(latest.version)).await?;
        let older = page.snapshot.filter(|older| self.is_usable(older));
        Ok(older.map_or(Version::EMPTY, |older| Version::new(older.version.get().saturating_sub(1))))
    }

    fn is_usable(&self, snapshot: &Record) -> bool {
        snapshot::read::<D>(snapshot, &self.shared.codecs).is_ok()
    }

    /// The lowest version that an open step of the aggregate may still be scanned from.
    async fn lowest_open(&self, aggregate: &AggregateId) -> Result<Option<Version>> {
        let partition = self.shared.properties.partitions.of(aggregate.cardinal());
        let category = D::CATEGORY.side().to_string();
        let (older_than, limit) = (Duration::ZERO, limits::PAGE_RECORDS);
        let mut read = OpenStepsRead { partition, category, older_than, after: None, limit };
        let mut lowest = None;
        loop {
            let page = self.shared.store.open_steps(read.clone()).await?;
            let own = page.iter().filter(|step| is_of(&step.stream, aggregate));
            lowest = own.map(|step| step.aggregate_version).chain(lowest).min();
            let Some(last) = page.last().filter(|_| page.len() >= limit) else { return Ok(lowest) };
            read.after = Some((last.touched_at, last.stream.clone()));
        }
    }
}

fn is_of(stream: &StreamName, aggregate: &AggregateId) -> bool {
    stream.side_parts().is_some_and(|(of, _)| of == *aggregate)
}
