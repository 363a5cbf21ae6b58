//! What a run parks, and what operators ask for about it.

use std::sync::Arc;
use std::time::Duration;

use crate::buffer::catch_up::{CatchUp, CaughtUp};
use crate::buffer::ground::Ground;
use crate::buffer::parked::{self, ParkedKey};
use crate::buffer::run::{Ended, Sending};
use crate::error::Result;
use crate::message::RecordedMessage;
use crate::store::rows::RowWrite;

/// How often it is looked what operators ask for, where something is parked.
const LOOKS_AT_REQUESTS: Duration = Duration::from_millis(500);

impl Sending {
    pub(super) async fn park(&mut self, message: &RecordedMessage, why: &str, refusals: u32) -> Result<()> {
        let name = &self.ground.destination.name;
        tracing::error!(%why, id = %message.id, key = %message.key, destination = %name, "a message is parked");
        let parked = ParkedKey::of(message, why, refusals, self.ground.clock.now());
        let row = parked.row(name)?;
        self.window.park(&message.key);
        self.parked.insert(message.key.clone(), parked);
        self.record(vec![row]).await
    }

    /// Begins what an operator asked for; one key at a time.
    pub(super) async fn look_at_requests(&mut self) -> Result<()> {
        self.requests_at = self.since.elapsed().saturating_add(LOOKS_AT_REQUESTS);
        let ground = &self.ground;
        for (parked, _) in parked::read_all(&*ground.store, self.partition, &ground.destination.name).await? {
            if parked.asked.is_some() && self.parked.contains_key(&parked.key) {
                self.parked.insert(parked.key.clone(), parked.clone());
                self.catch_up(parked);
                return Ok(());
            }
        }
        Ok(())
    }

    fn catch_up(&mut self, parked: ParkedKey) {
        let Ground { store, selection, destination, clock, .. } = &*self.ground;
        let work = CatchUp {
            store: Arc::clone(store),
            partition: self.partition,
            selection: selection.clone(),
            destination: destination.clone(),
            clock: Arc::clone(clock),
        };
        let until = self.window.read_to();
        self.is_catching_up = true;
        self.tasks.spawn(async move { Ended::CaughtUp(work.run(parked, until).await) });
    }

    pub(super) async fn caught_up(&mut self, caught: CaughtUp) -> Result<()> {
        self.is_catching_up = false;
        self.sent = self.sent.saturating_add(usize::try_from(caught.done).unwrap_or(usize::MAX));
        let name = &self.ground.destination.name;
        let Some(mut parked) = self.parked.get(&caught.key).cloned() else { return Ok(()) };
        let mut rows: Vec<RowWrite> = parked.audit(name, self.ground.clock.now())?.into_iter().collect();
        match caught.refused {
            Some((message, why)) => {
                parked.refused(&message, &why, 1);
                rows.push(parked.row(name)?);
                self.parked.insert(caught.key, parked);
            }
            // Nothing was read meanwhile that was passed over for it.
            None if caught.to >= self.window.read_to() => {
                rows.push(parked.gone(name)?);
                self.parked.remove(&caught.key);
            }
            None => {
                parked.moved(caught.to);
                rows.push(parked.row(name)?);
                self.parked.insert(caught.key, parked.clone());
                self.catch_up(parked);
            }
        }
        self.record(rows).await
    }
}
