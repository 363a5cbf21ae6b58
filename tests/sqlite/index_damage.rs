//! Damage in the indexes: told or mended, and never a stream that silently does not exist.

use rusqlite::Connection;
use sidestream::EventStore;
use sidestream::event::RecordKind;
use sidestream::partition::PartitionId;
use sidestream::store::sqlite::SqliteStore;
use sidestream::store::{ReadFrom, StreamRead, Unit};
use sidestream::stream::{Position, StreamName, Version};
use sidestream::{Result, TransactionId};

use crate::support::*;

const STREAMS: u64 = 300;

fn streams() -> Vec<StreamName> {
    let transaction = |n: u64| TransactionId::derive("damage", &n.to_string());
    (0..STREAMS).flat_map(|n| [account(&n.to_string()), side(&n.to_string(), transaction(n))]).collect()
}

/// A closed store whose indexes are all in runs of several blocks. Each account has a snapshot.
async fn stored() -> Place {
    let place = Place::new();
    let store = place.open_one();
    for pair in streams().chunks(2) {
        let records = vec![event("Held", b"a"), framework(RecordKind::Snapshot, None), event("Held", b"b")];
        let appends = vec![
            append(&pair[0], Version::EMPTY, records),
            append(&pair[1], Version::EMPTY, vec![event("Requested", b"")]),
        ];
        put_unit(&store, Unit::of(appends)).await.unwrap();
    }
    store.close().await.unwrap();
    place
}

fn connection(place: &Place) -> Connection {
    Connection::open(place.path()).unwrap()
}

/// What each stream has, by each way to read it.
async fn all(store: &SqliteStore) -> Vec<Result<(u64, u64, usize)>> {
    let ways = [ReadFrom::After(Version::EMPTY), ReadFrom::SnapshotBefore(Version::new(u64::MAX))];
    let read = |from| move |stream| StreamRead { stream, from, limit: 100 };
    let reads = ways.iter().flat_map(|from| streams().into_iter().map(read(*from))).collect();
    let pages = store.read_streams(reads).await.into_iter();
    let told = |page: sidestream::store::StreamPage| {
        let snapshot = page.snapshot.map_or(0, |snapshot| snapshot.version.get());
        (page.head.get(), snapshot, page.records.len())
    };
    pages.map(|page| page.map(told)).collect()
}

async fn log_of(store: &SqliteStore) -> Result<u64> {
    let (mut after, mut found) = (Position::START, 0);
    loop {
        let page = store.read_log(PartitionId::new(0), after, 4_096).await?;
        found += page.records.len() as u64;
        after = page.read_to;
        if after == page.head {
            return Ok(found);
        }
    }
}

/// The writer mends what a start reads, and tells what it does not; `rebuild_index` mends all of it.
async fn check(place: &Place, intact: &[(u64, u64, usize)], what: &str) -> usize {
    let store = place.open();
    let found = all(&store).await;
    for (found, intact) in found.iter().zip(intact) {
        match found {
            Ok(found) => assert_eq!(found, intact, "{what}"),
            Err(error) => assert_eq!(error.code(), "corrupt", "{what}: {error}"),
        }
    }
    let told = found.iter().filter(|found| found.is_err()).count();
    if told > 0 {
        // Nothing is appended where the head is not known.
        let at = found.iter().position(Result::is_err).unwrap() % streams().len();
        let failure = put(&store, &streams()[at], 0, b"x").await.unwrap_err().to_string();
        assert!(failure.contains("corrupt") || failure.contains("found version"), "{what}: {failure}");
    }
    match log_of(&store).await {
        Ok(records) => assert_eq!(records, 4 * STREAMS, "{what}"),
        Err(error) => assert_eq!(error.code(), "corrupt", "{what}: {error}"),
    }
    drop(store);
    let store = place.options().rebuild_index(true).open().unwrap();
    let mended: Vec<_> = all(&store).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(mended, intact, "{what}");
    assert_eq!(log_of(&store).await.unwrap(), 4 * STREAMS, "{what}");
    told
}

/// A store with one change, in a folder of its own.
fn changed(of: &Place, sql: &str, parameters: impl rusqlite::Params) -> Place {
    let place = Place::new();
    std::fs::copy(of.path(), place.path()).unwrap();
    assert_eq!(connection(&place).execute(sql, parameters).unwrap(), 1, "{sql}");
    place
}

#[tokio::test]
async fn a_changed_block_is_told_and_mended() {
    let place = stored().await;
    let intact: Vec<_> = all(&place.open()).await.into_iter().map(Result::unwrap).collect();
    assert!(intact.iter().all(|(head, _, _)| *head > 0));
    let mut blocks = Vec::new();
    let sql = "SELECT blocks.id, body, blocks.id & 0xffffffff < entry_blocks FROM blocks JOIN runs ON blocks.id >> 32 = runs.id";
    let source = connection(&place);
    let mut statement = source.prepare(sql).unwrap();
    let mut rows = statement.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let block: (i64, Vec<u8>, bool) = (row.get(0).unwrap(), row.get(1).unwrap(), row.get(2).unwrap());
        blocks.push(block);
    }
    let of_entries = blocks.iter().filter(|block| block.2).count();
    assert!(of_entries > 3 && of_entries < blocks.len(), "{of_entries} of {}", blocks.len());
    for (id, body, is_entries) in &blocks {
        for at in [body.len() / 3, body.len() - 1] {
            let mut bad = body.clone();
            bad[at] ^= 4;
            let what = format!("block {id}, byte {at}");
            let place = changed(&place, "UPDATE blocks SET body = ?2 WHERE id = ?1", (id, bad));
            let follower = SqliteStore::open_read_only(place.path()).unwrap();
            let followed = all(&follower).await;
            let is_told = |found: &Result<_>, intact| found.as_ref().map_or(true, |found| found == intact);
            assert!(followed.iter().zip(&intact).all(|(found, intact)| is_told(found, intact)), "{what}");
            assert!(followed.iter().any(Result::is_err), "{what}: a reader cannot mend it");
            drop(follower);
            let told = check(&place, &intact, &what).await;
            assert!(*is_entries || told == 0, "{what}: mended by the start");
        }
        let gone = changed(&place, "DELETE FROM blocks WHERE id = ?1", [id]);
        check(&gone, &intact, &format!("block {id} is gone")).await;
    }
}

/// The rows that say what there is have no checksums; they are checked against the blocks and each other.
#[tokio::test]
async fn a_changed_row_about_a_run_is_mended() {
    let place = stored().await;
    let intact: Vec<_> = all(&place.open()).await.into_iter().map(Result::unwrap).collect();
    for change in [
        "DELETE FROM runs",
        "UPDATE runs SET id = id + 1",
        "UPDATE runs SET first_row = first_row + 1",
        "UPDATE runs SET last_row = last_row + 1",
        "UPDATE runs SET last_row = last_row - 1",
        "UPDATE runs SET entry_blocks = entry_blocks - 1",
        "UPDATE runs SET entry_blocks = entry_blocks + 1",
        "UPDATE runs SET directory_blocks = directory_blocks + 1",
        "UPDATE runs SET filter_blocks = filter_blocks - 1",
        "UPDATE runs SET newest = zeroblob(16)",
        "UPDATE runs SET newest = zeroblob(15)",
        "UPDATE runs SET newest = randomblob(16)",
        "UPDATE meta SET flushed_row = flushed_row + 1",
        "UPDATE meta SET flushed_row = flushed_row - 1",
        "UPDATE meta SET flushed_row = 0",
    ] {
        let place = changed(&place, change, []);
        assert_eq!(check(&place, &intact, change).await, 0, "{change}: mended by the start");
    }
}

#[tokio::test]
async fn a_list_that_is_changed_or_gone_is_told_in_the_log() {
    let place = stored().await;
    let intact: Vec<_> = all(&place.open()).await.into_iter().map(Result::unwrap).collect();
    let types = [event("Held", b"").event_type];
    for (of, change) in [
        ("", "DELETE FROM lists WHERE type = ?1"),
        ("", "UPDATE lists SET body = substr(body, 2) WHERE type = ?1"),
        ("Held", "UPDATE lists SET body = zeroblob(length(body)) WHERE type = ?1"),
    ] {
        let place = changed(&place, change, [of]);
        let store = place.open();
        let read = match of {
            "" => store.read_log(PartitionId::new(0), Position::new(7), 10).await,
            _ => store.read_types(PartitionId::new(0), &types, Position::new(7), 10).await,
        };
        assert_eq!(read.unwrap_err().code(), "corrupt", "{change}");
        drop(store);
        check(&place, &intact, change).await;
    }
}

#[tokio::test]
async fn a_row_that_is_gone_is_told_by_the_log_too() {
    let place = stored().await;
    for row in [1, 2, 150, STREAMS as i64] {
        let place = changed(&place, "DELETE FROM units WHERE row = ?1", [row]);
        let error = log_of(&place.open()).await.unwrap_err();
        assert_eq!(error.code(), "corrupt", "row {row}: {error}");
        assert!(error.to_string().contains("missing"), "{error}");
        // The indexes cannot be made without it, either: the last head of a stream might be there.
        let error = place.options().rebuild_index(true).open().map(|_| ());
        assert!(
            row == STREAMS as i64 || error.unwrap_err().to_string().contains("a row of the log is missing")
        );
    }
}
