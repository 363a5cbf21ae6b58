//! What came, and what should have come.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sidestream::feed::{Cursor, Selection};
use sidestream::message::RecordedMessage;
use sidestream::{EventStore, Position};

use crate::Failure;

/// Everything that came, whatever it came through.
#[derive(Debug, Default)]
pub(crate) struct Came {
    /// By id: as the how-manieth it came first, and a hash of its envelope.
    first: HashMap<String, (usize, u64)>,
    /// Messages that came again, with the same content.
    pub(crate) duplicates: u64,
    /// Messages that came again, with another content.
    pub(crate) doubled_ids: u64,
}

#[derive(Deserialize)]
struct Envelope {
    id: String,
}

impl Came {
    /// Takes in an envelope.
    pub(crate) fn take(&mut self, envelope: &[u8]) -> Result<(), Failure> {
        let Envelope { id } = serde_json::from_slice(envelope)?;
        let mut hasher = DefaultHasher::new();
        envelope.hash(&mut hasher);
        let (place, hash) = (self.first.len(), hasher.finish());
        match self.first.get(&id) {
            None => drop(self.first.insert(id, (place, hash))),
            Some((_, known)) if *known == hash => self.duplicates += 1,
            Some(_) => self.doubled_ids += 1,
        }
        Ok(())
    }

    /// How many different messages came.
    pub(crate) fn count(&self) -> u64 {
        u64::try_from(self.first.len()).unwrap_or(u64::MAX)
    }
}

/// What is wrong with what came.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Verdict {
    /// Messages that the log holds.
    pub(crate) sent: u64,
    /// Different messages that came.
    pub(crate) received: u64,
    /// Messages of the log that did not come.
    pub(crate) lost: u64,
    /// Ids that came with several contents, or that the log does not know.
    pub(crate) doubled_ids: u64,
    /// Messages that came before an earlier one of their key.
    pub(crate) out_of_order: u64,
}

impl Verdict {
    pub(crate) fn is_good(&self) -> bool {
        self.lost + self.doubled_ids + self.out_of_order == 0
    }
}

/// Compares what came with the log.
pub(crate) async fn compare(store: &Arc<dyn EventStore>, came: &Came) -> Result<Verdict, Failure> {
    let mut verdict = Verdict { received: came.count(), doubled_ids: came.doubled_ids, ..Verdict::default() };
    let mut known = 0;
    for partition in store.properties().partitions.all() {
        let mut latest: BTreeMap<String, usize> = BTreeMap::new();
        let mut cursor = Cursor::new(Arc::clone(store), partition, Selection::messages(), Position::START);
        loop {
            let page = cursor.next().await?;
            for record in &page.records {
                let message = RecordedMessage::read(record)?;
                verdict.sent += 1;
                let Some((place, _)) = came.first.get(&message.id.to_string()) else {
                    verdict.lost += 1;
                    continue;
                };
                known += 1;
                let before = latest.entry(message.key).or_insert(*place);
                verdict.out_of_order += u64::from(*place < *before);
                *before = (*before).max(*place);
            }
            if !page.has_more() {
                break;
            }
        }
    }
    verdict.doubled_ids += came.count() - known;
    Ok(verdict)
}
