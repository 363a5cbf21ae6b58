//! The same id, many times: with the same content and with another.

use std::sync::Arc;

use proptest::prelude::*;
use sidestream::store::EventStore;
use sidestream::testkit::faults::{Fault, FaultyStore, Script};
use sidestream::testkit::{effort, parallel, run};
use sidestream::{CommandHandler, ErrorKind, Outcome};

use crate::rules::{Account, Command, Funds};
use crate::support::{BOTH, account, funds, store, tx};

proptest! {
    #![proptest_config(effort::proptest_config(100, "proptest-regressions/copies.txt"))]

    /// 2 to 64 concurrent copies of one id, over several handlers as several processes: one effect, and all
    /// hear the same.
    #[test]
    fn concurrent_copies_of_one_id_take_effect_once(
        copies in 2_usize..=64,
        processes in 1_usize..=4,
        batch in any::<bool>(),
        enough in any::<bool>(),
    ) {
        let store = store(BOTH[usize::from(batch)]);
        let heard = sidestream::testkit::run(async {
            let id = account("7");
            let opening = if enough { 100 } else { 10 };
            let first = CommandHandler::new(store.clone(), Account);
            first.handle(&id, tx("open"), Command::Deposit { minor: opening }).await.expect("handled");
            let handlers: Vec<_> = (0..processes).map(|_| CommandHandler::new(store.clone(), Account)).collect();
            let calls = (0..copies).map(|copy| {
                let (accounts, id) = (handlers[copy % processes].clone(), id.clone());
                async move {
                    loop {
                        match accounts.handle(&id, tx("h"), Command::Hold { minor: 50 }).await {
                            Err(error) if error.kind().retry_may_help() => {}
                            other => return other.expect("answered"),
                        }
                    }
                }
            });
            let heard = parallel(calls).await;
            let expected = if enough { Funds { available: 50, held: 50 } } else { Funds { available: 10, held: 0 } };
            assert_eq!(funds(&first, &id).await, Some(expected));
            heard
        });
        prop_assert!(heard.iter().all(|outcome| *outcome == heard[0]), "{heard:?}");
        prop_assert_eq!(heard[0].is_accepted(), enough);
        let fresh = |outcome: &&Outcome<_>| matches!(outcome, Outcome::Accepted(receipt) if !receipt.replay);
        prop_assert!(heard.iter().filter(fresh).count() <= 1, "{:?}", heard);
    }

    /// The same id with another content hears of the conflict, settled or still open, and changes nothing.
    #[test]
    fn another_content_under_a_known_id_is_a_conflict(
        minor in 1_i64..1_000,
        other in 1_i64..1_000,
        open in any::<bool>(),
        batch in any::<bool>(),
    ) {
        prop_assume!(minor != other);
        let atomicity = BOTH[usize::from(batch)];
        run(async {
            let store = store(atomicity);
            let (accounts, id) = (CommandHandler::new(store.clone(), Account), account("7"));
            accounts.handle(&id, tx("open"), Command::Deposit { minor: 1_000 }).await.expect("handled");
            if open {
                crate::support::leave_open(store.clone(), &id, tx("h"), Command::Hold { minor }).await;
            } else {
                accounts.handle(&id, tx("h"), Command::Hold { minor }).await.expect("handled");
            }
            let before = records(&store).await;
            for _ in 0..2 {
                let error = accounts.handle(&id, tx("h"), Command::Hold { minor: other }).await.expect_err("conflict");
                assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
                let error = accounts.submit(&id, tx("h"), Command::Hold { minor: other }, None).await.expect_err("conflict");
                assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
            }
            assert_eq!(records(&store).await, before, "a conflict wrote something");
            let original = accounts.handle(&id, tx("h"), Command::Hold { minor }).await.expect("handled");
            assert!(original.is_accepted());
            assert_eq!(funds(&accounts, &id).await, Some(Funds { available: 1_000 - minor, held: minor }));
        });
    }
}

async fn records(store: &impl EventStore) -> u64 {
    let mut records = 0;
    for partition in store.properties().partitions.all() {
        let page = store.read_log(partition, sidestream::stream::Position::START, 1).await.expect("readable");
        records += page.head.get();
    }
    records
}

/// The same transaction id on another aggregate is another transaction.
#[test]
fn an_id_is_scoped_to_its_aggregate() {
    run(async {
        let accounts = CommandHandler::new(store(BOTH[0]), Account);
        for (name, minor) in [("a", 1), ("b", 2)] {
            let id = account(name);
            accounts.handle(&id, tx("d"), Command::Deposit { minor }).await.expect("handled");
            assert_eq!(funds(&accounts, &id).await, Some(Funds { available: minor, held: 0 }));
        }
    });
}

/// A query brings the state in memory past what another process did for a step that this one has requested
/// and not yet decided: the decision must still look at what lies between.
#[test]
fn a_query_between_request_and_decision_hides_nothing() {
    run(async {
        for atomicity in BOTH {
            for asleep_at in 1..=8 {
                let (store, id) = (store(atomicity), account("7"));
                // A short wait at every call lets the next query come in before the next round begins.
                let delay = |call| Fault::Delay(if call == asleep_at { 2_000 } else { 5 });
                let script = (1..=12).fold(Script::new(), |script, call| script.call(call, delay(call)));
                let network = FaultyStore::new(Arc::new(store.clone()), script);
                let (sleeper, others) =
                    (CommandHandler::new(network.clone(), Account), CommandHandler::new(store, Account));
                let (asked, looked) = (sleeper.clone(), id.clone());
                let asleep = tokio::spawn(async move {
                    asked.handle(&looked, tx("d"), Command::Deposit { minor: 5 }).await
                });
                let looked = id.clone();
                let looks = tokio::spawn(async move {
                    for _ in 0..6 {
                        sleeper.query(&looked, |_, version| version).await.expect("readable");
                    }
                });
                for _ in 0..1_000 {
                    if network.calls() >= asleep_at {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
                let done = others.handle(&id, tx("d"), Command::Deposit { minor: 5 }).await.expect("handled");
                assert_eq!(asleep.await.expect("no panic").expect("answered"), done);
                looks.await.expect("no panic");
                let now = funds(&others, &id).await;
                assert_eq!(
                    now,
                    Some(Funds { available: 5, held: 0 }),
                    "{atomicity:?}, asleep at {asleep_at}"
                );
            }
        }
    });
}
