//! An event that cannot be applied: its account waits, all others go on, and operators decide.

use std::sync::Arc;

use sidestream::ErrorKind;
use sidestream::projection::{
    Action, Daemon, MemoryView, Operator, Parked, Projection, Repaired, Requests, Settings, SqliteView,
    State, View,
};
use sidestream::store::EventStore;
use sidestream::stream::Position;
use sidestream::testkit::run;

use crate::journal::{Entry, Journal, Readable, Trouble};
use crate::support::*;

/// Asks a runner to retry, as a daemon does.
pub async fn retry(requests: &Requests, cardinal: &str) -> sidestream::Result<Repaired> {
    requests.ask(cardinal, Action::Retried, operator()).await
}

fn operator() -> Operator {
    Operator::new("ada", "the handler was mended").unwrap()
}

/// The entries of a fold, without some positions.
async fn fold_without(store: &dyn EventStore, left_out: &[i64]) -> Vec<Entry> {
    let mut entries = fold(store, ONE).await;
    entries.retain(|entry| !left_out.contains(&entry.position));
    entries
}

/// Positions 1 to 7: the third deposit of "bad" cannot be applied.
async fn with_a_poison_event(store: &dyn EventStore) {
    pay(store, "good", &[1]).await;
    pay(store, "bad", &[2, 666]).await;
    pay(store, "good", &[3]).await;
    pay(store, "bad", &[4]).await;
    pay(store, "other", &[5]).await;
    pay(store, "bad", &[6]).await;
}

pub async fn parks_mends_and_retries<V: View + Clone + Readable>(view: V)
where
    Journal: Projection<V::Rows>,
{
    let store: Arc<dyn EventStore> = Arc::new(memory(1));
    with_a_poison_event(&*store).await;
    let rules = Journal::with(&[(666, Trouble::Fails)]);
    let mut running = start(Arc::clone(&store), rules.clone(), &view, 1, hurried());
    let status = running.until_caught_up_at(7).await;
    assert_eq!(view.journal(&*store, ONE).await, fold_without(&*store, &[3, 5, 7]).await);
    let parked = status.parked["bad"].clone();
    let Parked { cardinal, position, event_type, error, attempts, waiting, .. } = parked.clone();
    assert_eq!((cardinal.as_str(), position, event_type.as_str()), ("bad", Position::new(3), "Deposited"));
    assert_eq!((error.as_str(), attempts, waiting), ("no such amount", 3, 3));

    // Not mended: it stays parked, at the same event, and nothing of it is there.
    let repaired = retry(&running.requests, "bad").await.unwrap();
    assert_eq!(repaired.applied, 0);
    assert_eq!(repaired.parked, Some(Parked { attempts: 4, ..parked }));
    pay(&*store, "bad", &[7]).await;
    let status = running.until_caught_up_at(8).await;
    assert_eq!(status.parked["bad"].waiting, 4);

    // A restart knows what is parked.
    running.stop().await.unwrap();
    rules.mend();
    let mut running = start(Arc::clone(&store), rules, &view, 2, hurried());
    running.until("parked", |status| status.parked.len() == 1).await;
    let repaired = retry(&running.requests, "bad").await.unwrap();
    assert_eq!(repaired, Repaired { applied: 4, parked: None });
    pay(&*store, "bad", &[8]).await;
    assert!(running.until_caught_up_at(9).await.parked.is_empty());
    let mut entries = view.journal(&*store, ONE).await;
    assert_eq!(
        entries.iter().filter(|entry| entry.stream == "account-bad").map(|e| e.version).collect::<Vec<_>>(),
        [1, 2, 3, 4, 5, 6]
    );
    entries.sort();
    assert_eq!(entries, fold(&*store, ONE).await);
    let audit = view.audit(&place(&*store, ONE), 9).await.unwrap();
    let told: Vec<_> = audit.iter().map(|a| (a.action, a.position.get(), a.by.who.as_str())).collect();
    assert_eq!(
        told,
        [(Action::Retried, 3, "ada"), (Action::Retried, 3, "ada"), (Action::Parked, 3, "sidestream")]
    );
    running.stop().await.unwrap();
}

#[test]
fn a_poison_event_parks_its_account_only_and_a_retry_makes_the_view_whole() {
    run(async {
        parks_mends_and_retries(MemoryView::<Vec<Entry>>::new()).await;
        let directory = tempfile::tempdir().unwrap();
        parks_mends_and_retries(SqliteView::open(directory.path().join("view.db")).unwrap()).await;
    });
}

pub async fn skips<V: View + Clone + Readable>(view: V)
where
    Journal: Projection<V::Rows>,
{
    let store: Arc<dyn EventStore> = Arc::new(memory(1));
    with_a_poison_event(&*store).await;
    pay(&*store, "bad", &[667, 9]).await;
    let rules = Journal::with(&[(666, Trouble::Fails), (667, Trouble::Fails)]);
    let mut running = start(Arc::clone(&store), rules, &view, 1, hurried());
    running.until_caught_up_at(9).await;
    let why = Operator::new("ada", "a test deposit").unwrap();
    let skip = || running.requests.ask("bad", Action::Skipped, why.clone());
    let first = skip().await.unwrap();
    assert_eq!(
        (first.applied, first.parked.map(|parked| (parked.position.get(), parked.waiting))),
        (2, Some((8, 2)))
    );
    assert_eq!(skip().await.unwrap(), Repaired { applied: 1, parked: None });
    let mut entries = view.journal(&*store, ONE).await;
    entries.sort();
    assert_eq!(entries, fold_without(&*store, &[3, 8]).await);
    let audit = view.audit(&place(&*store, ONE), 3).await.unwrap();
    let told: Vec<_> =
        audit.iter().map(|a| (a.action, a.cardinal.as_str(), a.position.get(), &a.by)).collect();
    assert_eq!(told[0], (Action::Skipped, "bad", 8, &why));
    assert_eq!(told[1], (Action::Skipped, "bad", 3, &why));
    assert_eq!(told[2].0, Action::Parked);
    // What is not parked can be neither.
    assert_eq!(skip().await.unwrap_err().kind(), ErrorKind::Invalid);
    running.stop().await.unwrap();
}

#[test]
fn a_skip_leaves_exactly_one_event_out_and_is_kept_with_who_and_why() {
    run(async {
        skips(MemoryView::<Vec<Entry>>::new()).await;
        let directory = tempfile::tempdir().unwrap();
        skips(SqliteView::open(directory.path().join("view.db")).unwrap()).await;
    });
    assert_eq!(Operator::new("ada", " ").unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn every_kind_of_failure_in_a_batch_leaves_the_rest_of_it_in_order() {
    run(async {
        for bad in [&[1, 4][..], &[1, 2, 3, 4, 5, 6, 7, 8], &[8], &[2, 3]] {
            let store: Arc<dyn EventStore> = Arc::new(memory(1));
            for minor in 1..=8 {
                pay(&*store, &minor.to_string(), &[minor]).await;
            }
            let all: Vec<_> = bad.iter().map(|minor| (*minor, Trouble::Fails)).collect();
            let view = MemoryView::<Vec<Entry>>::new();
            let mut running = start(Arc::clone(&store), Journal::with(&all), &view, 1, hurried());
            let status = running.until_caught_up_at(8).await;
            assert_eq!(status.parked.len(), bad.len());
            assert_eq!(view.journal(&*store, ONE).await, fold_without(&*store, bad).await);
            running.stop().await.unwrap();
        }
    });
}

#[test]
fn a_partition_with_too_many_parked_accounts_stops_and_says_so_and_goes_on_when_there_is_room() {
    run(async {
        let store: Arc<dyn EventStore> = Arc::new(memory(1));
        for (name, minor) in [("a", 666), ("b", 666), ("c", 667), ("d", 1), ("a", 5)] {
            pay(&*store, name, &[minor]).await;
        }
        let rules = Journal::with(&[(666, Trouble::Fails), (667, Trouble::Fails)]);
        let view = MemoryView::<Vec<Entry>>::new();
        let settings = Settings { parked: 2, ..hurried() };
        let mut running = start(Arc::clone(&store), rules.clone(), &view, 1, settings);
        let status = running.until("full", |status| matches!(status.state, State::Full { .. })).await;
        assert_eq!((status.checkpoint, status.parked.len()), (Some(Position::new(2)), 2));
        assert!(
            status.state.to_string().contains("too many aggregates are parked to park c at position 3"),
            "{}",
            status.state
        );
        assert!(status.lag_records() == 3 && status.oldest.is_some());
        // An operator gives up the event of one: there is room for another.
        let request = running.requests.ask("a", Action::Skipped, operator());
        assert_eq!(request.await.unwrap(), Repaired { applied: 0, parked: None });
        let status = running.until_caught_up_at(5).await;
        assert_eq!(status.parked.keys().collect::<Vec<_>>(), ["b", "c"]);
        assert_eq!(view.journal(&*store, ONE).await, fold_without(&*store, &[1, 2, 3]).await);
        running.stop().await.unwrap();
    });
}

#[test]
fn a_daemon_lists_retries_and_skips() {
    run(async {
        let store = memory(3);
        for name in ["a", "b", "c", "d"] {
            pay(&store, name, &[1, 666, 2]).await;
        }
        let rules = Journal::with(&[(666, Trouble::Fails)]);
        let view = MemoryView::<Vec<Entry>>::new();
        let daemon = Daemon::builder(store.clone()).settings(hurried()).project(rules.clone(), view.clone());
        let daemon = daemon.start().unwrap();
        let all_parked = async {
            while daemon.parked("journal").iter().map(|(_, parked)| parked.waiting).sum::<u64>() < 8 {
                sidestream::clock::sleep(std::time::Duration::from_millis(1)).await;
            }
        };
        in_time("four parked accounts", all_parked).await;
        for (partition, parked) in daemon.parked("journal") {
            assert_eq!(store.properties().partitions.of(&parked.cardinal), partition);
        }
        assert_eq!(daemon.skip("journal", &id("a"), operator()).await.unwrap().applied, 1);
        rules.mend();
        for name in ["b", "c", "d"] {
            assert_eq!(daemon.retry("journal", &id(name), operator()).await.unwrap().applied, 2);
        }
        assert_eq!(daemon.parked("journal"), []);
        assert_eq!(
            daemon.retry("journal", &id("b"), operator()).await.unwrap_err().kind(),
            ErrorKind::Invalid
        );
        assert_eq!(
            daemon.retry("ledger", &id("b"), operator()).await.unwrap_err().kind(),
            ErrorKind::Invalid
        );
        let mut entries = Vec::new();
        view.for_each("journal", |_, rows: &Vec<Entry>| entries.extend(rows.iter().map(|row| row.minor)));
        assert_eq!((entries.len(), entries.iter().sum::<i64>()), (11, 3 * 669 + 3));
        in_time("the end", daemon.shutdown()).await;
    });
}
