//! handle, submit, outcome, query, recover: on both kinds of store.

use std::time::Duration;

use sidestream::partition::PartitionCount;
use sidestream::{CommandHandler, ErrorKind, Outcome, StepName};

use crate::rules::{Account, Command, Funds, Rejection};
use crate::support::{BOTH, account, funds, store, tx};

#[tokio::test]
async fn a_hold_captured_in_parts_and_released() {
    for atomicity in BOTH {
        let accounts = CommandHandler::new(store(atomicity), Account);
        let id = account("7");
        for (name, command) in [
            ("d", Command::Deposit { minor: 1_000 }),
            ("h", Command::Hold { minor: 600 }),
            ("h", Command::Capture { part: 1, minor: 200 }),
            ("h", Command::Capture { part: 2, minor: 100 }),
            ("h", Command::Release),
        ] {
            let outcome = accounts.handle(&id, tx(name), command).await.expect("handled");
            assert!(outcome.is_accepted(), "{atomicity:?} {outcome:?}");
        }
        assert_eq!(funds(&accounts, &id).await, Some(Funds { available: 700, held: 0 }));
    }
}

#[tokio::test]
async fn a_replay_hears_the_same_and_changes_nothing() {
    for atomicity in BOTH {
        let store = store(atomicity);
        let accounts = CommandHandler::new(store.clone(), Account);
        let id = account("7");
        let deposit = Command::Deposit { minor: 1_000 };
        let first = accounts.handle(&id, tx("d"), deposit.clone()).await.expect("handled");
        let refused = accounts.handle(&id, tx("h"), Command::Hold { minor: 5_000 }).await.expect("handled");
        assert_eq!(refused, Outcome::Rejected(Rejection::Insufficient { available: 1_000 }));
        accounts.handle(&id, tx("d2"), Command::Deposit { minor: 9_000 }).await.expect("handled");

        let restarted = CommandHandler::new(store, Account);
        let again = restarted.handle(&id, tx("d"), deposit).await.expect("handled");
        assert_eq!(again, first);
        assert!(matches!(again, Outcome::Accepted(receipt) if receipt.replay));
        // There is money enough by now, but a refusal is final.
        let again = restarted.handle(&id, tx("h"), Command::Hold { minor: 5_000 }).await.expect("handled");
        assert_eq!(again, refused);
        assert_eq!(funds(&restarted, &id).await, Some(Funds { available: 10_000, held: 0 }));
    }
}

#[tokio::test]
async fn another_content_is_a_conflict() {
    for atomicity in BOTH {
        let accounts = CommandHandler::new(store(atomicity), Account);
        let id = account("7");
        accounts.handle(&id, tx("d"), Command::Deposit { minor: 1_000 }).await.expect("handled");
        let error =
            accounts.handle(&id, tx("d"), Command::Deposit { minor: 1_001 }).await.expect_err("conflict");
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        assert_eq!(funds(&accounts, &id).await, Some(Funds { available: 1_000, held: 0 }));
    }
}

#[tokio::test]
async fn a_receipt_points_at_the_last_event() {
    for atomicity in BOTH {
        let store = store(atomicity);
        let accounts = CommandHandler::new(store.clone(), Account);
        let id = account("7");
        let outcome = accounts.handle(&id, tx("d"), Command::Deposit { minor: 5 }).await.expect("handled");
        let Outcome::Accepted(receipt) = outcome else { panic!("{outcome:?}") };
        let partition = PartitionCount::default().of("7");
        let before = receipt.position.minus(1);
        let page = sidestream::EventStore::read_log(&store, partition, before, 1).await.expect("readable");
        let record = page.records.first().expect("there");
        assert_eq!((record.version, record.position), (receipt.version, receipt.position));
        assert_eq!(record.data.event_type.as_str(), "Deposited");
        let again = accounts.handle(&id, tx("d"), Command::Deposit { minor: 5 }).await.expect("handled");
        assert_eq!(again, Outcome::Accepted(receipt));
    }
}

#[tokio::test]
async fn a_submitted_step_is_settled_later() {
    for atomicity in BOTH {
        let accounts = CommandHandler::new(store(atomicity), Account);
        let id = account("7");
        let step = StepName::new("deposit");
        assert_eq!(accounts.outcome(&id, tx("d"), &step).await.expect("readable"), None);
        accounts.submit(&id, tx("d"), Command::Deposit { minor: 5 }, None).await.expect("submitted");
        accounts.submit(&id, tx("d"), Command::Deposit { minor: 5 }, None).await.expect("submitted");
        // Through the same lane, so behind the settlement.
        let outcome = accounts.handle(&id, tx("d"), Command::Deposit { minor: 5 }).await.expect("handled");
        assert!(outcome.is_accepted());
        assert_eq!(accounts.outcome(&id, tx("d"), &step).await.expect("readable"), Some(outcome));
        assert_eq!(funds(&accounts, &id).await, Some(Funds { available: 5, held: 0 }));
        let recovery = accounts.recover(Duration::ZERO).await.expect("swept");
        assert_eq!((recovery.settled(), recovery.failed), (0, 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_copies_of_many_commands_take_effect_once() {
    for atomicity in BOTH {
        let store = store(atomicity);
        let handlers = [CommandHandler::new(store.clone(), Account), CommandHandler::new(store, Account)];
        let id = account("7");
        handlers[0].handle(&id, tx("open"), Command::Deposit { minor: 1 }).await.expect("handled");
        let mut waiting = Vec::new();
        for copy in 0..4 {
            for number in 0..50 {
                let (accounts, id) = (handlers[copy % 2].clone(), id.clone());
                waiting.push(tokio::spawn(async move {
                    loop {
                        let deposit = Command::Deposit { minor: 10 };
                        match accounts.handle(&id, tx(number), deposit).await {
                            Err(error) if error.kind().retry_may_help() => {}
                            other => return other,
                        }
                    }
                }));
            }
        }
        for answer in waiting {
            assert!(answer.await.expect("no panic").expect("handled").is_accepted());
        }
        assert_eq!(funds(&handlers[0], &id).await, Some(Funds { available: 501, held: 0 }));
    }
}

/// Handed over at once, commands of one aggregate are decided in the order given, though a transaction's second
/// command has to wait for its first.
#[tokio::test]
async fn commands_of_one_aggregate_keep_their_order() {
    for atomicity in BOTH {
        let accounts = CommandHandler::new(store(atomicity), Account);
        let id = account("7");
        let commands = [
            ("d", Command::Deposit { minor: 100 }),
            ("a", Command::Hold { minor: 60 }),
            ("a", Command::Release),
            ("b", Command::Hold { minor: 80 }),
            ("a", Command::Capture { part: 1, minor: 1 }),
            ("b", Command::Capture { part: 1, minor: 80 }),
            ("c", Command::Hold { minor: 21 }),
            ("c", Command::Release),
            ("e", Command::Hold { minor: 20 }),
        ];
        let commands = commands.map(|(name, command)| (id.clone(), tx(name), command));
        let answers = accounts.handle_many(commands).await;
        let accepted: Vec<_> =
            answers.into_iter().map(|answer| answer.expect("handled").is_accepted()).collect();
        assert_eq!(accepted, [true, true, true, true, false, true, false, false, true], "{atomicity:?}");
        assert_eq!(funds(&accounts, &id).await, Some(Funds { available: 0, held: 20 }));
    }
}
