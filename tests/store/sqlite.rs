//! The suite on SQLite, with real files.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::{Connection, Row};
use sidestream::clock::{ManualClock, Timestamp};
use sidestream::event::{CodecName, EventType, NewRecord, RecordKind};
use sidestream::store::sqlite::SqliteStore;
use sidestream::store::{EventStore, ReadFrom, StreamAppend, StreamRead, Unit};
use sidestream::stream::{ExpectedVersion, StreamName, Version};
use sidestream::testkit::conformance::Fixture;
use sidestream::testkit::run;

struct Files {
    folder: tempfile::TempDir,
    clock: Arc<ManualClock>,
    /// Units that a table of the indexes holds.
    flush_after: usize,
}

#[async_trait]
impl Fixture for Files {
    async fn open(&self) -> Arc<dyn EventStore> {
        let options = SqliteStore::builder(self.path()).clock(self.clock.clone());
        Arc::new(options.flush_after(self.flush_after).open().expect("opened"))
    }

    async fn set_clock(&self, now: Timestamp) -> bool {
        self.clock.set(now);
        true
    }

    /// Changes the payload where it lies in its row: it stands there as it was given.
    async fn alter(&self, stream: &StreamName, version: Version) -> bool {
        // The suite may hold the writer.
        let store = SqliteStore::open_read_only(self.path()).expect("opened");
        let from = ReadFrom::After(Version::new(version.get() - 1));
        let read = StreamRead { stream: stream.clone(), from, limit: 1 };
        let page = store.read_streams(vec![read]).await.remove(0).expect("readable");
        drop(store);
        let payload = page.records[0].data.payload.clone();
        self.change_row_with(&payload, |body, at| body[at] ^= 1) == 1
    }

    /// Breaks the name that stands in front of the stream's records in each of its rows.
    async fn make_unreadable(&self, stream: &StreamName) -> bool {
        self.change_row_with(stream.as_str().as_bytes(), |body, at| body[at] ^= 1) > 0
    }
}

impl Files {
    fn new(flush_after: usize) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self { folder, clock: Arc::new(ManualClock::new(Timestamp::from_micros(1_000_000))), flush_after }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("store.db")
    }

    /// Changes each row of the log that holds some bytes, and returns how many it were.
    fn change_row_with(&self, needle: &[u8], change: impl Fn(&mut [u8], usize)) -> usize {
        let connection = Connection::open(self.path()).expect("opened");
        let mut statement = connection.prepare("SELECT row, body FROM units").expect("a statement");
        let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let rows: Vec<(i64, Vec<u8>)> =
            statement.query_map([], read).expect("rows").map(|row| row.expect("a row")).collect();
        let mut changed = 0;
        for (row, mut body) in rows {
            let Some(at) = body.windows(needle.len()).position(|part| part == needle) else { continue };
            change(&mut body, at);
            connection.execute("UPDATE units SET body = ?2 WHERE row = ?1", (row, body)).expect("changed");
            changed += 1;
        }
        changed
    }
}

mod as_usual {
    async fn files() -> super::Files {
        super::Files::new(1 << 16)
    }
    sidestream::conformance!(files);
}

/// The indexes are always being written and merged.
mod with_tiny_tables {
    async fn files() -> super::Files {
        super::Files::new(1)
    }
    sidestream::conformance!(files);
}

/// The hooks do what they say; otherwise the suite would pass without having looked.
#[test]
fn the_hooks_are_carried_out() {
    run(async {
        let files = Files::new(1);
        let store = files.open().await;
        let stream = StreamName::parse("account-1").expect("valid");
        let missing = StreamName::parse("account-2").expect("valid");
        let event = NewRecord {
            kind: RecordKind::Event,
            event_type: EventType::new("Held").expect("valid"),
            schema: 1,
            codec: CodecName::new("text").expect("valid"),
            cause: None,
            requester: None,
            payload: Bytes::from_static(b"payload"),
        };
        let append = StreamAppend {
            stream: stream.clone(),
            expected: ExpectedVersion::NoStream,
            records: vec![event],
        };
        let partition = store.properties().partitions.of(stream.cardinal());
        store.append(partition, vec![Unit::one(append)]).await.remove(0).expect("committed");
        drop(store);
        let read = async || {
            let from = ReadFrom::After(Version::EMPTY);
            let read = StreamRead { stream: stream.clone(), from, limit: 1 };
            files.open().await.read_streams(vec![read]).await.remove(0)
        };
        assert!(read().await.expect("readable").records[0].is_intact());
        assert!(files.alter(&stream, Version::new(1)).await);
        assert!(!read().await.expect("readable").records[0].is_intact());
        assert!(files.make_unreadable(&stream).await && !files.make_unreadable(&missing).await);
        assert_eq!(read().await.expect_err("unreadable").code(), "corrupt");
    });
}
