//! Writers that died at their start, before they had committed anything.

use rusqlite::Connection;
use sidestream::store::sqlite::SqliteStore;

use crate::support::*;

/// A closed store of one record.
async fn closed() -> Place {
    let place = Place::new();
    let store = place.open_one();
    put(&store, &account("7"), 0, b"a").await.unwrap();
    store.close().await.unwrap();
    place
}

/// A store whose writer was killed before its first commit of this life, or right behind it: an index of the
/// write-ahead log that nobody has cleared.
async fn killed_at_its_start(with_commit: bool) -> Place {
    let (live, killed) = (closed().await, Place::new());
    let writer = with_commit.then(|| live.open());
    let connection = Connection::open(live.path()).unwrap();
    connection.query_row("SELECT count(*) FROM units", [], |row| row.get::<_, i64>(0)).unwrap();
    for name in ["events.db", "events.db-wal", "events.db-shm"] {
        std::fs::copy(live.directory.path().join(name), killed.directory.path().join(name)).unwrap();
    }
    assert_eq!(std::fs::metadata(killed.wal()).unwrap().len() > 0, with_commit);
    drop((writer, connection));
    killed
}

/// A store whose writer was killed while it switched the new file to the write-ahead log: a rollback journal with
/// the first page as it was.
async fn killed_at_the_switch() -> Place {
    let place = closed().await;
    let database = std::fs::read(place.path()).unwrap();
    let mut journal = vec![0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
    let (pages, nonce) = (database.len() as u32 / 4_096, 7_u32);
    for number in [1, nonce, pages, 512, 4_096] {
        journal.extend_from_slice(&number.to_be_bytes());
    }
    journal.resize(512, 0);
    journal.extend_from_slice(&1_u32.to_be_bytes());
    journal.extend_from_slice(&database[..4_096]);
    let sum = (196..4_096).step_by(200).fold(nonce, |sum, at| sum.wrapping_add(database[at].into()));
    journal.extend_from_slice(&sum.to_be_bytes());
    std::fs::write(place.directory.path().join("events.db-journal"), journal).unwrap();
    place
}

async fn all() -> [Place; 3] {
    [killed_at_its_start(false).await, killed_at_its_start(true).await, killed_at_the_switch().await]
}

#[tokio::test]
async fn another_writer_follows() {
    for place in all().await {
        let store = place.open();
        assert_eq!(payloads(&store, &account("7")).await, [b"a"]);
        put(&store, &account("7"), 1, b"b").await.unwrap();
        let left = place.directory.path().join("events.db-journal");
        assert!(!left.exists(), "the journal was played back");
    }
}

#[tokio::test]
async fn a_reader_reads_or_is_told_to_wait_for_a_writer() {
    for (place, is_readable) in all().await.iter().zip([true, false, false]) {
        match SqliteStore::open_read_only(place.path()) {
            Ok(reader) => {
                assert!(is_readable);
                assert_eq!(payloads(&reader, &account("7")).await, [b"a"]);
            }
            Err(error) => {
                let text = error.to_string();
                assert!(!is_readable && error.code() == "unavailable", "{text}");
                assert!(text.contains("stopped uncleanly") && text.contains("start the service"), "{text}");
            }
        }
    }
}
