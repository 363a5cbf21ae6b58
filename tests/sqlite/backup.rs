//! Backups: made under load, complete, and no older than they say.

use sidestream::EventStore;
use sidestream::store::sqlite::SqliteStore;

use crate::support::{Place, account, check_log, partition_of, payloads, put, unit};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_load_holds_everything_acknowledged_before_it() {
    let place = Place::new();
    let store = place.open_one();
    let stream = account("7");
    for version in 0..200 {
        put(&store, &stream, version, b"before").await.unwrap();
    }
    let writer = {
        let (store, stream) = (store.clone(), stream.clone());
        tokio::spawn(async move {
            for version in 200..400 {
                put(&store, &stream, version, b"during").await.unwrap();
            }
        })
    };
    let copy = place.directory.path().join("copy.db");
    let backup = store.backup(&copy).await.unwrap();
    writer.await.unwrap();
    assert!(backup.bytes > 0 && backup.heads.len() == 1 && backup.heads[0].get() >= 200, "{backup:?}");

    // The copy is a store of its own.
    let restored = SqliteStore::open(&copy).unwrap();
    assert_eq!(restored.properties().id, store.properties().id);
    let records = check_log(&restored, partition_of(&restored, &stream)).await;
    assert_eq!(records, backup.heads[0].get());
    assert_eq!(payloads(&restored, &stream).await.len() as u64, records);
    put(&restored, &stream, records, b"after").await.unwrap();
}

#[tokio::test]
async fn a_backup_overwrites_nothing_and_says_where_it_cannot_write() {
    let place = Place::new();
    let store = place.open();
    let there = place.directory.path().join("there.db");
    std::fs::write(&there, "precious").unwrap();
    let error = store.backup(&there).await.unwrap_err();
    assert_eq!(error.code(), "invalid", "{error}");
    assert_eq!(std::fs::read(&there).unwrap(), b"precious");
    let error = store.backup(place.directory.path().join("no/such/folder/copy.db")).await.unwrap_err();
    assert!(error.to_string().contains("no/such/folder"), "{error}");
    // A reader of a running store can make one, too.
    let reader = SqliteStore::open_read_only(place.path()).unwrap();
    let backup = reader.backup(place.directory.path().join("copy.db")).await.unwrap();
    assert_eq!(backup.heads.len(), 16);
    let failure =
        reader.append(partition_of(&store, &account("7")), vec![unit(&account("7"), 0, b"x")]).await;
    assert!(failure[0].is_err(), "a reader writes nothing");
}
