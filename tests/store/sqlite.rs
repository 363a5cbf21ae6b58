//! The suite on SQLite, with real files.

use std::sync::Arc;

use async_trait::async_trait;
use sidestream::clock::{ManualClock, Timestamp};
use sidestream::store::EventStore;
use sidestream::store::sqlite::SqliteStore;
use sidestream::testkit::conformance::Fixture;

struct Files {
    folder: tempfile::TempDir,
    clock: Arc<ManualClock>,
}

#[async_trait]
impl Fixture for Files {
    async fn open(&self) -> Arc<dyn EventStore> {
        let path = self.folder.path().join("store.db");
        let store = SqliteStore::builder(path).clock(self.clock.clone()).open().expect("opened");
        Arc::new(store)
    }

    async fn set_clock(&self, now: Timestamp) -> bool {
        self.clock.set(now);
        true
    }
}

async fn files() -> Files {
    let folder = tempfile::tempdir().expect("a folder");
    Files { folder, clock: Arc::new(ManualClock::new(Timestamp::from_micros(1_000_000))) }
}

sidestream::conformance!(files);
