//! Handlers that panic, never return, or come back after they were given up.

use std::sync::Arc;

use sidestream::projection::{MemoryView, Projection, Settings, SqliteView, State, View};
use sidestream::store::EventStore;
use sidestream::testkit::run;

use crate::journal::{Entry, Journal, Readable, Trouble};
use crate::support::*;

pub async fn parks_only_one<V: View + Clone + Readable>(view: V, trouble: Trouble) -> Journal
where
    Journal: Projection<V::Rows>,
{
    let store: Arc<dyn EventStore> = Arc::new(memory(1));
    for (name, minor) in [("good", 1), ("bad", 666), ("good", 2), ("bad", 3), ("good", 4)] {
        pay(&*store, name, &[minor]).await;
    }
    let rules = Journal::with(&[(666, trouble)]);
    let settings = Settings { handler_ms: 250, attempts: 2, ..hurried() };
    let mut running = start(Arc::clone(&store), rules.clone(), &view, 1, settings);
    let status = running.until_caught_up_at(5).await;
    let expected =
        if trouble == Trouble::Panics { "panicked: on purpose" } else { "did not return within 250ms" };
    assert!(status.parked["bad"].error.contains(expected), "{:?}", status.parked);
    let good = |entries: Vec<Entry>| entries.iter().map(|entry| entry.minor).collect::<Vec<_>>();
    assert_eq!(good(view.journal(&*store, ONE).await), [1, 2, 4]);
    // The abandoned ones come back, and find that they may write no more.
    rules.free.lock().unwrap().insert(666);
    rules.mend();
    assert_eq!(crate::parking::retry(&running.requests, "bad").await.unwrap().applied, 2);
    pay(&*store, "bad", &[5]).await;
    running.until_caught_up_at(6).await;
    assert_eq!(good(view.journal(&*store, ONE).await), [1, 2, 4, 666, 3, 5]);
    running.stop().await.unwrap();
    rules
}

#[test]
fn a_panic_is_a_failure() {
    run(async {
        parks_only_one(MemoryView::<Vec<Entry>>::new(), Trouble::Panics).await;
        let directory = tempfile::tempdir().unwrap();
        parks_only_one(SqliteView::open(directory.path().join("view.db")).unwrap(), Trouble::Panics).await;
    });
}

#[test]
fn a_handler_that_waits_for_ever_is_given_up() {
    run(async {
        parks_only_one(MemoryView::<Vec<Entry>>::new(), Trouble::Waits).await;
        let directory = tempfile::tempdir().unwrap();
        parks_only_one(SqliteView::open(directory.path().join("view.db")).unwrap(), Trouble::Waits).await;
    });
}

#[test]
fn a_handler_that_keeps_its_thread_is_left_behind_and_can_commit_nothing() {
    run(async {
        parks_only_one(MemoryView::<Vec<Entry>>::new(), Trouble::Blocks).await;
        let directory = tempfile::tempdir().unwrap();
        let view = SqliteView::open(directory.path().join("view.db")).unwrap();
        let rules = parks_only_one(view.clone(), Trouble::Blocks).await;
        // Both abandoned handlers and the retried one hold the rules until they are through.
        let ended = async {
            while Arc::strong_count(&rules.free) > 1 {
                sidestream::clock::sleep(std::time::Duration::from_millis(1)).await;
            }
        };
        in_time("the end of abandoned handlers", ended).await;
        let count = |connection: &sidestream::projection::sqlite::rusqlite::Connection| {
            connection.query_row("SELECT count(*) FROM journal", [], |row| row.get::<_, i64>(0))
        };
        assert_eq!(view.read(count).await.unwrap(), 6);
    });
}

#[test]
fn an_event_of_an_unknown_schema_is_a_failure_as_any_other() {
    run(async {
        let store: Arc<dyn EventStore> = Arc::new(memory(1));
        pay(&*store, "good", &[1]).await;
        let newer = sidestream::event::NewRecord { schema: 9, ..deposit(2) };
        append(&*store, &account("bad"), vec![newer]).await;
        let torn = sidestream::event::NewRecord { payload: bytes::Bytes::from_static(b"{"), ..deposit(2) };
        append(&*store, &account("torn"), vec![torn]).await;
        pay(&*store, "good", &[3]).await;
        let view = MemoryView::<Vec<Entry>>::new();
        let mut running = start(store, Journal::default(), &view, 1, hurried());
        let status = running.until_caught_up_at(4).await;
        assert!(
            status.parked["bad"].error.contains("Deposited of schema version 9 cannot be read"),
            "{status:?}"
        );
        assert!(status.parked["torn"].error.contains("bytes cannot be decoded"), "{status:?}");
        running.stop().await.unwrap();
    });
}

#[test]
fn a_handler_that_says_that_something_is_down_is_waited_for() {
    run(async {
        let store: Arc<dyn EventStore> = Arc::new(memory(1));
        pay(&*store, "1", &[1, 666, 2]).await;
        let rules = Journal::with(&[(666, Trouble::IsDown)]);
        let view = MemoryView::<Vec<Entry>>::new();
        let mut running = start(Arc::clone(&store), rules.clone(), &view, 1, hurried());
        for _ in 0..10 {
            running.until("down", |status| matches!(status.state, State::Waiting(_))).await;
            let status =
                running.until("tried again", |status| !matches!(status.state, State::Waiting(_))).await;
            assert!(status.parked.is_empty());
        }
        rules.mend();
        running.until_caught_up_at(3).await;
        assert_eq!(view.journal(&*store, ONE).await, fold(&*store, ONE).await);
        running.stop().await.unwrap();
    });
}
