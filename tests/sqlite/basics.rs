//! What is written is there, now and after a new start.

use sidestream::event::{AcceptedAt, RecordKind};
use sidestream::partition::PartitionId;
use sidestream::store::sqlite::SqliteStore;
use sidestream::store::{AppendFailure, ReadFrom, StreamPage, StreamRead, Unit};
use sidestream::stream::{ExpectedVersion, Position, Version};
use sidestream::{EventStore, Timestamp, TransactionId};

use crate::support::*;

#[tokio::test]
async fn every_field_comes_back_after_a_new_start() {
    let place = Place::new();
    let store = place.open();
    let id = store.properties().id;
    let transaction = TransactionId::derive("test", "1");
    let (stream, side) = (account("7"), side("7", transaction));
    let mut odd = event("Deposited", b"\0\xff payload");
    (odd.requester, odd.cause) =
        (Some("http://caller".into()), Some(cause(TransactionId::derive("other", "2"))));
    let accepted = RecordKind::Accepted { version: Version::new(u64::MAX), at: AcceptedAt::Back(u32::MAX) };
    let records = vec![
        framework(RecordKind::Requested { aggregate_version: Version::EMPTY }, Some(cause(transaction))),
        framework(accepted, Some(cause(transaction))),
    ];
    let unit = Unit::of(vec![
        append(&stream, ExpectedVersion::NoStream, vec![odd.clone(), event("Empty", b"")]),
        append(&side, ExpectedVersion::NoStream, records.clone()),
    ]);
    let committed = put_unit(&store, unit).await.unwrap();
    assert_eq!(
        (committed.first, committed.recorded_at),
        (Position::new(1), Timestamp::from_micros(1_000_000))
    );
    let before = (read(&store, &stream, 0).await.unwrap(), read(&store, &side, 0).await.unwrap());
    assert_eq!(before.0.records[0].data, odd);
    assert_eq!(before.1.records.iter().map(|r| r.data.clone()).collect::<Vec<_>>(), records);
    assert_eq!(before.1.records[1].position, Position::new(4));
    drop(store);

    let store = place.open();
    assert_eq!(store.properties().id, id);
    let after = (read(&store, &stream, 0).await.unwrap(), read(&store, &side, 0).await.unwrap());
    assert_eq!(before, after);
    let partition = partition_of(&store, &stream);
    assert_eq!(check_log(&store, partition).await, 4);
    let log = store.read_log(partition, Position::START, 10).await.unwrap();
    assert_eq!(log.records, [before.0.records, before.1.records].concat());
}

#[tokio::test]
async fn a_clean_stop_leaves_one_file() {
    let place = Place::new();
    let store = place.open();
    put(&store, &account("7"), 0, b"a").await.unwrap();
    store.close().await.unwrap();
    assert_eq!(
        put(&store, &account("7"), 1, b"b").await.map_err(|e| e.to_string().contains("was closed")),
        Err(true)
    );
    let mut names: Vec<_> =
        std::fs::read_dir(place.directory.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["events.db", "events.db.lock"]);
    assert_eq!(payloads(&place.open(), &account("7")).await, [b"a"]);
}

#[tokio::test]
async fn files_are_their_owners_only() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let path = place.directory.path().join("made/here/events.db");
    let store = SqliteStore::open(&path).unwrap();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    put(&store, &account("7"), 0, b"a").await.unwrap();
    for name in ["events.db", "events.db-wal", "events.db-shm", "events.db.lock"] {
        assert_eq!(mode(&path.with_file_name(name)), 0o600, "{name}");
    }
}

#[tokio::test]
async fn settings_are_as_they_must_be() {
    let place = Place::new();
    let settings = place.open().status().settings;
    for (name, value) in [
        ("journal_mode", "wal"),
        ("synchronous", "2"),
        ("wal_autocheckpoint", "0"),
        ("foreign_keys", "1"),
        ("trusted_schema", "0"),
        ("cell_size_check", "1"),
        ("mmap_size", "0"),
        ("busy_timeout", "2000"),
    ] {
        let found = settings.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str());
        assert_eq!(found, Some(value), "{name}");
    }
}

#[tokio::test]
async fn units_that_share_a_stream_are_a_chain_and_others_are_not() {
    let place = Place::new();
    let store = place.open_one();
    let (a, b, c) = (account("a"), account("b"), account("c"));
    let two =
        Unit::of([unit(&b, 0, b"b1"), unit(&c, 0, b"c1")].into_iter().flat_map(|u| u.appends).collect());
    let units = vec![
        unit(&a, 0, b"a1"),
        unit(&a, 1, b"a2"),
        unit(&b, 5, b"?"),
        two,
        unit(&c, 0, b"?"),
        unit(&a, 2, b"a3"),
    ];
    let results = store.append(PartitionId::new(0), units).await;
    let shown: Vec<_> =
        results.iter().map(|r| r.as_ref().map_or_else(|e| e.to_string(), |c| c.first.to_string())).collect();
    assert_eq!(
        shown,
        [
            "1",
            "2",
            "stream account-b: expected version 5, found version 0",
            "stream account-b: an earlier unit of the list failed",
            "stream account-c: an earlier unit of the list failed",
            "3",
        ]
    );
    assert_eq!(payloads(&store, &a).await, [b"a1", b"a2", b"a3"]);
    assert_eq!(read(&store, &c, 0).await.unwrap(), StreamPage::empty());
}

#[tokio::test]
async fn time_never_goes_back_not_even_over_a_new_start() {
    let place = Place::new();
    let stream = account("7");
    let store = place.open();
    let first = put(&store, &stream, 0, b"a").await.unwrap();
    place.clock.set(Timestamp::from_micros(5));
    let second = put(&store, &stream, 1, b"b").await.unwrap();
    drop(store);
    let third = put(&place.open(), &stream, 2, b"c").await.unwrap();
    assert_eq!([second.recorded_at, third.recorded_at], [first.recorded_at; 2]);
}

#[tokio::test]
async fn numbers_out_of_range_are_answered() {
    let place = Place::new();
    let store = place.open_one();
    let stream = account("7");
    put(&store, &stream, 0, b"a").await.unwrap();
    let (zero, far) = (PartitionId::new(0), Position::new(u64::MAX));
    let page = store.read_log(zero, far, 10).await.unwrap();
    assert_eq!((page.records.len(), page.read_to, page.head), (0, far, Position::new(1)));
    for version in [u64::MAX, i64::MAX as u64, 1 << 50] {
        assert_eq!(read(&store, &stream, version).await.unwrap().records, []);
        let failure = put(&store, &stream, version, b"b").await.unwrap_err();
        assert!(matches!(failure, AppendFailure::WrongVersion { found, .. } if found == Version::new(1)));
        let from = ReadFrom::SnapshotBefore(Version::new(version));
        let read = StreamRead { stream: stream.clone(), from, limit: usize::MAX };
        assert_eq!(store.read_streams(vec![read]).await.remove(0).unwrap().records.len(), 1);
    }
    let nowhere = PartitionId::new(1);
    assert_eq!(store.read_log(nowhere, Position::START, 1).await.unwrap_err().code(), "invalid");
    let refused = store.append(nowhere, vec![Unit::default()]).await.remove(0).unwrap_err();
    assert!(refused.to_string().contains("partition 1 does not exist"), "{refused}");
}

#[tokio::test]
async fn snapshots_and_types_are_found_by_their_indexes() {
    let place = Place::new();
    let store = place.open_one();
    let stream = account("7");
    let kinds = ["A", "B", "C"];
    let mut records: Vec<_> = (0..30).map(|n| event(kinds[n % 3], &[n as u8])).collect();
    records[10] = framework(RecordKind::Snapshot, None);
    records[20] = framework(RecordKind::Snapshot, None);
    put_unit(&store, Unit::one(append(&stream, ExpectedVersion::NoStream, records))).await.unwrap();
    for (before, snapshot, first) in
        [(30, Some(21), 22), (21, Some(11), 12), (12, Some(11), 12), (11, None, 1)]
    {
        let from = ReadFrom::SnapshotBefore(Version::new(before));
        let read = StreamRead { stream: stream.clone(), from, limit: 2 };
        let page = store.read_streams(vec![read]).await.remove(0).unwrap();
        assert_eq!(page.snapshot.map(|s| s.version.get()), snapshot);
        assert_eq!(page.records.iter().map(|r| r.version.get()).collect::<Vec<_>>(), [first, first + 1]);
    }
    let types: Vec<_> = ["B", "unknown", "C"].map(|t| event(t, b"").event_type).into();
    let (mut after, mut found) = (Position::START, Vec::new());
    loop {
        let page = store.read_types(PartitionId::new(0), &types, after, 4).await.unwrap();
        found.extend(page.records.iter().map(|r| r.position.get()));
        assert!(page.read_to > after);
        after = page.read_to;
        if after == page.head {
            break;
        }
    }
    let expected: Vec<_> = (1..=30_u64).filter(|p| (p - 1) % 3 > 0 && ![11, 21].contains(p)).collect();
    assert_eq!(found, expected);
}
