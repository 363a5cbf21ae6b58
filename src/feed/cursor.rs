//! Reading a partition's log in order.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::task::JoinSet;

use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Record;
use crate::feed::continuity::Continuity;
use crate::feed::selection::Selection;
use crate::limits;
use crate::partition::PartitionId;
use crate::store::{EventStore, LogPage};
use crate::stream::Position;

/// A part of a partition's log, as far as it was selected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedPage {
    /// The records that were selected, by position.
    pub records: Vec<Record>,
    /// Nothing at or before this position is in it.
    pub from: Position,
    /// Everything selected after `from`, up to here, is in it.
    pub read_to: Position,
    /// The partition's last position when it was read.
    pub head: Position,
    /// The time of the first record, where there is one.
    pub oldest: Option<Timestamp>,
}

impl FeedPage {
    /// Whether the log goes on behind it.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.read_to < self.head
    }
}

type Reading = Pin<Box<dyn Future<Output = Result<LogPage>> + Send>>;

/// A page that is being read, or was.
enum Ahead {
    Reading(Reading),
    Read(Result<LogPage>),
}

/// Reads a partition's log from a position on, and never goes back. While a page is worked on, the next one is read.
///
/// After an error the next call reads the same page again, except after [`Corrupt`](crate::ErrorKind::Corrupt): then a
/// new cursor, from the position before, finds the same. Dropping a call loses nothing.
pub struct Cursor {
    store: Arc<dyn EventStore>,
    partition: PartitionId,
    selection: Selection,
    position: Position,
    limit: usize,
    ahead: Option<Ahead>,
    continuity: Continuity,
    /// A check has begun, and has not ended well.
    is_checking: bool,
    stopped: Option<Error>,
}

impl Cursor {
    /// A cursor behind `position`.
    #[must_use]
    pub fn new(
        store: Arc<dyn EventStore>,
        partition: PartitionId,
        selection: Selection,
        position: Position,
    ) -> Self {
        Self {
            store,
            partition,
            selection,
            position,
            limit: limits::PAGE_RECORDS,
            ahead: None,
            continuity: Continuity::new(position),
            is_checking: false,
            stopped: None,
        }
    }

    /// Reads at most so many records of the log at once, selected or not, 1 to [`limits::PAGE_RECORDS`]; all that is
    /// allowed if nothing is said.
    #[must_use]
    pub fn page_records(mut self, limit: usize) -> Self {
        self.limit = limit.clamp(1, limits::PAGE_RECORDS);
        self
    }

    /// Up to where it has read.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// The next page. At the head it is empty.
    ///
    /// # Errors
    /// Those of the store. [`Corrupt`](crate::ErrorKind::Corrupt) when a record was altered or, where the whole log is
    /// read, a stream's versions do not continue.
    pub async fn next(&mut self) -> Result<FeedPage> {
        if let Some(error) = &self.stopped {
            return Err(error.clone());
        }
        let page = self.read().await?;
        self.check(&page).await.inspect_err(|error| {
            self.stopped = (error.kind() == ErrorKind::Corrupt).then(|| error.clone());
        })?;
        let LogPage { mut records, read_to, head } = page;
        let from = self.position;
        self.position = read_to.max(from);
        if read_to < head {
            self.read_ahead().await;
        }
        records.retain(|record| self.selection.matches(record));
        let oldest = records.first().map(|record| record.recorded_at);
        Ok(FeedPage { records, from, read_to: self.position, head, oldest })
    }

    /// The page behind the position: the one that is being read, or another one.
    async fn read(&mut self) -> Result<LogPage> {
        match self.ahead.take() {
            Some(Ahead::Read(page)) => page,
            Some(Ahead::Reading(reading)) => reading.await,
            None => self.page().await,
        }
    }

    /// Begins to read the next page. A future does nothing before it is polled, and one that nobody polls any more keeps
    /// what it was given: a store's last reader, say, which this cursor's neighbour waits for. So a task goes on with it.
    async fn read_ahead(&mut self) {
        let mut reading = self.page();
        let polled = poll_fn(|context| Poll::Ready(reading.as_mut().poll(context))).await;
        self.ahead = Some(match polled {
            Poll::Ready(page) => Ahead::Read(page),
            Poll::Pending => Ahead::Reading(carried(reading)),
        });
    }

    fn page(&self) -> Reading {
        let (store, partition, after, limit) =
            (Arc::clone(&self.store), self.partition, self.position, self.limit);
        let types = self.selection.indexed().to_vec();
        Box::pin(async move {
            if types.is_empty() {
                store.read_log(partition, after, limit).await
            } else {
                store.read_types(partition, &types, after, limit).await
            }
        })
    }

    async fn check(&mut self, page: &LogPage) -> Result<()> {
        page.records.iter().try_for_each(Record::verify)?;
        if !self.selection.indexed().is_empty() {
            return Ok(());
        }
        if std::mem::replace(&mut self.is_checking, true) {
            // The page before was given up half way: what was taken in of it comes again.
            self.continuity = Continuity::new(self.position);
        }
        self.continuity.check(&*self.store, &page.records).await?;
        self.is_checking = false;
        Ok(())
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cursor")
            .field("partition", &self.partition)
            .field("position", &self.position)
            .field("selection", &self.selection)
            .finish_non_exhaustive()
    }
}

/// A reading that goes on by itself, and ends when nobody wants it any more.
fn carried(reading: Reading) -> Reading {
    if tokio::runtime::Handle::try_current().is_err() {
        return reading;
    }
    let mut task = JoinSet::new();
    task.spawn(reading);
    Box::pin(async move {
        let gone = || Error::new(ErrorKind::Unavailable, "reading ahead was given up");
        task.join_next().await.ok_or_else(gone)?.map_err(|source| gone().caused_by(source))?
    })
}
