//! Damage inside the database: found on reading, by name, and nothing else suffers.

use rusqlite::Connection;
use sidestream::EventStore;
use sidestream::store::sqlite::Integrity;
use sidestream::store::{ReadFrom, StreamRead};
use sidestream::stream::Version;

use crate::support::*;

fn find(bytes: &[u8], needle: &[u8]) -> usize {
    bytes.windows(needle.len()).position(|window| window == needle).unwrap()
}

#[tokio::test]
async fn a_flipped_bit_in_a_payload_is_found_by_the_records_checksum() {
    let place = Place::new();
    let store = place.open();
    let (bad, good) = (account("bad"), account("good"));
    put(&store, &bad, 0, b"the amount is 100 cents").await.unwrap();
    put(&store, &good, 0, b"the amount is 200 cents").await.unwrap();
    store.close().await.unwrap();
    let mut bytes = std::fs::read(place.path()).unwrap();
    let at = find(&bytes, b"100 cents");
    bytes[at] ^= 0x08;
    std::fs::write(place.path(), bytes).unwrap();

    let store = place.open();
    let record = &read(&store, &bad, 0).await.unwrap().records[0];
    assert_eq!(&*record.data.payload, b"the amount is 900 cents", "returned as it is stored");
    let error = record.verify().unwrap_err().to_string();
    assert!(error.contains("record 1 was altered") && error.contains("account-bad"), "{error}");
    read(&store, &good, 0).await.unwrap().records[0].verify().unwrap();
}

#[tokio::test]
async fn a_row_that_cannot_be_read_fails_its_stream_only() {
    let place = Place::new();
    let store = place.open_one();
    let (bad, good) = (account("bad"), account("good"));
    for n in 0..3 {
        put(&store, &good, n, b"good").await.unwrap();
        put(&store, &bad, n, b"bad").await.unwrap();
    }
    store.close().await.unwrap();
    let connection = Connection::open(place.path()).unwrap();
    connection
        .execute_batch("UPDATE records SET kind = 99 WHERE stream = CAST(x'00' || 'account-bad' AS BLOB) AND version = 2")
        .unwrap();
    connection.close().unwrap();

    let store = place.open_one();
    let reads = [&bad, &good].map(|stream| StreamRead {
        stream: stream.clone(),
        from: ReadFrom::After(Version::EMPTY),
        limit: 10,
    });
    let pages = store.read_streams(reads.to_vec()).await;
    let error = pages[0].as_ref().unwrap_err();
    assert_eq!((error.code(), error.stream()), ("corrupt", Some("account-bad")));
    assert!(error.to_string().contains("record 2 cannot be read"), "{error}");
    assert_eq!(pages[1].as_ref().unwrap().records.len(), 3);

    let partition = partition_of(&store, &bad);
    let page = store.read_log(partition, sidestream::stream::Position::START, 10).await.unwrap();
    assert_eq!((page.records.len(), page.read_to.get()), (3, 3), "up to the bad one");
    let error = store.read_log(partition, page.read_to, 10).await.unwrap_err();
    assert_eq!((error.code(), error.stream()), ("corrupt", Some("account-bad")), "and not over it");
}

#[tokio::test]
async fn a_record_that_is_gone_is_a_gap_and_not_an_end() {
    let place = Place::new();
    let store = place.open_one();
    for n in 0..4 {
        put(&store, &account("7"), n, b"x").await.unwrap();
    }
    store.close().await.unwrap();
    let connection = Connection::open(place.path()).unwrap();
    connection.execute_batch("DELETE FROM records WHERE version = 2").unwrap();
    connection.close().unwrap();
    let error = read(&place.open_one(), &account("7"), 0).await.unwrap_err().to_string();
    assert!(
        error.contains("a record is missing") && error.contains("expected version 2, found 3"),
        "{error}"
    );
}

#[tokio::test]
async fn a_sound_store_is_not_checked_after_a_clean_stop() {
    let place = Place::new();
    put(&place.open(), &account("7"), 0, b"x").await.unwrap();
    assert_eq!(place.open().status().integrity, Integrity::NotChecked);
}
