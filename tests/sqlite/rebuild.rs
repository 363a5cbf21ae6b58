//! Indexes that are made anew from the log.

use rusqlite::Connection;
use sidestream::event::RecordKind;
use sidestream::partition::PartitionId;
use sidestream::store::sqlite::SqliteStore;
use sidestream::store::{OpenStepsRead, ReadFrom, StreamRead, Unit};
use sidestream::stream::{ExpectedVersion, Position, StreamName, Version};
use sidestream::{EventStore, TransactionId};

use crate::support::*;

const STREAMS: u64 = 700;

fn streams() -> impl Iterator<Item = StreamName> {
    (0..STREAMS).map(|n| account(&n.to_string()))
}

/// All that can be read, as text.
async fn everything(store: &SqliteStore) -> String {
    let mut reads = Vec::new();
    for stream in streams() {
        for version in [0, 1, 3, u64::MAX] {
            let [after, before] =
                [ReadFrom::After, ReadFrom::SnapshotBefore].map(|from| from(Version::new(version)));
            reads.extend([after, before].map(|from| StreamRead { stream: stream.clone(), from, limit: 9 }));
        }
    }
    let mut text = format!("{:?}", store.read_streams(reads).await);
    let types = ["Held", "Captured", "never"].map(|name| event(name, b"").event_type);
    for after in [0, 10, 2_000].map(Position::new) {
        text += &format!("{:?}", store.read_log(PartitionId::new(0), after, 4_096).await.unwrap());
        for types in [&types[..1], &types[1..], &types[..]] {
            text +=
                &format!("{:?}", store.read_types(PartitionId::new(0), types, after, 4_096).await.unwrap());
        }
    }
    let read = OpenStepsRead {
        partition: PartitionId::new(0),
        category: ACCOUNT.side().to_string(),
        older_than: std::time::Duration::ZERO,
        after: None,
        limit: 100,
    };
    text + &format!("{:?}", store.open_steps(read).await.unwrap())
}

/// A store with snapshots, open steps and truncated streams, open.
async fn filled(place: &Place, flush_after: usize, truncated: impl Fn(u64) -> bool) -> SqliteStore {
    let one = sidestream::partition::PartitionCount::new(1).unwrap();
    let store = place.options().partitions(one).flush_after(flush_after).open().unwrap();
    for (n, stream) in (0_u64..).zip(streams()) {
        let kind = if n % 2 == 0 { "Held" } else { "Captured" };
        let snapshot = || framework(RecordKind::Snapshot, None);
        let records = vec![event(kind, b"a"), snapshot(), event("Held", b"b"), snapshot(), event(kind, b"c")];
        let mut unit = Unit::one(append(&stream, Version::EMPTY, records));
        if n % 100 == 0 {
            let transaction = TransactionId::derive("rebuild", &n.to_string());
            let requested = RecordKind::Requested { aggregate_version: Version::new(n) };
            let side = side(&n.to_string(), transaction);
            unit.appends.push(append(
                &side,
                ExpectedVersion::NoStream,
                vec![framework(requested, Some(cause(transaction)))],
            ));
        }
        put_unit(&store, unit).await.unwrap();
    }
    for (n, stream) in (0_u64..).zip(streams()).filter(|(n, _)| truncated(*n)) {
        store.truncate(&stream, Version::new(1 + n % 5)).await.unwrap();
    }
    store
}

#[tokio::test]
async fn indexes_that_are_made_anew_say_the_same() {
    for flush_after in [20, 1 << 16] {
        let place = Place::new();
        let store = filled(&place, flush_after, |n| n % 7 == 3).await;
        let before = everything(&store).await;
        assert!(before.contains("Requested") || before.contains("aggregate_version"), "open steps are there");
        drop(store);
        let again = || place.options().flush_after(flush_after);
        assert!(everything(&again().open().unwrap()).await == before, "after a start");
        assert!(everything(&again().rebuild_index(true).open().unwrap()).await == before, "after a rebuild");
        assert!(everything(&again().open().unwrap()).await == before, "after a start behind it");
    }
}

/// A store that a reader knows, where of some streams one of two snapshots is gone: a new run looks as the old one
/// does, of as many keys and blocks, and yet holds fewer entries.
async fn known_to_a_reader() -> (Place, SqliteStore, String) {
    let place = Place::new();
    drop(filled(&place, 1 << 16, |n| n < 60 && [1, 2].contains(&(n % 5))).await);
    let reader = SqliteStore::open_read_only(place.path()).unwrap();
    let before = everything(&reader).await;
    (place, reader, before)
}

/// A reader in another process keeps what it knows of runs by their numbers.
#[tokio::test]
async fn a_reader_sees_the_same_while_the_indexes_are_made_anew() {
    let (place, reader, before) = known_to_a_reader().await;
    // The first time it looks away until they are written.
    for looks in [false, true] {
        let store = place.options().rebuild_index(true).open().unwrap();
        assert!(!looks || everything(&reader).await == before, "while they are not written");
        store.close().await.unwrap();
        assert!(everything(&reader).await == before, "when they are");
    }
}

#[tokio::test]
async fn a_reader_sees_the_same_after_a_rebuild_that_was_cut_short() {
    let (place, reader, before) = known_to_a_reader().await;
    let connection = Connection::open(place.path()).unwrap();
    connection.execute_batch(include_str!("../../src/store/sqlite/sql/reset_index.sql")).unwrap();
    connection.close().unwrap();
    place.open().close().await.unwrap();
    assert!(everything(&reader).await == before);
}

/// A rebuild throws the indexes away in one commit and makes them in many: a start behind any of these goes on.
#[tokio::test]
async fn a_rebuild_that_was_cut_short_is_finished_by_the_next_start() {
    let place = Place::new();
    let store = filled(&place, 1 << 16, |n| n % 7 == 3).await;
    let before = everything(&store).await;
    store.close().await.unwrap();
    let store = place.options().rebuild_index(true).open().unwrap();
    // The process as it is now is what a kill would leave.
    let copy = Place::new();
    for name in ["events.db", "events.db-wal"] {
        std::fs::copy(place.directory.path().join(name), copy.directory.path().join(name)).unwrap();
    }
    let connection = Connection::open(copy.path()).unwrap();
    let flushed: i64 = connection.query_row("SELECT flushed_row FROM meta", [], |row| row.get(0)).unwrap();
    assert_eq!(flushed, 0, "thrown away, and not made yet");
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    connection.close().unwrap();
    drop(store);
    let again = copy.options().flush_after(20).open().unwrap();
    assert!(everything(&again).await == before);
    again.close().await.unwrap();
    assert!(everything(&copy.open()).await == before);
}
