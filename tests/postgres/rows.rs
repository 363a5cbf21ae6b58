//! Guarded rows and closed partitions, where a quorum is required.

use std::sync::Arc;
use std::time::Duration;

use sidestream::partition::PartitionId;
use sidestream::store::postgres::PostgresStore;
use sidestream::store::rows::{RowChange, RowExpected, RowKey, RowSelection, RowWrite, RowsPage, RowsRead};
use sidestream::store::{AppendFailure, Unit, UnitResult};
use sidestream::testkit::postgres::{Binaries, Quorum};
use sidestream::{EventStore, Result, Timestamp};

use crate::support::*;

const HOME: PartitionId = PartitionId::new(0);
const CANCEL: &str =
    "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";

async fn open(url: &str) -> PostgresStore {
    PostgresStore::builder(url).migrate(true).require_quorum(true).open().await.unwrap()
}

async fn claim(store: PostgresStore) -> UnitResult {
    let change = RowChange::Claim { value: "me".into(), lives: Some(Duration::from_secs(60)) };
    let key = RowKey::new("lease", "7").unwrap();
    let unit = Unit::of_rows(vec![RowWrite { key, expected: RowExpected::Free, change }]);
    store.append(HOME, vec![unit]).await.remove(0)
}

async fn read(store: PostgresStore) -> Result<RowsPage> {
    let which = RowSelection::Keys(vec!["7".to_owned()]);
    store.rows(RowsRead { partition: HOME, space: "lease".to_owned(), which }).await
}

/// A claim whose wait for the quorum was cancelled is in sight, and a failover may take it away.
#[test]
fn rows_that_no_quorum_has_are_neither_acknowledged_nor_shown() {
    let Some(binaries) = Binaries::found_or_skipped() else { return };
    let quorum = Arc::new(Quorum::start(&binaries, 1));
    let url = quorum.fresh_database();
    on_threads(async move {
        let (store, other) = (open(&url).await, open(&url).await);
        let closed = store.close_partitions(&[HOME], Timestamp::MAX).await.unwrap()[0];
        quorum.pause_standbys();
        let claiming = tokio::spawn(claim(store.clone()));
        while !claiming.is_finished() {
            quorum.primary().psql("postgres", CANCEL);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let claimed = claiming.await.unwrap();
        assert!(matches!(claimed, Err(AppendFailure::Unknown(_))), "{claimed:?}");

        let reading = tokio::spawn(read(other.clone()));
        // Nothing has to be raised for this time, and yet what was seen has to be on the quorum.
        let closing = tokio::spawn({
            let other = other.clone();
            async move { other.close_partitions(&[HOME], closed).await }
        });
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(!reading.is_finished() && !closing.is_finished(), "told before a quorum had it");
        quorum.resume_standbys();
        let row = reading.await.unwrap().unwrap().rows.remove(0);
        assert_eq!((row.epoch, row.value.as_ref()), (1, b"me".as_slice()));
        assert!(closing.await.unwrap().unwrap()[0] >= closed);
        let again = claim(other).await;
        assert!(matches!(again, Err(AppendFailure::WrongRow(_))), "{again:?}");
    });
}
