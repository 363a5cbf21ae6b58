//! The suite on PostgreSQL, in a database of its own for each test.

use std::sync::Arc;

use async_trait::async_trait;
use sidestream::store::EventStore;
use sidestream::store::postgres::PostgresStore;
use sidestream::stream::{StreamName, Version};
use sidestream::testkit::conformance::Fixture;

use crate::database::Database;

#[async_trait]
impl Fixture for Database {
    fn is_available(&self) -> bool {
        self.server().is_some()
    }

    async fn open(&self) -> Arc<dyn EventStore> {
        Arc::new(PostgresStore::builder(self.url()).migrate(true).writers(3).readers(3).open().await.unwrap())
    }

    async fn alter(&self, stream: &StreamName, version: Version) -> bool {
        self.change(stream, Some(version), "payload = payload || '!'");
        true
    }

    async fn make_unreadable(&self, stream: &StreamName) -> bool {
        self.change(stream, None, "codec = ''");
        true
    }
}

impl Database {
    fn change(&self, stream: &StreamName, version: Option<Version>, how: &str) {
        let version = version.map_or("version".to_owned(), |version| version.get().to_string());
        self.psql(&format!(
            "UPDATE sidestream.records SET {how} WHERE stream = '{stream}' AND version = {version}"
        ));
    }
}

async fn fresh() -> Database {
    Database::new()
}

sidestream::conformance!(fresh);
