//! Databases that are down are waited for, for as long as it takes, and park nothing.

use std::sync::Arc;

use sidestream::ErrorKind;
use sidestream::projection::{MemoryView, SqliteView, State};
use sidestream::store::EventStore;
use sidestream::stream::Position;
use sidestream::testkit::faults::{Fault, FaultyStore, Script};
use sidestream::testkit::run;

use crate::faulty_view::{FaultyView, ViewFault};
use crate::journal::{Entry, Journal, Readable};
use crate::support::*;

#[test]
fn a_lost_view_database_is_waited_for() {
    run(async {
        let log = memory(1);
        pay(&log, "1", &[1, 2, 3]).await;
        let store = FaultyStore::new(Arc::new(log.clone()), Script::new());
        let faults = (2..40).map(|call| (call, ViewFault::Down)).collect();
        let view = FaultyView::new(MemoryView::<Vec<Entry>>::new(), store, faults);
        let mut running = start(Arc::new(log.clone()), Journal::default(), &view, 1, hurried());
        let status = running.until("down", |status| matches!(status.state, State::Waiting(_))).await;
        assert!(
            status.state.to_string().contains("waiting for a database: unavailable: scripted"),
            "{}",
            status.state
        );
        let status = running.until_caught_up_at(3).await;
        assert!(status.parked.is_empty() && view.calls() >= 40, "{status:?}");
        assert_eq!(view.view.journal(&log, ONE).await, fold(&log, ONE).await);
        running.stop().await.unwrap();
    });
}

#[test]
fn a_lost_store_is_waited_for() {
    run(async {
        let log = memory(1);
        pay(&log, "1", &[1, 2, 3]).await;
        let script = (1..40).fold(Script::new(), |script, call| script.call(call, Fault::Unavailable));
        let store = FaultyStore::new(Arc::new(log.clone()), script);
        let view = MemoryView::<Vec<Entry>>::new();
        let mut running = start(Arc::new(store), Journal::default(), &view, 1, hurried());
        running.until("down", |status| matches!(status.state, State::Waiting(_))).await;
        assert!(running.until_caught_up_at(3).await.parked.is_empty());
        running.stop().await.unwrap();
        assert_eq!(view.journal(&log, ONE).await, fold(&log, ONE).await);
    });
}

#[test]
fn a_view_that_another_process_keeps_locked_is_waited_for() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("view.db");
        let view = SqliteView::open(&path).unwrap();
        let store: Arc<dyn EventStore> = Arc::new(memory(1));
        let mut running = start(Arc::clone(&store), Journal::default(), &view, 1, hurried());
        running.until_caught_up_at(0).await;
        let other = rusqlite::Connection::open(&path).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        pay(&*store, "1", &[1, 2]).await;
        let status = running.until("locked", |status| matches!(status.state, State::Waiting(_))).await;
        assert!(status.state.to_string().contains("locked"), "{}", status.state);
        other.execute_batch("ROLLBACK").unwrap();
        assert!(running.until_caught_up_at(2).await.parked.is_empty());
        running.stop().await.unwrap();
    });
}

#[test]
fn a_full_view_database_parks_nothing_and_goes_on_with_room() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let options = SqliteView::builder(directory.path().join("view.db"));
        let view = options.clone().most_pages(16).open().unwrap();
        let store: Arc<dyn EventStore> = Arc::new(memory(1));
        for minor in 0..2_000 {
            append(&*store, &account("1"), vec![deposit(minor)]).await;
        }
        let mut running = start(Arc::clone(&store), Journal::default(), &view, 1, hurried());
        let status = running.until("full", |status| matches!(status.state, State::Waiting(_))).await;
        assert!(status.state.to_string().contains("full") && status.parked.is_empty(), "{status:?}");
        running.stop().await.unwrap();
        let view = options.open().unwrap();
        let mut running = start(Arc::clone(&store), Journal::default(), &view, 1, hurried());
        assert!(running.until_caught_up_at(2_000).await.parked.is_empty());
        assert_eq!(view.journal(&*store, ONE).await, fold(&*store, ONE).await);
        running.stop().await.unwrap();
    });
}

#[test]
fn a_log_that_is_shorter_than_what_was_applied_stops_the_projection() {
    run(async {
        let (long, short) = (memory(1), memory(1));
        pay(&long, "1", &[1, 2, 3]).await;
        let view = MemoryView::<Vec<Entry>>::new();
        let mut running = start(Arc::new(long.clone()), Journal::default(), &view, 1, hurried());
        running.until_caught_up_at(3).await;
        running.stop().await.unwrap();
        // The same store, as an older backup has it.
        pay(&short, "1", &[1]).await;
        let older = sidestream::testkit::changed::Changed(long.clone(), Older);
        let running = start(Arc::new(older), Journal::default(), &view, 2, hurried());
        let error = in_time("its end", running.task).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LostHistory);
        assert!(error.to_string().contains("at least position 3, found 1"), "{error}");
    });
}

pub struct Older;

impl sidestream::testkit::changed::Changes for Older {
    fn log(&self, page: &mut sidestream::store::LogPage) {
        page.head = Position::new(1);
        page.records.retain(|record| record.position <= page.head);
    }
}
