//! One partition of one input of a join: its records that were read and have not been handed out.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Record;
use crate::feed::cursor::Cursor;
use crate::feed::selection::Selection;
use crate::partition::PartitionId;
use crate::store::EventStore;
use crate::stream::Position;

/// What the records of a join are ordered by. No two of them share it.
pub(super) type Key = (Timestamp, PartitionId, Position, usize);

/// A cursor, and what it has read ahead.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) store: Arc<dyn EventStore>,
    pub(super) partition: PartitionId,
    /// Which of the join's selections it is.
    number: usize,
    cursor: Cursor,
    records: VecDeque<Record>,
    /// The log's last position when it was read last.
    head: Position,
}

impl Input {
    pub(super) fn new(
        store: Arc<dyn EventStore>,
        partition: PartitionId,
        (number, selection): (usize, Selection),
        position: Position,
        page_records: usize,
    ) -> Self {
        let cursor =
            Cursor::new(Arc::clone(&store), partition, selection, position).page_records(page_records);
        Self { store, partition, number, cursor, records: VecDeque::new(), head: position }
    }

    /// The key of its next record, if one was read.
    pub(super) fn front(&self) -> Option<Key> {
        let record = self.records.front()?;
        Some((record.recorded_at, self.partition, record.position, self.number))
    }

    /// The time of the last record that was read.
    pub(super) fn latest(&self) -> Option<Timestamp> {
        self.records.back().map(|record| record.recorded_at)
    }

    pub(super) fn pop(&mut self) -> Option<(usize, Record)> {
        self.records.pop_front().map(|record| (self.number, record))
    }

    /// Everything selected up to here was handed out.
    pub(super) fn position(&self) -> Position {
        self.records.front().map_or(self.cursor.position(), |record| record.position.minus(1))
    }

    /// How far the log went when it was read last.
    pub(super) fn head(&self) -> Position {
        self.head
    }

    /// Up to where it has read.
    pub(super) fn read_to(&self) -> Position {
        self.cursor.position()
    }

    /// Reads on until it has a record, or has seen the log's head in a read that began after this call. False in the
    /// latter case. Dropping a call loses nothing.
    pub(super) async fn fill(&mut self) -> Result<bool> {
        loop {
            if !self.records.is_empty() {
                return Ok(true);
            }
            // A page that was begun earlier has records behind it: only an empty one is the head's.
            let page = self.cursor.next().await?;
            if page.head < page.from {
                return Err(shorter(self.partition, page.from, page.head));
            }
            self.head = page.head;
            let is_head = page.read_to == page.from && !page.has_more();
            self.records.extend(page.records);
            if is_head {
                return Ok(false);
            }
        }
    }
}

fn shorter(partition: PartitionId, from: Position, head: Position) -> Error {
    let what = format!("the log of partition {partition} is shorter than what a join has handed out");
    Error::new(ErrorKind::LostHistory, what)
        .expected(format!("at least position {from}"), head)
        .advice("an older store was restored: restore the right one, or make the view anew")
}
