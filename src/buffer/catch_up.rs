//! Sending what was parked, once somebody asked for it.

use std::sync::Arc;

use crate::buffer::destination::Destination;
use crate::buffer::parked::{ParkedKey, Remedy};
use crate::buffer::sending::send;
use crate::buffer::sink::Answer;
use crate::clock::{self, Clock};
use crate::error::Result;
use crate::feed::{Cursor, Selection};
use crate::message::RecordedMessage;
use crate::partition::PartitionId;
use crate::store::EventStore;
use crate::stream::Position;

/// What it takes to send a parked key's messages.
#[derive(Debug, Clone)]
pub(super) struct CatchUp {
    pub(super) store: Arc<dyn EventStore>,
    pub(super) partition: PartitionId,
    pub(super) selection: Selection,
    pub(super) destination: Destination,
    pub(super) clock: Arc<dyn Clock>,
}

/// How far a key's messages were sent.
#[derive(Debug)]
pub(super) struct CaughtUp {
    pub(super) key: String,
    /// Everything of the key up to here is done.
    pub(super) to: Position,
    /// Messages that were done.
    pub(super) done: u64,
    /// The one that was refused, and what was said.
    pub(super) refused: Option<(Arc<RecordedMessage>, String)>,
}

impl CatchUp {
    /// Sends the messages of a parked key up to `until`, one after the other, a page of the log at most, each until it is
    /// taken or refused.
    pub(super) async fn run(self, parked: ParkedKey, until: Position) -> Result<CaughtUp> {
        let from = parked.position.minus(1);
        let mut skips = parked.asked.as_ref().is_some_and(|asked| asked.remedy == Remedy::Skip);
        let store = Arc::clone(&self.store);
        let page = Cursor::new(store, self.partition, self.selection.clone(), from).next().await?;
        let mut caught = CaughtUp { key: parked.key, to: page.read_to.min(until), done: 0, refused: None };
        for record in page.records.iter().filter(|record| record.position <= until) {
            let message = Arc::new(RecordedMessage::read(record)?);
            if message.key != caught.key {
                continue;
            }
            if !std::mem::take(&mut skips)
                && let Some(why) = self.insist(&message).await
            {
                (caught.to, caught.refused) = (message.position.minus(1), Some((message, why)));
                return Ok(caught);
            }
            caught.done = caught.done.saturating_add(1);
        }
        Ok(caught)
    }

    /// Sends one message until it is taken; or says why it was refused.
    async fn insist(&self, message: &Arc<RecordedMessage>) -> Option<String> {
        let mut tries = 0;
        loop {
            match send(&self.destination, Arc::clone(message), 0).await {
                Answer::Taken => return None,
                Answer::Refused { why } => return Some(why),
                Answer::Later { after, .. } => {
                    let pause = self.destination.settings.outage.jittered(tries, &*self.clock);
                    clock::sleep(after.unwrap_or_default().max(pause)).await;
                }
            }
            tries = tries.saturating_add(1);
        }
    }
}
