//! What a handler is given to work with.

use crate::projection::elsewhere::stamp::Stamp;
use crate::projection::event::Event;

/// A way to the system that the rows are in, and the epoch to write under.
#[derive(Debug)]
pub struct ElsewhereRows<C> {
    client: C,
    epoch: u64,
}

impl<C> ElsewhereRows<C> {
    pub(super) fn new(client: C, epoch: u64) -> Self {
        Self { client, epoch }
    }

    /// The client that the view was made with.
    pub fn client(&mut self) -> &mut C {
        &mut self.client
    }

    /// The epoch to write under.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// What is kept beside a row that an event changes.
    #[must_use]
    pub fn stamp(&self, event: &Event<'_>) -> Stamp {
        Stamp { partition: event.partition(), position: event.position(), epoch: self.epoch }
    }
}
