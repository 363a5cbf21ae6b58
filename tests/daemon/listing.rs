//! What is parked, as any process can list it.

use std::sync::Arc;

use sidestream::limits;
use sidestream::partition::PartitionId;
use sidestream::projection::{
    Action, Answer, Listing, MemoryView, Operator, ParkedAggregates, Projection, ProjectionId, RequestRows,
    Settings, State,
};
use sidestream::store::EventStore;
use sidestream::stream::Position;
use sidestream::testkit::faults::{Done, Fault, FaultyStore, Script};
use sidestream::testkit::run;

use crate::journal::{Entry, Journal, Trouble};
use crate::ledger::{Ledger, Seen};
use crate::support::*;

fn journal() -> ProjectionId {
    ProjectionId::new(<Journal as Projection<Vec<Entry>>>::NAME, 1).unwrap()
}

fn operator() -> Operator {
    Operator::new("ada", "mended").unwrap()
}

/// What is listed: ids, positions and how many wait.
async fn listed(store: &Arc<dyn EventStore>) -> Vec<(String, u64, u64)> {
    let found = ParkedAggregates::new(Arc::clone(store)).list(ONE, &journal()).await.unwrap();
    found.into_iter().map(|parked| (parked.cardinal, parked.position.get(), parked.waiting)).collect()
}

async fn places(store: &Arc<dyn EventStore>) -> Vec<(PartitionId, Listing)> {
    ParkedAggregates::new(Arc::clone(store)).places().await.unwrap()
}

fn place(epoch: u64, parked: u64) -> Vec<(PartitionId, Listing)> {
    vec![(ONE, Listing { projection: journal(), is_join: false, epoch, parked })]
}

async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let wait = async {
        while !is_so().await {
            sidestream::clock::sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    in_time(what, wait).await;
}

#[test]
fn what_is_parked_can_be_listed_by_any_process_and_follows_what_is_done_about_it() {
    run(async {
        let store: Arc<dyn EventStore> = Arc::new(memory(1));
        assert_eq!(places(&store).await, []);
        for (name, minor) in [("a", 666), ("b", 1), ("c", 666), ("a", 2)] {
            pay(&*store, name, &[minor]).await;
        }
        let (rules, view) = (Journal::with(&[(666, Trouble::Fails)]), MemoryView::<Vec<Entry>>::new());
        let mut running = start(Arc::clone(&store), rules.clone(), &view, 3, hurried());
        running.until_caught_up_at(4).await;
        let both = vec![("a".to_owned(), 1, 2), ("c".to_owned(), 3, 1)];
        until("both", async || listed(&store).await == both).await;
        assert_eq!(places(&store).await, place(3, 2));
        let found = ParkedAggregates::new(Arc::clone(&store)).list(ONE, &journal()).await.unwrap();
        assert_eq!(found, running.status.borrow().parked.values().cloned().collect::<Vec<_>>());
        // More of it comes, and one is mended.
        pay(&*store, "c", &[3]).await;
        until("one more", async || listed(&store).await[1].2 == 2).await;
        rules.mend();
        let requests = RequestRows::new(Arc::clone(&store), journal());
        requests.ask(&id("c"), Position::new(3), Action::Retried, operator()).await.unwrap();
        let answer = in_time("an answer", requests.answer(&id("c"))).await.unwrap();
        assert_eq!(answer, Answer::Done { applied: Some(2), parked: None });
        // Who heard that reads a list without it.
        assert_eq!(listed(&store).await, both[..1]);
        assert_eq!(places(&store).await, place(3, 1));
        running.stop().await.unwrap();
        // Where nobody runs, it is as it was; and nobody of a lower epoch writes over it.
        assert_eq!(listed(&store).await, both[..1]);
        let other = MemoryView::<Vec<Entry>>::new();
        let mut late = start(Arc::clone(&store), Journal::default(), &other, 2, hurried());
        late.until_caught_up_at(5).await;
        late.stop().await.unwrap();
        assert_eq!((places(&store).await, listed(&store).await), (place(3, 1), both[..1].to_vec()));
    });
}

#[test]
fn a_list_is_bounded_and_says_how_many_more_there_are() {
    run(async {
        let store: Arc<dyn EventStore> = Arc::new(memory(1));
        let all = limits::LISTED_PARKED + 44;
        for number in 0..all {
            pay(&*store, &format!("{number:03}"), &[666]).await;
        }
        let (rules, view) = (Journal::with(&[(666, Trouble::Fails)]), MemoryView::<Vec<Entry>>::new());
        let settings = Settings { attempts: 1, parked: all, ..hurried() };
        let running = start(Arc::clone(&store), rules, &view, 1, settings);
        let parked = u64::try_from(all).unwrap();
        until("all", async || places(&store).await == place(1, parked)).await;
        let listed: Vec<_> = listed(&store).await.into_iter().map(|(cardinal, ..)| cardinal).collect();
        let first: Vec<_> = (0..limits::LISTED_PARKED).map(|number| format!("{number:03}")).collect();
        assert_eq!(listed, first);
        // One gives way to the next.
        let requests = RequestRows::new(Arc::clone(&store), journal());
        requests.ask(&id("000"), Position::new(1), Action::Skipped, operator()).await.unwrap();
        in_time("an answer", requests.answer(&id("000"))).await.unwrap();
        let next = format!("{:03}", limits::LISTED_PARKED);
        assert_eq!(self::listed(&store).await.last().unwrap().0, next);
        running.stop().await.unwrap();
    });
}

#[test]
fn a_full_partition_still_hears_requests_from_elsewhere() {
    run(async {
        let store: Arc<dyn EventStore> = Arc::new(memory(1));
        for (name, minor) in [("a", 666), ("b", 666), ("c", 1)] {
            pay(&*store, name, &[minor]).await;
        }
        let (rules, view) = (Journal::with(&[(666, Trouble::Fails)]), MemoryView::<Vec<Entry>>::new());
        let settings = Settings { parked: 1, ..hurried() };
        let mut running = start(Arc::clone(&store), rules, &view, 1, settings);
        running.until("full", |status| matches!(status.state, State::Full { .. })).await;
        until("a", async || listed(&store).await.len() == 1).await;
        let requests = RequestRows::new(Arc::clone(&store), journal());
        requests.ask(&id("a"), Position::new(1), Action::Skipped, operator()).await.unwrap();
        running.until_caught_up_at(3).await;
        until("b", async || listed(&store).await == [("b".to_owned(), 2, 1)]).await;
        running.stop().await.unwrap();
    });
}

#[test]
fn what_a_join_parked_in_any_partition_is_listed_and_mended_from_elsewhere() {
    run(async {
        let store: Arc<dyn EventStore> = Arc::new(memory(4));
        let of = |name: &String| store.properties().partitions.of(name).get() == 3;
        let name = (0..99).map(|number| number.to_string()).find(of).unwrap();
        pay(&*store, &name, &[1, 666, 2]).await;
        let ledger = Ledger(Journal::with(&[(666, Trouble::Fails)]), Arc::default());
        let view = MemoryView::<Vec<Seen>>::new();
        let settings = Settings { join_lag_ms: 0, ..hurried() };
        let mut running = start(Arc::clone(&store), ledger.clone(), &view, 1, settings);
        running.until("parked", |status| status.parked.values().any(|parked| parked.waiting == 2)).await;
        until("listed", async || places(&store).await.iter().any(|(_, found)| found.parked == 1)).await;
        let (partition, listing) = places(&store).await.remove(0);
        assert_eq!((partition, listing.is_join), (ONE, true));
        let list = ParkedAggregates::new(Arc::clone(&store));
        let parked = list.list(partition, &listing.projection).await.unwrap().remove(0);
        assert_eq!(parked.cardinal, name);
        ledger.0.mend();
        let requests = RequestRows::new(Arc::clone(&store), listing.projection);
        requests.ask(&id(&name), parked.position, Action::Retried, operator()).await.unwrap();
        let answer = in_time("an answer", requests.answer(&id(&name))).await.unwrap();
        assert_eq!(answer, Answer::Done { applied: Some(2), parked: None });
        running.stop().await.unwrap();
    });
}

const FAULTS: [Fault; 6] = [
    Fault::Unavailable,
    Fault::Unknown(Done::Nothing),
    Fault::Unknown(Done::All),
    Fault::Late(2),
    Fault::Crash(Done::Nothing),
    Fault::Crash(Done::All),
];

/// Parks and skips, and dies or loses its store at one call; in the end the list is what is parked.
async fn lives(at: u64, fault: Fault) -> u64 {
    let store: Arc<dyn EventStore> = Arc::new(memory(1));
    for (name, minor) in [("a", 666), ("b", 1), ("c", 666), ("a", 2), ("d", 667)] {
        pay(&*store, name, &[minor]).await;
    }
    let rules = Journal::with(&[(666, Trouble::Fails), (667, Trouble::Fails)]);
    let view = MemoryView::<Vec<Entry>>::new();
    let requests = RequestRows::new(Arc::clone(&store), journal());
    requests.ask(&id("a"), Position::new(1), Action::Skipped, operator()).await.unwrap();
    let mut process = FaultyStore::new(Arc::clone(&store), Script::new().call(at, fault));
    for _ in 0..40 {
        let log: Arc<dyn EventStore> = Arc::new(process.clone());
        let (runner, stop, _requests) = runner(log, ONE, rules.clone(), &view, 1);
        let mut runner = runner.settings(Settings { attempts: 2, batch_records: 1, ..hurried() });
        let mut status = runner.status();
        let work = async {
            let end = async {
                let head = Some(Position::new(5));
                drop(status.wait_for(|status| status.checkpoint == head).await);
                requests.answer(&id("a")).await.unwrap();
                let list = ParkedAggregates::new(Arc::clone(&store));
                let parked = || status.borrow().parked.values().cloned().collect::<Vec<_>>();
                until("the list", async || list.list(ONE, &journal()).await.unwrap() == parked()).await;
                stop.send_replace(true);
            };
            tokio::join!(runner.run(), end).0.expect("told to stop");
        };
        if in_time("the end of a life", process.until_crash(work)).await.is_some() {
            let parked = status.borrow().parked.values().cloned().collect::<Vec<_>>();
            let list = ParkedAggregates::new(Arc::clone(&store));
            assert_eq!(list.list(ONE, &journal()).await.unwrap(), parked, "{fault:?} at {at}");
            let count = u64::try_from(parked.len()).unwrap();
            assert_eq!(places(&store).await, place(1, count), "{fault:?} at {at}");
            return process.calls();
        }
        process = process.restart();
    }
    panic!("it never gets there");
}

#[test]
fn a_crash_or_failure_at_any_call_leaves_the_list_as_the_view_has_it() {
    run(async {
        let (mut calls, mut at) = (1, 0);
        // Later calls only look again.
        while at < calls.min(40) {
            at += 1;
            for fault in FAULTS {
                calls = calls.max(lives(at, fault).await);
            }
        }
        assert!(calls > 12, "{calls}");
    });
}
