//! Messages that a destination refused, and what operators do about them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::buffer::destination::DestinationName;
use crate::buffer::place;
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::limits::kept_text;
use crate::message::{MessageId, RecordedMessage, Topic};
use crate::partition::PartitionId;
use crate::store::rows::{RowChange, RowExpected, RowKey, RowWrite};
use crate::store::{EventStore, json_rows};
use crate::stream::Position;

/// The spaces of what is parked, and of what was done about it. Keys begin with the destination's name and a `/`.
const SPACE: &str = "buffer-parked";
const AUDIT: &str = "buffer-audit";

/// A key whose messages wait, because its first one was refused as often as it may be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParkedKey {
    /// What its messages are ordered by.
    pub key: String,
    /// Where the first of them lies in the partition's log.
    pub position: Position,
    /// The id of that one.
    pub id: MessageId,
    /// Its topic.
    pub topic: Topic,
    /// What its receiver said.
    pub error: String,
    /// How often it was refused.
    pub refusals: u32,
    /// Since when it is parked, by the publisher's clock.
    pub since: Timestamp,
    /// What an operator asked for, until it is done.
    pub asked: Option<Asked>,
}

/// What to do about a parked key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Remedy {
    /// Send its messages again, once each, from the first one on.
    Retry,
    /// Leave the first one out for good, and send the others.
    Skip,
}

/// What an operator asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// What to do.
    pub remedy: Remedy,
    /// Who asked.
    pub who: String,
    /// Why.
    pub why: String,
}

#[derive(Serialize)]
struct Audited<'a> {
    asked: &'a Asked,
    key: &'a str,
    id: MessageId,
    position: Position,
    at: Timestamp,
}

impl ParkedKey {
    pub(super) fn of(message: &RecordedMessage, why: &str, refusals: u32, since: Timestamp) -> Self {
        let mut parked = Self {
            key: message.key.clone(),
            position: message.position,
            id: message.id,
            topic: message.topic.clone(),
            error: String::new(),
            refusals,
            since,
            asked: None,
        };
        parked.refused(message, why, refusals);
        parked
    }

    /// Another message of the key is the first one now, and was refused.
    pub(super) fn refused(&mut self, message: &RecordedMessage, why: &str, refusals: u32) {
        (self.position, self.id, self.topic) = (message.position, message.id, message.topic.clone());
        self.error = kept_text(why);
        (self.refusals, self.asked) = (refusals, None);
    }

    /// Everything of it up to `to` is done, what was asked for goes on.
    pub(super) fn moved(&mut self, to: Position) {
        self.position = to.next();
        if let Some(asked) = &mut self.asked {
            asked.remedy = Remedy::Retry;
        }
    }

    fn row_key(&self, space: &str, destination: &DestinationName) -> Result<RowKey> {
        RowKey::new(space, format!("{destination}/{}", self.key))
    }

    /// The row that says so.
    pub(super) fn row(&self, destination: &DestinationName) -> Result<RowWrite> {
        json_rows::put(self.row_key(SPACE, destination)?, RowExpected::Any, self)
    }

    /// Its row's end.
    pub(super) fn gone(&self, destination: &DestinationName) -> Result<RowWrite> {
        let key = self.row_key(SPACE, destination)?;
        Ok(RowWrite { key, expected: RowExpected::Any, change: RowChange::Remove })
    }

    /// A row that tells for ever that an operator left its first message out.
    pub(super) fn audit(&self, destination: &DestinationName, at: Timestamp) -> Result<Option<RowWrite>> {
        let Some(asked) = self.asked.as_ref().filter(|asked| asked.remedy == Remedy::Skip) else {
            return Ok(None);
        };
        let (id, position) = (self.id, self.position);
        let key = RowKey::new(AUDIT, format!("{destination}/{id}"))?;
        json_rows::put(key, RowExpected::Any, &Audited { asked, key: &self.key, id, position, at }).map(Some)
    }
}

/// All that a destination parked in a partition, with the rows' revisions.
pub(super) async fn read_all(
    store: &dyn EventStore,
    partition: PartitionId,
    destination: &DestinationName,
) -> Result<Vec<(ParkedKey, u64)>> {
    let page = json_rows::all(store, partition, (SPACE, &format!("{destination}/"))).await?;
    page.rows.iter().map(|row| Ok((json_rows::read(partition, row)?, row.revision))).collect()
}

/// The messages that destinations of a store refused, for operators, in any process.
///
/// What is asked for is written beside the log and carried out by whoever publishes that partition, about half a second
/// later; then the key is gone from the list, or back in it with a new error.
#[derive(Debug, Clone)]
pub struct ParkedMessages {
    pub(super) store: Arc<dyn EventStore>,
}

impl ParkedMessages {
    /// Those of a store.
    #[must_use]
    pub fn new(store: impl EventStore) -> Self {
        Self { store: Arc::new(store) }
    }

    /// What a destination parked, by partition and key.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn list(&self, destination: &DestinationName) -> Result<Vec<(PartitionId, ParkedKey)>> {
        let mut all = Vec::new();
        for partition in self.store.properties().partitions.all() {
            let found = read_all(&*self.store, partition, destination).await?;
            all.extend(found.into_iter().map(|(parked, _)| (partition, parked)));
        }
        Ok(all)
    }

    /// Asks for a remedy for a parked key, as it was listed.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when that message is not parked any more.
    /// [`Fenced`](crate::ErrorKind::Fenced) when somebody else changed it just now: list it again. Those of the store.
    pub async fn ask(
        &self,
        destination: &DestinationName,
        (partition, parked): (PartitionId, &ParkedKey),
        asked: Asked,
    ) -> Result<()> {
        let key = parked.row_key(SPACE, destination)?;
        let row = json_rows::find(&*self.store, partition, &key).await?;
        let found = row.as_ref().map(|row| json_rows::read::<ParkedKey>(partition, row)).transpose()?;
        let (Some(row), Some(found)) = (row, found.filter(|found| found.id == parked.id)) else {
            return Err(Error::invalid(format!(
                "message {} of key {:?} is not parked",
                parked.id, parked.key
            ))
            .advice("list what is parked again"));
        };
        let asked = Asked { who: kept_text(&asked.who), why: kept_text(&asked.why), ..asked };
        let changed = ParkedKey { asked: Some(asked), ..found };
        let write = json_rows::put(key, RowExpected::Revision(row.revision), &changed)?;
        place::write(&*self.store, partition, vec![write]).await
    }
}
