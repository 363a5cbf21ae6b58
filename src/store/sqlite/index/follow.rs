//! The indexes in a process that does not write: they follow what the writer stores.

use std::sync::Arc;

use rusqlite::Connection;

use crate::error::Result;
use crate::partition::PartitionCount;
use crate::store::sqlite::index::live::Live;
use crate::store::sqlite::index::start;

/// The indexes as one reading connection knows them.
#[derive(Debug)]
pub(in crate::store::sqlite) struct Follower {
    partitions: PartitionCount,
    live: Arc<Live>,
    /// How often runs had changed when they were loaded.
    changes: Option<u64>,
}

impl Follower {
    pub(in crate::store::sqlite) fn new(partitions: PartitionCount) -> Self {
        let live = Live::new(Default::default(), Vec::new(), Default::default());
        Self { partitions, live: Arc::new(live), changes: None }
    }

    /// The indexes as of the read transaction that is open. Where runs changed, the log's tail behind them is read
    /// again; otherwise what is new in it.
    pub(in crate::store::sqlite) fn follow(&mut self, connection: &Connection) -> Result<Arc<Live>> {
        let (_, changes) = start::flushed(connection)?;
        if self.changes != Some(changes) {
            let known = self.live.sealed();
            self.live = Arc::new(start::load(connection, self.partitions, &known.runs, self.live.cache())?);
            self.changes = Some(changes);
        }
        while start::read_on(connection, &self.live)? {}
        Ok(Arc::clone(&self.live))
    }
}
