//! Notices between processes: they wake, and nothing depends on them.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use sidestream::EventStore;
use sidestream::event::{CodecName, EventType, NewRecord, RecordKind};
use sidestream::partition::{PartitionCount, PartitionId};
use sidestream::store::postgres::PostgresStore;
use sidestream::store::{StreamAppend, Unit};
use sidestream::stream::{ExpectedVersion, Position, StreamName};

use crate::database::Database;
use crate::support::*;

const LISTENERS: &str = "pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'";

/// A store, as another process has it.
async fn open(database: &Database, notify: bool) -> PostgresStore {
    let count = PartitionCount::new(2).unwrap();
    let builder = PostgresStore::builder(database.url()).partitions(count).migrate(true);
    builder.notify(notify).open().await.unwrap()
}

/// A stream of each of the two partitions.
fn streams(store: &PostgresStore) -> [StreamName; 2] {
    let partitions = store.properties().partitions;
    let of = |number: u16| {
        let all = (0..).map(|n| sidestream::Category::new("account").stream(&account(&format!("{n}"))));
        all.into_iter().find(|name| partitions.of(name.cardinal()).get() == number).unwrap()
    };
    [of(0), of(1)]
}

async fn append(store: &PostgresStore, stream: &StreamName) -> Position {
    let record = NewRecord {
        kind: RecordKind::Event,
        event_type: EventType::new("Paid").unwrap(),
        schema: 1,
        codec: CodecName::new("json").unwrap(),
        cause: None,
        requester: None,
        payload: "{}".into(),
    };
    let append =
        StreamAppend { stream: stream.clone(), expected: ExpectedVersion::Any, records: vec![record] };
    let partition = store.properties().partitions.of(stream.cardinal());
    store.append(partition, vec![Unit::one(append)]).await.remove(0).unwrap().first
}

async fn woken(store: &PostgresStore, partition: u16, after: Position) {
    let changed = store.changed(PartitionId::new(partition), after);
    tokio::time::timeout(Duration::from_secs(60), changed).await.expect("a notice");
}

fn is_asleep(store: &PostgresStore, partition: u16, after: Position) -> bool {
    let changed = pin!(store.changed(PartitionId::new(partition), after));
    changed.poll(&mut Context::from_waker(Waker::noop())) == Poll::Pending
}

#[test]
fn one_process_wakes_another_where_both_wish_so() {
    let database = Database::new();
    if database.server().is_none() {
        return;
    }
    on_threads(async {
        let (here, there, silent) =
            (open(&database, true).await, open(&database, true).await, open(&database, false).await);
        let [one, other] = streams(&here);
        let count = || database.psql(&format!("SELECT count(*) FROM {LISTENERS}")) == "2";
        wait_for("two listeners", count);
        // Whoever has just begun to listen is woken once, for what it may have missed.
        woken(&here, 0, Position::START).await;
        woken(&here, 1, Position::START).await;

        let at = append(&there, &one).await;
        woken(&here, 0, Position::START).await;
        assert!(is_asleep(&here, 0, at), "it is not past that");
        // Notices come in order: the one of the second append would come behind one of the first.
        let silently = append(&silent, &one).await;
        append(&there, &other).await;
        woken(&here, 1, Position::START).await;
        assert!(is_asleep(&here, 0, at), "nobody told of the append at {silently}");
        assert!(is_asleep(&silent, 0, silently), "it does not listen");
    });
}

#[test]
fn a_listener_that_was_cut_off_listens_again_and_is_woken_for_what_it_missed() {
    let database = Database::new();
    if database.server().is_none() {
        return;
    }
    on_threads(async {
        let (here, there) = (open(&database, true).await, open(&database, false).await);
        let [one, _] = streams(&here);
        woken(&here, 0, Position::START).await;
        for _ in 0..3 {
            wait_for("a listener", || database.psql(&format!("SELECT count(*) FROM {LISTENERS}")) == "1");
            database.psql(&format!("SELECT pg_terminate_backend(pid) FROM {LISTENERS}"));
            let at = append(&there, &one).await;
            woken(&here, 0, Position::new(at.get() - 1)).await;
        }
        // What anybody may send is taken for what it is.
        wait_for("a listener", || database.psql(&format!("SELECT count(*) FROM {LISTENERS}")) == "1");
        database.psql("NOTIFY sidestream, 'no:sense,7,,:,70000:1,0:18446744073709551615'");
        woken(&here, 0, Position::new(9_999)).await;
    });
}
