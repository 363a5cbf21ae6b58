//! Who waits for a partition's log to grow, in one process.

use tokio::sync::watch;

use crate::partition::PartitionId;
use crate::stream::Position;

/// How far each partition's log is known to go, for whoever waits for it to go further.
#[derive(Debug)]
pub(crate) struct Changes(Vec<watch::Sender<Position>>);

impl Changes {
    pub(crate) fn new(partitions: usize) -> Self {
        Self((0..partitions).map(|_| watch::Sender::new(Position::START)).collect())
    }

    /// Wakes those who wait for a record at or before `head`.
    pub(crate) fn advance(&self, partition: PartitionId, head: Position) {
        let Some(known) = self.0.get(usize::from(partition.get())) else { return };
        known.send_if_modified(|known| {
            let is_news = head > *known;
            *known = head.max(*known);
            is_news
        });
    }

    /// Returns once the log was seen to go past `after`.
    pub(crate) async fn past(&self, partition: PartitionId, after: Position) {
        let waiting = self.0.get(usize::from(partition.get())).map(watch::Sender::subscribe);
        match waiting {
            Some(mut known) => drop(known.wait_for(|head| *head > after).await),
            None => std::future::pending().await,
        }
    }
}
