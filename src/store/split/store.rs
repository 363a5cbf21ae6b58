//! The store itself: side streams here, aggregates there.

use std::sync::Arc;

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::event::EventType;
use crate::limits;
use crate::partition::PartitionId;
use crate::store::admission::{Chain, check, too_long};
use crate::store::dealt::{Answers, Part, deal, side_by_side};
use crate::store::rows::{RowsPage, RowsRead};
use crate::store::split::half::Half;
use crate::store::{
    AppendFailure, EventStore, LogPage, OpenStep, OpenStepsRead, StoreProperties, StreamPage, StreamRead,
    Unit, UnitResult,
};
use crate::stream::{Position, StreamName, Version};

/// Side streams in one store, aggregates in another one. Cheap to clone.
///
/// Opened by [`SplitStore::open`]. Its [`id`](StoreProperties::id) is derived from the two. One that is down
/// fails the calls that need it: a read of the log needs the ledger only, a new command both.
///
/// # Errors
/// Those of the store that a call goes to. [`Invalid`](crate::ErrorKind::Invalid) for a unit of several streams,
/// and for writing to the streams of anchors.
///
/// ```
/// use sidestream::store::memory::MemoryStore;
/// use sidestream::store::split::SplitStore;
///
/// # sidestream::testkit::run(async {
/// let (gateway, ledger) = (MemoryStore::new(), MemoryStore::new());
/// let store = SplitStore::open(gateway, ledger).await?;
/// // … handle commands, with `store.clone()`; from time to time, and at the end:
/// store.anchor().await?;
/// # Ok::<(), sidestream::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct SplitStore {
    properties: StoreProperties,
    gateway: Arc<dyn EventStore>,
    ledger: Arc<dyn EventStore>,
    /// The stream of anchors, in each of the two.
    pub(super) anchors: StreamName,
}

impl SplitStore {
    pub(super) fn new(
        properties: StoreProperties,
        gateway: Arc<dyn EventStore>,
        ledger: Arc<dyn EventStore>,
        anchors: StreamName,
    ) -> Self {
        Self { properties, gateway, ledger, anchors }
    }

    /// The store of side streams. Its log holds them, and its own anchors; read it, but do not write to it.
    #[must_use]
    pub fn gateway(&self) -> &Arc<dyn EventStore> {
        &self.gateway
    }

    /// The store of aggregate streams. Its log holds them, and its own anchors; read it, but do not write to it.
    #[must_use]
    pub fn ledger(&self) -> &Arc<dyn EventStore> {
        &self.ledger
    }

    pub(super) fn half(&self, half: Half) -> &Arc<dyn EventStore> {
        match half {
            Half::Gateway => &self.gateway,
            Half::Ledger => &self.ledger,
        }
    }

    /// The store of a [`deal`]t part.
    fn part(&self, part: usize) -> &Arc<dyn EventStore> {
        if part == GATEWAY { &self.gateway } else { &self.ledger }
    }

    fn check(&self, unit: &Unit, partition: PartitionId) -> Result<()> {
        check(unit, partition, self.properties)?;
        match unit.appends.iter().find(|append| append.stream.is_reserved()) {
            Some(append) => Err(reserved(&append.stream)),
            None => Ok(()),
        }
    }

    /// The units that may go on to their store, with their places; the others are answered. Here as there, what
    /// shares a stream or a row with a failed unit fails with it. All that shares one goes to the same store.
    fn admitted(
        &self,
        partition: PartitionId,
        units: Vec<Unit>,
        answers: &mut Answers<UnitResult>,
    ) -> Vec<(usize, Unit)> {
        let mut chain = Chain::default();
        let mut admitted = Vec::with_capacity(units.len());
        for (place, unit) in units.into_iter().enumerate() {
            let failure = match self.check(&unit, partition) {
                Err(error) => AppendFailure::Refused(error),
                Ok(()) => match chain.breaks(&unit) {
                    Some(failure) => failure,
                    None => {
                        admitted.push((place, unit));
                        continue;
                    }
                },
            };
            chain.fail(&unit);
            answers.put(place, Err(failure));
        }
        admitted
    }

    async fn append_part(&self, partition: PartitionId, part: Part<Unit>) -> (Vec<usize>, Vec<UnitResult>) {
        (part.places, self.part(part.store).append(partition, part.items).await)
    }

    async fn read_part(&self, part: Part<StreamRead>) -> (Vec<usize>, Vec<Result<StreamPage>>) {
        (part.places, self.part(part.store).read_streams(part.items).await)
    }

    /// A page of the ledger's log without its anchors, filled up by what follows them. There are few of them,
    /// so this goes round a few times at most.
    async fn shown(
        &self,
        partition: PartitionId,
        types: Option<&[EventType]>,
        after: Position,
        limit: usize,
    ) -> Result<LogPage> {
        let limit = limit.min(limits::PAGE_RECORDS);
        let mut page = self.ledger_page(partition, types, after, limit).await?;
        while hide_anchors(&mut page) && page.read_to < page.head {
            let left = limit.saturating_sub(page.records.len());
            let more = self.ledger_page(partition, types, page.read_to, left).await?;
            page.records.extend(more.records);
            (page.read_to, page.head) = (more.read_to, more.head);
        }
        Ok(page)
    }

    async fn ledger_page(
        &self,
        partition: PartitionId,
        types: Option<&[EventType]>,
        after: Position,
        limit: usize,
    ) -> Result<LogPage> {
        match types {
            Some(types) => self.ledger.read_types(partition, types, after, limit).await,
            None => self.ledger.read_log(partition, after, limit).await,
        }
    }
}

/// The numbers of the two, as parts are dealt.
const GATEWAY: usize = 0;
const LEDGER: usize = 1;

fn number_of(stream: &StreamName) -> usize {
    if stream.is_side() && !stream.is_reserved() { GATEWAY } else { LEDGER }
}

/// Takes anchors out of a page, and says whether there were any.
fn hide_anchors(page: &mut LogPage) -> bool {
    let all = page.records.len();
    page.records.retain(|record| !record.stream.is_reserved());
    page.records.len() < all
}

fn reserved(stream: &StreamName) -> Error {
    Error::invalid("anchors are written by the store itself")
        .in_stream(stream)
        .advice("leave streams that begin with '$' alone")
}

#[async_trait]
impl EventStore for SplitStore {
    fn properties(&self) -> StoreProperties {
        self.properties
    }

    async fn append(&self, partition: PartitionId, units: Vec<Unit>) -> Vec<UnitResult> {
        if let Some(failure) = too_long(units.len()) {
            return units.iter().map(|_| Err(failure.clone())).collect();
        }
        let mut answers = Answers::new(units.len());
        let admitted = self.admitted(partition, units, &mut answers);
        // A unit has one stream by now, or none. Rows are the ledger's, and beside a side stream there are none.
        let number = |unit: &Unit| unit.appends.first().map_or(LEDGER, |append| number_of(&append.stream));
        let parts = deal(admitted, number).map(|part| self.append_part(partition, part));
        for (places, results) in side_by_side(parts).await {
            answers.put_all(places, results);
        }
        answers.all(|error| Err(AppendFailure::Unknown(error)))
    }

    async fn read_streams(&self, reads: Vec<StreamRead>) -> Vec<Result<StreamPage>> {
        let mut answers = Answers::new(reads.len());
        let parts = deal(reads.into_iter().enumerate(), |read| number_of(&read.stream));
        for (places, pages) in side_by_side(parts.map(|part| self.read_part(part))).await {
            answers.put_all(places, pages);
        }
        answers.all(Err)
    }

    async fn read_log(&self, partition: PartitionId, after: Position, limit: usize) -> Result<LogPage> {
        self.shown(partition, None, after, limit).await
    }

    async fn read_types(
        &self,
        partition: PartitionId,
        types: &[EventType],
        after: Position,
        limit: usize,
    ) -> Result<LogPage> {
        self.shown(partition, Some(types), after, limit).await
    }

    async fn open_steps(&self, read: OpenStepsRead) -> Result<Vec<OpenStep>> {
        self.gateway.open_steps(read).await
    }

    async fn truncate(&self, stream: &StreamName, through: Version) -> Result<Version> {
        if stream.is_reserved() {
            return Err(reserved(stream));
        }
        self.part(number_of(stream)).truncate(stream, through).await
    }

    async fn rows(&self, read: RowsRead) -> Result<RowsPage> {
        self.ledger.rows(read).await
    }

    /// Of the ledger, whose log is the partition's.
    async fn close_partitions(
        &self,
        partitions: &[PartitionId],
        through: Timestamp,
    ) -> Result<Vec<Timestamp>> {
        self.ledger.close_partitions(partitions, through).await
    }

    async fn changed(&self, partition: PartitionId, after: Position) {
        self.ledger.changed(partition, after).await
    }
}
