//! Many processes and one account.

use std::collections::BTreeSet;
use std::sync::Arc;

use sidestream::partition::PartitionCount;
use sidestream::store::postgres::PostgresStore;
use sidestream::testkit::effort;
use sidestream::{CommandHandler, EventStore, Outcome};

use crate::database::Database;
use crate::rules::{Account, Command};
use crate::support::*;

const PROCESSES: u32 = 4;
const IN_FLIGHT: u32 = 16;

async fn process(url: &str) -> CommandHandler<Account> {
    let store = PostgresStore::builder(url).migrate(true).writers(2).readers(2).open().await.expect("opened");
    CommandHandler::new(store, Account)
}

/// Each has a store, a cache and connections of its own, as a process has.
#[test]
fn an_account_that_four_processes_write_to_makes_progress_in_each() {
    let database = Database::new();
    if database.server().is_none() {
        return;
    }
    let each = effort::cases(200);
    on_threads(async {
        let mut sending = Vec::new();
        for number in 0..PROCESSES {
            let accounts = Arc::new(process(&database.url()).await);
            for client in 0..IN_FLIGHT {
                let accounts = Arc::clone(&accounts);
                sending.push(tokio::spawn(async move {
                    for command in 0..each.div_ceil(IN_FLIGHT) {
                        let id = tx(format!("{number} {client} {command}"));
                        let outcome =
                            accounts.handle(&account("hot"), id, Command::Deposit { minor: 1 }).await;
                        assert!(outcome.expect("nobody gives up").is_accepted());
                    }
                }));
            }
        }
        for sending in sending {
            sending.await.expect("no panic");
        }
        let sent = PROCESSES * IN_FLIGHT * each.div_ceil(IN_FLIGHT);
        let accounts = process(&database.url()).await;
        let funds =
            accounts.query(&account("hot"), |state, _| *state).await.expect("readable").expect("opened");
        assert_eq!(funds.available, i64::from(sent));
    });
}

/// Calls wait for no partition for long, and whoever waits for one is in nobody's way: here are more locked partitions
/// than connections that may wait for them.
#[test]
fn partitions_that_somebody_keeps_locked_hold_no_other_up() {
    let database = Database::new();
    if database.server().is_none() {
        return;
    }
    on_threads(async {
        let other = PostgresStore::builder(database.url()).migrate(true).open().await.expect("opened");
        let accounts = Arc::new(process(&database.url()).await);
        let partition_of = |number: u32| PartitionCount::default().of(&number.to_string());
        let locked: BTreeSet<_> = (0..3).map(partition_of).collect();
        let mut held = Vec::new();
        for partition in &locked {
            held.push(other.hold(*partition).await.expect("locked").expect("PostgreSQL can"));
        }
        let (mut waiting, mut going_on) = (Vec::new(), Vec::new());
        for number in 0..64_u32 {
            let accounts = Arc::clone(&accounts);
            let sending = tokio::spawn(async move {
                let deposit = Command::Deposit { minor: 1 };
                accounts.handle(&account(&number.to_string()), tx(number), deposit).await
            });
            let is_locked = locked.contains(&partition_of(number));
            if is_locked { waiting.push(sending) } else { going_on.push(sending) }
        }
        assert!(going_on.len() > waiting.len());
        for sending in going_on {
            assert!(sending.await.expect("no panic").expect("nobody is in the way").is_accepted());
        }
        assert!(waiting.iter().all(|sending| !sending.is_finished()), "they are still locked");
        drop(held);
        for sending in waiting {
            assert!(sending.await.expect("no panic").expect("free again").is_accepted());
        }
    });
}

/// The same command, sent to all of them at once, happens once, and all hear the same.
#[test]
fn copies_sent_to_several_processes_happen_once() {
    let database = Database::new();
    if database.server().is_none() {
        return;
    }
    on_threads(async {
        let processes =
            [process(&database.url()).await, process(&database.url()).await, process(&database.url()).await];
        for number in 0..effort::cases(30) {
            let send = |accounts: &CommandHandler<Account>| {
                let accounts = accounts.clone();
                tokio::spawn(async move {
                    accounts
                        .handle(&account("7"), tx(number), Command::Deposit { minor: 1 })
                        .await
                        .expect("handled")
                })
            };
            let sent: Vec<_> = processes.iter().cycle().take(12).map(send).collect();
            let mut heard: Vec<Outcome<_>> = Vec::new();
            for sent in sent {
                heard.push(sent.await.expect("no panic"));
            }
            assert!(heard.iter().all(|outcome| *outcome == heard[0]), "{heard:?}");
            let fresh =
                |outcome: &&Outcome<_>| matches!(outcome, Outcome::Accepted(receipt) if !receipt.replay);
            assert!(heard.iter().filter(fresh).count() <= 1, "{heard:?}");
        }
        let funds =
            processes[0].query(&account("7"), |state, _| *state).await.expect("readable").expect("opened");
        assert_eq!(funds.available, i64::from(effort::cases(30)));
    });
}

/// Processes that share all accounts of a partition find nearly every state in their caches overtaken. What lost is
/// decided again, and no round waits for another one of its own process.
#[test]
fn processes_that_share_a_partitions_accounts_do_not_wait_for_themselves() {
    let database = Database::new();
    if database.server().is_none() {
        return;
    }
    let each = effort::cases(120);
    on_threads(async {
        let one_partition = PartitionCount::new(1).expect("a count");
        let builder = PostgresStore::builder(database.url()).migrate(true).partitions(one_partition);
        drop(builder.open().await.expect("opened"));
        let mut sending = Vec::new();
        for number in 0..PROCESSES {
            let accounts = Arc::new(process(&database.url()).await);
            for client in 0..IN_FLIGHT {
                let accounts = Arc::clone(&accounts);
                sending.push(tokio::spawn(async move {
                    for command in 0..each.div_ceil(IN_FLIGHT) {
                        let to = account(&format!("{}", (client * 7 + command * 5 + number) % 23));
                        let id = tx(format!("{number} {client} {command}"));
                        let outcome = accounts.handle(&to, id, Command::Deposit { minor: 1 }).await;
                        assert!(outcome.expect("nobody waits in vain").is_accepted());
                    }
                }));
            }
        }
        for sending in sending {
            sending.await.expect("no panic");
        }
        let accounts = process(&database.url()).await;
        let mut total = 0;
        for number in 0..23 {
            let funds = accounts.query(&account(&number.to_string()), |state, _| *state).await;
            total += funds.expect("readable").map_or(0, |funds| funds.available);
        }
        assert_eq!(total, i64::from(PROCESSES * IN_FLIGHT * each.div_ceil(IN_FLIGHT)));
    });
}
