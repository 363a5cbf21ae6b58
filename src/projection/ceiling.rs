//! The pages of a runner that builds a generation: they end where the live one stands.

use std::sync::Arc;

use crate::error::Result;
use crate::feed::{Cursor, FeedPage, Pauses};
use crate::projection::bound::Bound;
use crate::projection::generation::Ceiling;
use crate::projection::session::Halt;
use crate::stream::Position;

/// How long is waited at most before it is looked again how far the live generation is, in milliseconds.
const LOOK_MS: u64 = 50;

/// The pages of a cursor, cut where the bound is.
pub(super) struct Below {
    bound: Option<Arc<dyn Bound>>,
    /// The bound when it was last looked at. It never comes down.
    known: Position,
    /// What was read and lies above it.
    above: Option<FeedPage>,
}

impl Below {
    pub(super) fn new(bound: Option<Arc<dyn Bound>>) -> Self {
        Self { bound, known: Position::START, above: None }
    }

    /// The pauses of who waits for more.
    pub(super) fn pauses(&self, polling: Pauses) -> Pauses {
        let longest_ms = polling.longest_ms.min(LOOK_MS);
        if self.bound.is_some() { Pauses { longest_ms, ..polling } } else { polling }
    }

    /// The next page, as far as it may be applied.
    pub(super) async fn next(&mut self, cursor: &mut Cursor) -> Result<FeedPage, Halt> {
        let page = match self.above.take() {
            Some(above) => above,
            None => cursor.next().await?,
        };
        let Some(bound) = &self.bound else { return Ok(page) };
        if page.read_to > self.known {
            match bound.ceiling().await? {
                Ceiling::At(position) => self.known = self.known.max(position),
                Ceiling::Over => return Err(Halt::Told),
            }
        }
        let (below, above) = cut(page, self.known);
        self.above = above;
        Ok(below)
    }

    /// How far the log was read, for a place that stands there: nothing that is new lies before.
    pub(super) fn read_to(&self, position: Position) -> Position {
        self.above.as_ref().map_or(position, |above| above.head)
    }
}

/// Cuts a page behind a position.
fn cut(mut page: FeedPage, at: Position) -> (FeedPage, Option<FeedPage>) {
    let at = at.max(page.from);
    if page.read_to <= at {
        return (page, None);
    }
    let behind = page.records.partition_point(|record| record.position <= at);
    let records = page.records.split_off(behind);
    let oldest = records.first().map(|record| record.recorded_at);
    let above = FeedPage { records, from: at, read_to: page.read_to, head: page.head, oldest };
    page.read_to = at;
    (page, Some(above))
}
