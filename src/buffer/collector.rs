//! Removing messages that all destinations have, once they are past their retention.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::buffer::destination::DestinationName;
use crate::buffer::parked;
use crate::buffer::place::{self, Mark, Place};
use crate::buffer::statuses::Statuses;
use crate::buffer::window::Done;
use crate::clock::{self, Timestamp};
use crate::error::{Error, ErrorKind, Result};
use crate::feed::{Cursor, Selection};
use crate::limits;
use crate::partition::PartitionId;
use crate::processor::{Processor, ProcessorId, ProcessorStatus, Run, caught};
use crate::store::{EventStore, json_rows};
use crate::stream::{Position, StreamName, Version};

/// The collector's own row; no destination is called so.
const ROW: &str = "$collect";
/// How often it is looked whether something can be removed: at least, and at most.
const LOOKS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(60));

/// Removes messages from the log, in slices, behind all destinations and everything that is parked.
pub(super) struct Collector {
    id: ProcessorId,
    ground: Arc<Ground>,
    status: Arc<Statuses>,
}

struct Ground {
    store: Arc<dyn EventStore>,
    selection: Selection,
    retention: Duration,
    /// Nothing is removed before all of these have begun.
    destinations: Vec<DestinationName>,
}

impl Collector {
    pub(super) fn new(
        store: Arc<dyn EventStore>,
        selection: Selection,
        (retention, destinations): (Duration, Vec<DestinationName>),
    ) -> Result<Self> {
        let id = ProcessorId::new("collect messages")?;
        Ok(Self {
            id,
            ground: Arc::new(Ground { store, selection, retention, destinations }),
            status: Arc::default(),
        })
    }
}

impl Processor for Collector {
    fn id(&self) -> &ProcessorId {
        &self.id
    }

    fn run(&self, partition: PartitionId, epoch: u64, stop: watch::Receiver<bool>) -> Run {
        let (ground, status) = (Arc::clone(&self.ground), Arc::clone(&self.status));
        let tell = move |state: String, at: Option<(Position, Position)>| {
            let (checkpoint, head) = at.map_or((None, Position::START), |(to, head)| (Some(to), head));
            status.tell(partition, ProcessorStatus { state, checkpoint, head, oldest: None, parked: 0 });
        };
        tell("it starts".to_owned(), None);
        Box::pin(keep(ground, (partition, epoch), tell, stop))
    }

    fn status(&self, partition: PartitionId) -> Option<ProcessorStatus> {
        self.status.of(partition)
    }
}

async fn keep(
    ground: Arc<Ground>,
    (partition, epoch): (PartitionId, u64),
    tell: impl Fn(String, Option<(Position, Position)>),
    mut stop: watch::Receiver<bool>,
) -> Result<()> {
    let pause = ground.retention.checked_div(10).unwrap_or_default().clamp(LOOKS.0, LOOKS.1);
    loop {
        let work = caught(ground.collect(partition, epoch, &tell));
        let done = tokio::select! {
            done = work => done,
            told = stop.wait_for(|stop| *stop) => { drop(told); return Ok(()) }
        };
        if let Err(error) =
            done.unwrap_or_else(|| Err(Error::new(ErrorKind::Unknown, "the collector panicked")))
        {
            tracing::warn!(%error, %partition, "messages were not collected");
            tell(error.to_string(), None);
            if matches!(error.kind(), ErrorKind::Fenced | ErrorKind::Corrupt) {
                return Err(error);
            }
        }
        tokio::select! {
            () = clock::sleep(pause) => {}
            told = stop.wait_for(|stop| *stop) => { drop(told); return Ok(()) }
        }
    }
}

impl Ground {
    /// Removes what can be removed now, slice by slice.
    async fn collect(
        &self,
        partition: PartitionId,
        epoch: u64,
        tell: impl Fn(String, Option<(Position, Position)>),
    ) -> Result<()> {
        let store = &self.store;
        let mut place = Place::open((Arc::clone(store), partition), ROW, epoch).await?;
        let Some((through, until)) = self.bounds(partition).await? else { return Ok(()) };
        let mark = place.mark();
        let mut cursor = Cursor::new(Arc::clone(store), partition, self.selection.clone(), mark.position)
            .page_records(limits::COLLECTED_STREAMS);
        let (mut to, mut passed, mut is_behind) = (mark.position, mark.passed, true);
        while is_behind {
            let page = cursor.next().await?;
            let mut ends: BTreeMap<StreamName, Version> = BTreeMap::new();
            let is_due = |at: Position, time: Timestamp| at <= through && time <= until;
            let due = page.records.iter().take_while(|record| is_due(record.position, record.recorded_at));
            for record in due {
                ends.insert(record.stream.clone(), record.version);
                (to, passed) = (record.position, passed.saturating_add(1));
            }
            is_behind = page.has_more() && page.records.last().is_none_or(|last| last.position == to);
            for (stream, version) in &ends {
                store.truncate(stream, *version).await?;
            }
            if !ends.is_empty() {
                place.record(Done { to, passed, ..Done::default() }, Vec::new()).await?;
            }
            tell("it collects".to_owned(), Some((to, page.head)));
        }
        Ok(())
    }

    /// Up to where, and up to when, messages may be removed; `None` where a destination has not begun.
    async fn bounds(&self, partition: PartitionId) -> Result<Option<(Position, Timestamp)>> {
        let page = json_rows::all(&*self.store, partition, (place::SPACE, "")).await?;
        let has_begun = |name: &DestinationName| page.rows.iter().any(|row| row.key.key() == name.as_str());
        if !self.destinations.iter().all(has_begun) {
            return Ok(None);
        }
        let mut through = None;
        for row in page.rows.iter().filter(|row| row.key.key() != ROW) {
            let mut done = json_rows::read::<Mark>(partition, row)?.position;
            let destination = DestinationName::new(row.key.key())?;
            for (parked, _) in parked::read_all(&*self.store, partition, &destination).await? {
                done = done.min(parked.position.minus(1));
            }
            through = Some(through.map_or(done, |least: Position| least.min(done)));
        }
        Ok(through.map(|through| (through, page.at.before(self.retention))))
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector").field("retention", &self.ground.retention).finish_non_exhaustive()
    }
}
