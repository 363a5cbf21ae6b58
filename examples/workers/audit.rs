//! Views, compared with the log.

use std::collections::BTreeSet;
use std::time::Duration;

use sidestream::event::RecordKind;
use sidestream::partition::PartitionId;
use sidestream::{EventStore, Position};

use crate::Failure;
use crate::views::{PROJECTIONS, Views};

/// How long is waited until all is applied.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(crate) struct Audited {
    pub(crate) applied: usize,
    pub(crate) missed: usize,
    pub(crate) doubled: usize,
    pub(crate) out_of_order: usize,
    pub(crate) lags_ms: Vec<u64>,
}

/// Compares all views with the log, until nothing is missed or patience ends.
pub(crate) async fn until_caught_up(store: &dyn EventStore, views: &Views) -> Result<Audited, Failure> {
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        let audited = audit(store, views).await?;
        if audited.missed == 0 || tokio::time::Instant::now() > end {
            return Ok(audited);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn audit(store: &dyn EventStore, views: &Views) -> Result<Audited, Failure> {
    let (mut audited, partitions) = (Audited::default(), store.properties().partitions);
    for (name, types) in PROJECTIONS {
        for partition in partitions.all() {
            let expected = fold(store, partition, types).await?;
            audited.compare(&expected, views.seen(name, partition).await?);
        }
    }
    Ok(audited)
}

impl Audited {
    fn compare(&mut self, expected: &BTreeSet<u64>, seen: Vec<(u64, u64)>) {
        let (positions, lags): (Vec<u64>, Vec<u64>) = seen.into_iter().unzip();
        let once: BTreeSet<u64> = positions.iter().copied().collect();
        self.applied += positions.len();
        self.missed += expected.difference(&once).count();
        self.doubled += positions.len() - once.len() + once.difference(expected).count();
        self.out_of_order += positions.windows(2).filter(|pair| pair.first() > pair.last()).count();
        self.lags_ms.extend(lags);
    }
}

/// What a projection should have seen of a partition.
async fn fold(
    store: &dyn EventStore,
    partition: PartitionId,
    types: &[&str],
) -> Result<BTreeSet<u64>, Failure> {
    let (mut found, mut after) = (BTreeSet::new(), Position::START);
    loop {
        let page = store.read_log(partition, after, 4_096).await?;
        let events = page.records.iter().filter(|record| record.data.kind == RecordKind::Event);
        let selected =
            events.filter(|record| types.is_empty() || types.contains(&record.data.event_type.as_str()));
        found.extend(selected.map(|record| record.position.get()));
        after = page.read_to;
        if page.read_to >= page.head {
            return Ok(found);
        }
    }
}
