//! States in memory that other processes have overtaken: a lane that meets them often brings them up to date first.

use std::sync::Arc;

use sidestream::store::EventStore;
use sidestream::stream::Version;
use sidestream::testkit::faults::{FaultyStore, Script};
use sidestream::testkit::run;
use sidestream::{CommandHandler, Decider};

use crate::rules::Account;
use crate::support::{BOTH, account, deposit, funds, snapshotting, store};

#[test]
fn processes_that_take_turns_do_not_lose_each_time() {
    for atomicity in BOTH {
        run(async {
            let (store, id) = (store(atomicity), account("7"));
            let [one, other] = [store.clone(), store].map(|store| CommandHandler::new(store, Account));
            for turn in 0..50 {
                deposit(&one, &id, 2 * turn, 2 * turn + 1).await;
                deposit(&other, &id, 2 * turn + 1, 2 * turn + 2).await;
            }
            assert_eq!(funds(&one, &id).await.expect("opened").available, 100);
            let lost = one.stats().restarts + other.stats().restarts;
            // Each believes that it was by chance, once or twice.
            assert!((1..=4).contains(&lost), "lost {lost} times, {atomicity:?}");
        });
    }
}

#[test]
fn a_process_by_itself_never_reads_what_it_has_in_memory() {
    run(async {
        let id = account("7");
        let counting =
            FaultyStore::new(Arc::new(store(sidestream::protocol::Atomicity::Batch)), Script::new());
        let accounts = CommandHandler::new(counting.clone(), Account);
        deposit(&accounts, &id, 0, 1).await;
        counting.reset_reads();
        deposit(&accounts, &id, 1, 200).await;
        assert!(counting.reads().is_empty(), "{:?}", counting.reads());
    });
}

#[test]
fn a_state_whose_successors_are_gone_is_read_anew() {
    run(async {
        let (store, id) = (store(sidestream::protocol::Atomicity::Batch), account("7"));
        let [one, other] = [store.clone(), store.clone()].map(|store| snapshotting(store, 4));
        // From here on `one` looks before it decides.
        deposit(&one, &id, 0, 1).await;
        deposit(&other, &id, 1, 2).await;
        deposit(&one, &id, 2, 3).await;
        deposit(&other, &id, 3, 40).await;
        let stream = Account::CATEGORY.stream(&id);
        store.truncate(&stream, Version::new(30)).await.expect("truncated");
        deposit(&one, &id, 40, 41).await;
        assert_eq!(one.stats().restarts, 1);
        for accounts in [&one, &other] {
            assert_eq!(funds(accounts, &id).await.expect("opened").available, 41);
        }
    });
}
