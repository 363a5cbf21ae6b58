//! The pages of a runner that builds a generation: they end where the live one stands.

use std::sync::Arc;

use crate::error::Result;
use crate::feed::Pauses;
use crate::projection::bound::Bound;
use crate::projection::generation::Ceiling;
use crate::projection::session::Halt;
use crate::projection::settings::Settings;
use crate::projection::source::{Page, Source};
use crate::stream::Position;

/// How long is waited at most before it is looked again how far the live generation is, in milliseconds.
const LOOK_MS: u64 = 50;

/// The pages of a source, cut where the bound is. Of a join that is a number of events: its order is the same each time.
pub(super) struct Below {
    bound: Option<Arc<dyn Bound>>,
    /// The bound when it was last looked at. It never comes down.
    known: Position,
    /// What was read and lies above it.
    above: Option<Page>,
}

impl Below {
    pub(super) fn new(bound: Option<Arc<dyn Bound>>) -> Self {
        Self { bound, known: Position::START, above: None }
    }

    /// The settings of who waits for more.
    pub(super) fn settings(&self, settings: &Settings) -> Settings {
        let mut settings = settings.clone();
        if self.bound.is_some() {
            let longest_ms = settings.polling.longest_ms.min(LOOK_MS);
            settings.polling = Pauses { longest_ms, ..settings.polling };
        }
        settings
    }

    /// The next page, as far as it may be applied.
    pub(super) async fn next(&mut self, source: &mut Source) -> Result<Page, Halt> {
        let page = match self.above.take() {
            Some(above) => above,
            None => source.next().await?,
        };
        let Some(bound) = &self.bound else { return Ok(page) };
        if page.feed.read_to > self.known {
            match bound.ceiling().await? {
                Ceiling::At(position) => self.known = self.known.max(position),
                Ceiling::Over => return Err(Halt::Told),
            }
        }
        let (below, above) = page.cut(self.known);
        self.above = above;
        Ok(below)
    }
}
