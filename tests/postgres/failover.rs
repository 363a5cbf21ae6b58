//! Quorums: nothing acknowledged is lost when the primary is, and nothing is acknowledged that a failover could take
//! away.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sidestream::store::postgres::PostgresStore;
use sidestream::testkit::effort;
use sidestream::testkit::postgres::{Binaries, Quorum};
use sidestream::{CommandHandler, ErrorKind, Outcome, TransactionId};

use crate::rules::{Account, Command, Rejection};
use crate::support::*;

const CLIENTS: u32 = 8;
const DEPOSIT: Command = Command::Deposit { minor: 1 };

async fn process(url: &str) -> CommandHandler<Account> {
    let store = PostgresStore::builder(url).migrate(true).require_quorum(true).open().await.expect("opened");
    CommandHandler::new(store, Account)
}

/// What clients were told, by transaction.
type Told = Arc<Mutex<BTreeMap<TransactionId, Outcome<Rejection>>>>;

/// Sends commands until told to stop; each until it is answered.
async fn client(number: u32, accounts: CommandHandler<Account>, told: Told, stop: Arc<AtomicBool>) {
    for command in 0_u32.. {
        let id = tx(format!("{number} {command}"));
        let outcome = loop {
            match accounts.handle(&account(&format!("{}", number % 3)), id, DEPOSIT).await {
                Ok(outcome) => break outcome,
                Err(error) => assert!(error.kind().retry_may_help(), "{error}"),
            }
        };
        assert!(outcome.is_accepted());
        told.lock().unwrap().insert(id, outcome);
        if stop.load(Ordering::Relaxed) {
            return;
        }
    }
}

/// Runs failovers under load. Whoever was told something is told the same by a new process afterwards.
fn failovers(cycles: u32) {
    let Some(binaries) = Binaries::found_or_skipped() else { return };
    let quorum = Arc::new(Quorum::start(&binaries, 2));
    let url = quorum.fresh_database();
    on_threads(async move {
        let (told, stop): (Told, _) = (Told::default(), Arc::new(AtomicBool::new(false)));
        let accounts = process(&url).await;
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                tokio::spawn(client(number, accounts.clone(), Arc::clone(&told), Arc::clone(&stop)))
            })
            .collect();
        for cycle in 0..cycles {
            let before = told.lock().unwrap().len();
            wait(|| told.lock().unwrap().len() > before + 20).await;
            let quorum = Arc::clone(&quorum);
            let failing = tokio::task::spawn_blocking(move || {
                if cycle % 2 == 0 {
                    quorum.primary().kill();
                }
                quorum.fail_over();
                quorum.rejoin();
            });
            failing.await.expect("failed over");
        }
        let before = told.lock().unwrap().len();
        wait(|| told.lock().unwrap().len() > before + 20).await;
        stop.store(true, Ordering::Relaxed);
        for client in clients {
            client.await.expect("no client failed");
        }
        let told = told.lock().unwrap().clone();
        audit(&process(&url).await, &told).await;
    });
}

async fn audit(accounts: &CommandHandler<Account>, told: &BTreeMap<TransactionId, Outcome<Rejection>>) {
    let mut found = 0;
    for number in 0..3 {
        let id = account(&format!("{number}"));
        let funds = accounts.query(&id, |state, _| *state).await.expect("readable");
        found += funds.map_or(0, |funds| funds.available);
    }
    assert_eq!(found, i64::try_from(told.len()).expect("fits"), "each command once");
    for number in 0..CLIENTS {
        for command in 0_u32.. {
            let id = tx(format!("{number} {command}"));
            let Some(heard) = told.get(&id) else { break };
            let again =
                accounts.handle(&account(&format!("{}", number % 3)), id, DEPOSIT).await.expect("known");
            assert_eq!(*heard, again);
            assert!(matches!(&again, Outcome::Accepted(receipt) if receipt.replay), "{again:?} was lost");
        }
    }
}

async fn wait(is_so: impl Fn() -> bool) {
    for _ in 0..3_000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("waited in vain");
}

#[test]
fn what_was_acknowledged_survives_failovers_under_load() {
    failovers(effort::cases(3));
}

#[test]
#[ignore = "takes minutes; the shorter run above is the same test"]
fn twenty_failovers_under_load() {
    failovers(20);
}

const CANCEL: &str =
    "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";

/// A wait for the quorum that somebody ends leaves the rows in sight, and the server says no more than a warning.
fn cancels(times: u32) {
    let Some(binaries) = Binaries::found_or_skipped() else { return };
    let quorum = Arc::new(Quorum::start(&binaries, 1));
    let url = quorum.fresh_database();
    on_threads(async move {
        let (accounts, other) = (process(&url).await, process(&url).await);
        accounts.handle(&account("7"), tx("first"), DEPOSIT).await.expect("handled");
        quorum.pause_standbys();
        let sending = tokio::spawn(async move { accounts.handle(&account("7"), tx("waits"), DEPOSIT).await });
        let mut cancelled = 0;
        while cancelled < times && !sending.is_finished() {
            let told = quorum.primary().psql("postgres", CANCEL);
            cancelled += told.parse::<u32>().expect("a number");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if sending.is_finished() {
            let error = sending.await.expect("no panic").expect_err("nothing was on the quorum");
            assert_eq!(error.kind(), ErrorKind::Unknown, "{error}");
        } else {
            assert!(cancelled >= times, "{cancelled}");
        }
        // Another process sees the rows, and must not answer from them either.
        let looking = tokio::spawn(async move { other.handle(&account("7"), tx("waits"), DEPOSIT).await });
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(!looking.is_finished(), "it was answered from rows that a failover takes away");
        quorum.resume_standbys();
        let outcome = looking.await.expect("no panic").expect("the quorum is back");
        assert!(outcome.is_accepted(), "{outcome:?}");
        let last = process(&url).await;
        let funds = last.query(&account("7"), |state, _| *state).await.expect("readable").expect("opened");
        assert_eq!(funds.available, 2);
    });
}

#[test]
fn a_wait_for_the_quorum_that_is_cancelled_is_never_acknowledged() {
    cancels(effort::cases(5));
}

#[test]
#[ignore = "the shorter run above is the same test"]
fn twenty_cancelled_waits_are_never_acknowledged() {
    cancels(20);
}

/// A server that stops waiting for standbys while the service runs acknowledges nothing to it.
#[test]
fn a_quorum_that_is_switched_off_is_noticed_at_once() {
    let Some(binaries) = Binaries::found_or_skipped() else { return };
    let quorum = Quorum::start(&binaries, 1);
    let url = quorum.fresh_database();
    on_threads(async {
        let accounts = process(&url).await;
        accounts.handle(&account("7"), tx("first"), DEPOSIT).await.expect("handled");
        quorum.primary().set("synchronous_standby_names", "");
        let mut error = None;
        for number in 0..200 {
            match accounts.handle(&account("7"), tx(number), DEPOSIT).await {
                Ok(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                Err(found) => {
                    error = Some(found);
                    break;
                }
            }
        }
        let error = error.expect("it was noticed");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains("synchronous_standby_names"), "{error}");
        let refused = PostgresStore::builder(&url).require_quorum(true).open().await.expect_err("refused");
        assert!(refused.to_string().contains("synchronous_standby_names"), "{refused}");
    });
}
