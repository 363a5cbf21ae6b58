//! The store in memory keeps the contract, as a store of atomic batches and as one of single streams.

use std::sync::Arc;

use async_trait::async_trait;
use sidestream::clock::{ManualClock, Timestamp};
use sidestream::partition::PartitionCount;
use sidestream::store::memory::MemoryStore;
use sidestream::store::{Atomicity, EventStore};
use sidestream::testkit::conformance::Fixture;

/// A store whose clock the suite sets.
pub(crate) struct Clocked {
    store: MemoryStore,
    clock: Arc<ManualClock>,
}

impl Clocked {
    pub(crate) fn new(partitions: u16, atomicity: Atomicity) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1)));
        let partitions = PartitionCount::new(partitions).expect("a count");
        Self { store: MemoryStore::with(partitions, atomicity, clock.clone()), clock }
    }
}

#[async_trait]
impl Fixture for Clocked {
    async fn open(&self) -> Arc<dyn EventStore> {
        self.store.open().await
    }

    async fn set_clock(&self, now: Timestamp) -> bool {
        self.clock.set(now);
        true
    }
}

mod of_batches {
    async fn fresh_store() -> super::Clocked {
        super::Clocked::new(16, super::Atomicity::Batch)
    }
    sidestream::conformance!(fresh_store);
}

mod of_single_streams {
    async fn fresh_store() -> super::Clocked {
        super::Clocked::new(16, super::Atomicity::Stream)
    }
    sidestream::conformance!(fresh_store);
}

mod of_one_partition {
    async fn fresh_store() -> super::Clocked {
        super::Clocked::new(1, super::Atomicity::Batch)
    }
    sidestream::conformance!(fresh_store);
}

mod on_the_machines_clock {
    sidestream::conformance!(async || sidestream::store::memory::MemoryStore::new());
}
