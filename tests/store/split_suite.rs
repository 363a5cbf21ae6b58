//! The conformance suite on split stores: in memory, in files, with a ledger whose answers get lost, and with each
//! half placed on two stores.

use std::sync::Arc;

use async_trait::async_trait;
use sidestream::clock::Timestamp;
use sidestream::store::memory::MemoryStore;
use sidestream::store::split::SplitStore;
use sidestream::store::{Atomicity, EventStore};
use sidestream::testkit::conformance::Fixture;
use sidestream::testkit::faults::{Done, Fault, FaultyStore, Script};

use crate::placed::in_turns;
use crate::several::{Kind, Several};
use crate::split::memory;

/// The suite counts positions from 1 in two of the partitions. Anchors stand in the last one, which is none of
/// these: what they do to positions there is tested below.
struct Split(Several);

#[async_trait]
impl Fixture for Split {
    async fn open(&self) -> Arc<dyn EventStore> {
        let [gateway, ledger] = self.0.open();
        Arc::new(SplitStore::open(gateway, ledger).await.expect("opened"))
    }

    async fn set_clock(&self, now: Timestamp) -> bool {
        self.0.clock.set(now);
        true
    }
}

mod on_memory {
    async fn fresh_store() -> super::Split {
        let kinds = [super::Kind::Memory, super::Kind::Memory];
        super::Split(super::Several::new(kinds, 16, super::Atomicity::Stream))
    }
    sidestream::conformance!(fresh_store);
}

mod on_sqlite {
    async fn fresh_store() -> super::Split {
        let kinds = [super::Kind::Sqlite, super::Kind::Sqlite];
        super::Split(super::Several::new(kinds, 16, super::Atomicity::Batch))
    }
    sidestream::conformance!(fresh_store);
}

/// Each half is placed on two stores.
struct OfPlaced([Several; 2]);

#[async_trait]
impl Fixture for OfPlaced {
    async fn open(&self) -> Arc<dyn EventStore> {
        let mut halves = Vec::new();
        for stores in &self.0 {
            let [even, odd] = stores.open();
            halves.push(in_turns(even, odd).open().await.expect("opened"));
        }
        let (ledger, gateway) = (halves.pop().expect("two"), halves.pop().expect("one"));
        Arc::new(SplitStore::open(gateway, ledger).await.expect("opened"))
    }
}

mod of_placed_halves {
    async fn fresh_store() -> super::OfPlaced {
        let kinds = [super::Kind::Memory, super::Kind::Memory];
        let half = |_| super::Several::on_the_machines_clock(kinds, 16);
        super::OfPlaced([0, 1].map(half))
    }
    sidestream::conformance!(fresh_store);
}

/// The ledger's answers get lost on the way.
struct Lossy {
    gateway: MemoryStore,
    ledger: FaultyStore,
}

#[async_trait]
impl Fixture for Lossy {
    async fn open(&self) -> Arc<dyn EventStore> {
        Arc::new(SplitStore::open(self.gateway.clone(), self.ledger.clone()).await.expect("opened"))
    }

    async fn lose_next_outcome(&self) -> bool {
        let next = self.ledger.appends() + 1;
        let done = if next.is_multiple_of(2) { Done::All } else { Done::Nothing };
        self.ledger.set_script(Script::new().append(next, Fault::Unknown(done)));
        true
    }
}

mod with_a_lossy_ledger {
    async fn fresh_store() -> super::Lossy {
        let ledger = super::FaultyStore::new(super::Arc::new(super::memory(16)), super::Script::new());
        super::Lossy { gateway: super::memory(16), ledger }
    }
    sidestream::conformance!(fresh_store);
}
