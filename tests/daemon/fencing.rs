//! Two runners of one partition: the one with the lower epoch changes nothing any more.

use std::sync::Arc;

use sidestream::ErrorKind;
use sidestream::projection::{MemoryView, Projection, SqliteView, State, View};
use sidestream::store::EventStore;
use sidestream::testkit::run;

use crate::journal::{Entry, Journal, Readable, Trouble};
use crate::support::*;

pub async fn fences<V: View + Clone + Readable>(view: V, epochs: (u64, u64))
where
    Journal: Projection<V::Rows>,
{
    let store: Arc<dyn EventStore> = Arc::new(memory(1));
    pay(&*store, "1", &[1, 2]).await;
    // The first one is in the middle of a batch when the second one comes.
    let slow = Journal::with(&[(3, Trouble::Blocks)]);
    let mut first = start(Arc::clone(&store), slow.clone(), &view, epochs.0, hurried());
    first.until_caught_up_at(2).await;
    pay(&*store, "1", &[4]).await;
    first.until_caught_up_at(3).await;
    let mut second = start(Arc::clone(&store), Journal::default(), &view, epochs.1, hurried());
    second.until_caught_up_at(3).await;
    pay(&*store, "1", &[5, 6]).await;
    second.until_caught_up_at(5).await;
    // The first one hears of it with its next batch, and stops.
    let status = first.until("fenced", |status| matches!(status.state, State::Stopped(Some(_)))).await;
    assert!(status.state.to_string().contains("fenced"), "{}", status.state);
    assert_eq!(in_time("its end", first.task).await.unwrap().unwrap_err().kind(), ErrorKind::Fenced);
    assert_eq!(view.journal(&*store, ONE).await, fold(&*store, ONE).await);
    second.stop().await.unwrap();
    if epochs.0 < epochs.1 {
        // And never comes back under its epoch.
        let again = start(Arc::clone(&store), Journal::default(), &view, epochs.0, hurried());
        assert_eq!(in_time("its end", again.task).await.unwrap().unwrap_err().kind(), ErrorKind::Fenced);
    }
    let mut next = start(Arc::clone(&store), Journal::default(), &view, epochs.1 + 1, hurried());
    next.until_caught_up_at(5).await;
    assert_eq!(view.journal(&*store, ONE).await, fold(&*store, ONE).await);
    next.stop().await.unwrap();
}

#[test]
fn a_lower_epoch_changes_nothing_any_more() {
    run(async {
        fences(MemoryView::<Vec<Entry>>::new(), (1, 2)).await;
        let directory = tempfile::tempdir().unwrap();
        fences(SqliteView::open(directory.path().join("view.db")).unwrap(), (1, 7)).await;
    });
}

#[test]
fn of_two_under_one_epoch_the_later_has_the_place() {
    run(async {
        fences(MemoryView::<Vec<Entry>>::new(), (3, 3)).await;
        let directory = tempfile::tempdir().unwrap();
        fences(SqliteView::open(directory.path().join("view.db")).unwrap(), (3, 3)).await;
    });
}

#[test]
fn two_views_on_one_file_fence_each_other_as_two_processes_do() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let open = || SqliteView::open(directory.path().join("view.db")).unwrap();
        let (one, other) = (open(), open());
        let store: Arc<dyn EventStore> = Arc::new(memory(1));
        pay(&*store, "1", &[1, 2]).await;
        let mut first = start(Arc::clone(&store), Journal::default(), &one, 1, hurried());
        first.until_caught_up_at(2).await;
        let mut second = start(Arc::clone(&store), Journal::default(), &other, 2, hurried());
        second.until_caught_up_at(2).await;
        pay(&*store, "1", &[3]).await;
        second.until_caught_up_at(3).await;
        assert_eq!(in_time("its end", first.task).await.unwrap().unwrap_err().kind(), ErrorKind::Fenced);
        assert_eq!(one.journal(&*store, ONE).await, fold(&*store, ONE).await);
        second.stop().await.unwrap();
    });
}
