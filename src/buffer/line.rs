//! The messages of one destination, counted.

use std::sync::Arc;
use std::time::Duration;

use crate::buffer::destination::DestinationName;
use crate::buffer::parked;
use crate::buffer::place::{self, Mark};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::feed::{Cursor, Selection};
use crate::limits;
use crate::partition::PartitionId;
use crate::store::rows::{RowSelection, RowsRead};
use crate::store::{EventStore, json_rows};
use crate::stream::Position;

/// All partitions of a destination.
#[derive(Debug)]
pub(super) struct Line {
    store: Arc<dyn EventStore>,
    destination: DestinationName,
    selection: Selection,
    partitions: Vec<Counted>,
}

/// A partition, as far as its messages were counted.
#[derive(Debug)]
struct Counted {
    partition: PartitionId,
    /// Reads what was recorded; begun where the destination stood at the first look.
    cursor: Option<Cursor>,
    /// Messages up to where the cursor stands, ever.
    recorded: u64,
}

/// What a look saw.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Messages recorded, ever.
    pub(super) recorded: u64,
    /// Messages sent or parked, ever.
    pub(super) sent: u64,
    /// How long the oldest has waited that is not sent.
    pub(super) oldest: Option<Duration>,
    pub(super) parked_keys: usize,
}

impl Line {
    pub(super) fn new(
        store: Arc<dyn EventStore>,
        destination: DestinationName,
        selection: Selection,
    ) -> Self {
        let all = store.properties().partitions.all();
        let partitions = all.map(|partition| Counted { partition, cursor: None, recorded: 0 }).collect();
        Self { store, destination, selection, partitions }
    }

    pub(super) fn destination(&self) -> &DestinationName {
        &self.destination
    }

    /// Counts on to the heads of all partitions.
    pub(super) async fn look(&mut self) -> Result<Seen> {
        let mut all = Seen::default();
        let ground = (&self.store, &self.destination, &self.selection);
        for counted in &mut self.partitions {
            let seen = counted.look(ground).await?;
            all.recorded = all.recorded.saturating_add(seen.recorded);
            all.sent = all.sent.saturating_add(seen.sent);
            all.oldest = all.oldest.max(seen.oldest);
            all.parked_keys = all.parked_keys.saturating_add(seen.parked_keys);
        }
        Ok(all)
    }
}

impl Counted {
    async fn look(
        &mut self,
        (store, destination, selection): (&Arc<dyn EventStore>, &DestinationName, &Selection),
    ) -> Result<Seen> {
        let which = RowSelection::Keys(vec![destination.as_str().to_owned()]);
        let read = RowsRead { partition: self.partition, space: place::SPACE.to_owned(), which };
        let page = store.rows(read).await?;
        let mark = page.rows.first().map(|row| json_rows::read::<Mark>(self.partition, row)).transpose()?;
        let mark = mark.unwrap_or_default();
        self.count((store, selection), &mark).await?;
        // A forgotten destination begins anew, and so does the count.
        let sent = mark.passed.saturating_add(mark.ahead).min(self.recorded);
        let oldest = if sent < self.recorded {
            let place = (Arc::clone(store), self.partition);
            oldest(place, selection, mark.position, page.at).await?
        } else {
            None
        };
        let parked_keys = parked::read_all(&**store, self.partition, destination).await?.len();
        Ok(Seen { recorded: self.recorded, sent, oldest, parked_keys })
    }

    async fn count(
        &mut self,
        (store, selection): (&Arc<dyn EventStore>, &Selection),
        mark: &Mark,
    ) -> Result<()> {
        if self.cursor.is_none() {
            self.recorded = mark.passed;
        }
        let cursor = self.cursor.get_or_insert_with(|| {
            let (store, selection) = (Arc::clone(store), selection.clone());
            Cursor::new(store, self.partition, selection, mark.position).page_records(limits::MESSAGE_PAGE)
        });
        loop {
            let page = cursor.next().await?;
            self.recorded =
                self.recorded.saturating_add(u64::try_from(page.records.len()).unwrap_or(u64::MAX));
            if !page.has_more() {
                return Ok(());
            }
        }
    }
}

/// How long the first message behind a position has waited at `now`.
async fn oldest(
    (store, partition): (Arc<dyn EventStore>, PartitionId),
    selection: &Selection,
    after: Position,
    now: Timestamp,
) -> Result<Option<Duration>> {
    let mut cursor = Cursor::new(store, partition, selection.clone(), after).page_records(1);
    loop {
        let page = cursor.next().await?;
        if let Some(record) = page.records.first() {
            return Ok(Some(now.since(record.recorded_at)));
        }
        if !page.has_more() {
            return Ok(None);
        }
    }
}
