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

/// Changes a row of the log behind the store's back.
fn alter_row(place: &Place, row: i64, change: impl FnOnce(&mut Vec<u8>)) {
    let connection = Connection::open(place.path()).unwrap();
    let select = "SELECT body FROM units WHERE row = ?1";
    let mut body: Vec<u8> = connection.query_row(select, [row], |row| row.get(0)).unwrap();
    change(&mut body);
    connection.execute("UPDATE units SET body = ?2 WHERE row = ?1", (row, body)).unwrap();
    connection.close().unwrap();
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
    // Its kind: behind the format, no causes, one append of so many bytes, its name, and its range.
    let needle = b"\x01\x00\x01";
    alter_row(&place, 4, |body| {
        assert!(body.starts_with(needle));
        let at = find(body, b"account-bad") + b"account-bad".len() + 3;
        assert_eq!(body[at], 0b1000_0001, "an event without cause and numbers");
        body[at] |= 0b1111;
    });

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
    connection.execute_batch("DELETE FROM units WHERE row = 2").unwrap();
    connection.close().unwrap();
    let error = read(&place.open_one(), &account("7"), 0).await.unwrap_err().to_string();
    assert!(
        error.contains("a record is missing") && error.contains("expected version 2, found no row 2"),
        "{error}"
    );
}

#[tokio::test]
async fn a_sound_store_is_not_checked_after_a_clean_stop() {
    let place = Place::new();
    put(&place.open(), &account("7"), 0, b"x").await.unwrap();
    assert_eq!(place.open().status().integrity, Integrity::NotChecked);
}

/// The pages of a table or index that hold rows, by number from 1.
fn leaves(path: &std::path::Path, root_of: &str, leaf: u8) -> Vec<usize> {
    let connection = Connection::open(path).unwrap();
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
    let root: i64 = connection.query_row(sql, [root_of], |row| row.get(0)).unwrap();
    drop(connection);
    let bytes = std::fs::read(path).unwrap();
    // The root is an interior page: its cells begin with the numbers of its children.
    let page = &bytes[(root as usize - 1) * 4_096..root as usize * 4_096];
    let cells = u16::from_be_bytes([page[3], page[4]]) as usize;
    let child = |n: usize| {
        let at = u16::from_be_bytes([page[12 + 2 * n], page[13 + 2 * n]]) as usize;
        u32::from_be_bytes(page[at..at + 4].try_into().unwrap()) as usize
    };
    let found: Vec<_> = (0..cells).map(child).collect();
    assert!(found.iter().all(|page| bytes[(page - 1) * 4_096] == leaf), "a tree of two levels");
    found
}

#[tokio::test]
async fn a_bad_page_is_found_after_an_unclean_stop_and_the_rest_is_served() {
    let (live, place) = (Place::new(), Place::new());
    let store = live.open_one();
    for n in 100..1_000 {
        put(&store, &account(&n.to_string()), 0, &[b'x'; 300]).await.unwrap();
    }
    store.close().await.unwrap();
    let bad_pages = [leaves(&live.path(), "units", 0x0d)[0], leaves(&live.path(), "blocks", 0x0d)[1]];
    let store = live.open_one();
    put(&store, &account("399"), 1, b"later").await.unwrap();
    for name in ["events.db", "events.db-wal"] {
        std::fs::copy(live.directory.path().join(name), place.directory.path().join(name)).unwrap();
    }
    let mut bytes = std::fs::read(place.path()).unwrap();
    for page in bad_pages {
        bytes[(page - 1) * 4_096..page * 4_096].fill(0xff);
    }
    std::fs::write(place.path(), bytes).unwrap();

    let store = place.open_one();
    while store.status().integrity == Integrity::Checking {
        tokio::task::yield_now().await;
    }
    assert!(matches!(store.status().integrity, Integrity::Damaged(lines) if !lines.is_empty()));
    assert!(store.status().is_degraded());
    let mut unread = Vec::new();
    for n in 100..1_000 {
        let stream = account(&n.to_string());
        match read(&store, &stream, 0).await {
            Ok(page) => page.records[0].verify().unwrap(),
            Err(error) => {
                assert_eq!((error.code(), error.stream()), ("corrupt", Some(stream.as_str())), "{error}");
                unread.push(stream);
            }
        }
    }
    assert!((50..500).contains(&unread.len()), "those of one page and of one block: {}", unread.len());
    assert!(unread.contains(&account("100")), "it lies on the page");

    // Where the index cannot tell a stream's head, nothing is appended to it; its neighbours go on.
    let (mut refused, good) = (0, account("398"));
    for (n, bad) in (1..).zip(&unread) {
        let units = vec![unit(bad, 1, b"a"), unit(&good, n, b"b")];
        let results = store.append(sidestream::partition::PartitionId::new(0), units).await;
        if let Err(failure) = &results[0] {
            let text = failure.to_string();
            assert!(text.contains("corrupt") && text.contains(bad.as_str()), "{text}");
            refused += 1;
        }
        assert!(results[1].is_ok(), "{results:?}");
    }
    assert!(refused > 50, "{refused}");
    assert_eq!(read(&store, &good, 0).await.unwrap().head.get(), unread.len() as u64 + 1);
}
