//! The schema is made once, however many make it.

use sidestream::partition::PartitionId;
use sidestream::store::Unit;
use sidestream::store::postgres::PostgresStore;
use sidestream::store::rows::{RowChange, RowExpected, RowKey, RowWrite};
use sidestream::{EventStore, Timestamp};

use crate::database::Database;
use crate::support::*;

/// The database of an older program is brought up to date, with what is in it; until then it is refused.
#[test]
fn a_schema_of_earlier_steps_gets_the_last() {
    let database = Database::new();
    if database.server().is_none() {
        return;
    }
    on_threads(async {
        let open = || PostgresStore::builder(database.url());
        let store = open().migrate(true).open().await.unwrap();
        let partition = PartitionId::new(3);
        let closed = store.close_partitions(&[partition], Timestamp::MAX).await.unwrap();
        drop(store);
        database.psql(
            "DROP TABLE sidestream.guarded_rows; DROP FUNCTION sidestream.lock_rows; \
             DROP FUNCTION sidestream.write_rows; DROP FUNCTION sidestream.close_partitions; \
             DROP FUNCTION sidestream.import_rows; DROP FUNCTION sidestream.raise_times; \
             DELETE FROM sidestream.migrations WHERE step = 3",
        );
        let refused = open().open().await.unwrap_err().to_string();
        assert!(refused.contains("older than this program needs"), "{refused}");
        let store = open().migrate(true).open().await.unwrap();
        let change = RowChange::Put { value: "1".into(), lives: None };
        let key = RowKey::new("space", "key").unwrap();
        let unit = Unit::of_rows(vec![RowWrite { key, expected: RowExpected::Absent, change }]);
        store.append(partition, vec![unit]).await.remove(0).unwrap();
        let again = store.close_partitions(&[partition], Timestamp::MAX).await.unwrap();
        assert!(again >= closed);
    });
}

#[test]
fn processes_that_start_at_once_make_the_schema_once() {
    for _ in 0..5 {
        let database = Database::new();
        if database.server().is_none() {
            return;
        }
        on_threads(async {
            let open = || PostgresStore::builder(database.url()).migrate(true).roles(true).open();
            let opening: Vec<_> = (0..8).map(|_| tokio::spawn(open())).collect();
            let mut ids = Vec::new();
            for opened in opening {
                ids.push(opened.await.unwrap().unwrap().properties().id);
            }
            assert!(ids.windows(2).all(|pair| pair[0] == pair[1]), "{ids:?}");
        });
    }
}
