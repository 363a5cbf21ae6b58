//! Commands on a store that is made of others: partitions on several stores, side streams in a store apart.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use sidestream::clock::Clock;
use sidestream::partition::{PartitionCount, PartitionId};
use sidestream::protocol::Atomicity;
use sidestream::store::EventStore;
use sidestream::store::memory::MemoryStore;
use sidestream::store::placed::PlacedStore;
use sidestream::store::split::SplitStore;
use sidestream::store::sqlite::SqliteStore;
use sidestream::testkit::crash::{CrashEverywhere, Joined, Schedule, Sent};
use sidestream::testkit::faults::{Fault, FaultyStore, Script};
use sidestream::testkit::{controls, effort, run};
use sidestream::{CommandHandler, ErrorKind, Outcome};

use crate::crash::{kit, sent};
use crate::rules::{Account, Command};
use crate::support::{account, deposit, funds, leave_open, snapshotting, tx};

/// How two stores are made one.
#[derive(Debug, Clone, Copy)]
enum How {
    Placed,
    Split,
}

async fn open(
    how: How,
    first: impl EventStore,
    second: impl EventStore,
) -> sidestream::Result<Arc<dyn EventStore>> {
    Ok(match how {
        How::Placed => {
            let [zero, one] = [0, 1].map(PartitionId::new);
            let builder = PlacedStore::builder().place([zero], first).place([one], second);
            Arc::new(builder.open().await?)
        }
        How::Split => Arc::new(SplitStore::open(first, second).await?),
    })
}

fn two_partitions() -> PartitionCount {
    PartitionCount::new(2).expect("within bounds")
}

/// The two stores fail each by itself, the process between them dies, and dies again.
fn joined(how: How, members: [Arc<dyn EventStore>; 2]) -> Joined {
    let members = members.map(|member| FaultyStore::new(member, Script::new()));
    let [first, second] = members.clone();
    let store = run(open(how, first, second)).expect("opened");
    Joined { store, members: members.to_vec() }
}

fn in_memory(how: How) -> CrashEverywhere<Account> {
    kit().on_joined(move |atomicity, clock| {
        let member = |_| -> Arc<dyn EventStore> {
            Arc::new(MemoryStore::with(two_partitions(), atomicity, Arc::clone(&clock)))
        };
        joined(how, [0, 1].map(member))
    })
}

fn file(folder: &Path, name: &str, clock: Option<Arc<dyn Clock>>) -> SqliteStore {
    let options = SqliteStore::builder(folder.join(name)).partitions(two_partitions()).flush_after(2);
    let options = match clock {
        Some(clock) => options.clock(clock),
        None => options,
    };
    options.open().expect("a store")
}

/// Stores on disk, in folders that are kept for as long as the kit.
fn on_disk(how: How) -> CrashEverywhere<Account> {
    let folders = Mutex::new(Vec::new());
    kit().on_joined(move |_, clock| {
        let folder = tempfile::tempdir().expect("a folder");
        let member =
            |name| -> Arc<dyn EventStore> { Arc::new(file(folder.path(), name, Some(Arc::clone(&clock)))) };
        let joined = joined(how, ["first.db", "second.db"].map(member));
        folders.lock().expect("no panic").push(folder);
        joined
    })
}

proptest! {
    #![proptest_config(effort::proptest_config(600, "proptest-regressions/crash_several.txt"))]

    #[test]
    fn everything_happens_once_on_placed_stores(
        sends in prop::collection::vec(sent(), 1..12),
        schedule in Schedule::any(),
    ) {
        in_memory(How::Placed).run(&sends, &schedule)?;
    }

    #[test]
    fn everything_happens_once_on_a_split_store(
        sends in prop::collection::vec(sent(), 1..12),
        schedule in Schedule::any(),
    ) {
        in_memory(How::Split).run(&sends, &schedule)?;
    }
}

proptest! {
    #![proptest_config(effort::proptest_config(40, "proptest-regressions/crash_several_sqlite.txt"))]

    #[test]
    fn everything_happens_once_on_files_placed_and_split(
        sends in prop::collection::vec(sent(), 1..12),
        schedule in Schedule::any(),
        split in any::<bool>(),
    ) {
        let schedule = Schedule { atomicity: Atomicity::Batch, ..schedule };
        on_disk(if split { How::Split } else { How::Placed }).run(&sends, &schedule)?;
    }
}

#[test]
fn every_single_crash_on_a_split_store_and_every_second_one_after_it() {
    let sends = [Command::Deposit { minor: 50 }, Command::Hold { minor: 40 }];
    let sends = sends.map(|command| Sent {
        aggregate: controls::aggregate_id(),
        transaction: controls::transaction_id(),
        command,
    });
    let runs = in_memory(How::Split).everywhere(&sends).expect("no promise is broken");
    assert!(runs > 1_000, "only {runs} runs");
}

/// Answers to the same ids, after all is closed and opened again.
#[test]
fn replays_after_opening_again_hear_the_same() {
    for how in [How::Placed, How::Split] {
        let folder = tempfile::tempdir().expect("a folder");
        let answers = async || {
            let [first, second] = ["first.db", "second.db"].map(|name| file(folder.path(), name, None));
            let store = open(how, first.clone(), second.clone()).await.expect("opened");
            let accounts = snapshotting(store, 3);
            let mut heard = Vec::new();
            for number in 0..20 {
                let id = account(&format!("{}", number % 3));
                let command = match number % 2 {
                    0 => Command::Deposit { minor: 10 },
                    _ => Command::Hold { minor: 30 },
                };
                heard.push(accounts.handle(&id, tx(number), command).await.expect("handled"));
            }
            assert_eq!(accounts.recover(Duration::ZERO).await.expect("swept").settled(), 0);
            let state = funds(&accounts, &account("1")).await;
            drop(accounts);
            first.close().await.expect("closed");
            second.close().await.expect("closed");
            (heard, state)
        };
        run(async {
            let first = answers().await;
            assert!(first.0.iter().any(Outcome::is_accepted) && !first.0.iter().all(Outcome::is_accepted));
            assert_eq!(answers().await, first, "{how:?}");
        });
    }
}

/// The other partitions' accounts never notice.
#[test]
fn a_database_that_is_down_fails_its_own_accounts_only() {
    run(async {
        let down = FaultyStore::new(Arc::new(memory()), Script::new());
        let accounts =
            CommandHandler::new(open(How::Placed, memory(), down.clone()).await.expect("opened"), Account);
        let home = |partition: u16| {
            let mut ids = (0..).map(|number| account(&format!("{number}")));
            ids.find(|id| two_partitions().of(id.cardinal()).get() == partition).expect("endless")
        };
        let (up, away) = (home(0), home(1));
        down.set_script((1..100).fold(Script::new(), |script, call| script.call(call, Fault::Unavailable)));
        let both = [
            (up.clone(), tx("a"), Command::Deposit { minor: 1 }),
            (away.clone(), tx("a"), Command::Deposit { minor: 1 }),
        ];
        let heard = accounts.handle_many(both).await;
        assert!(heard[0].as_ref().is_ok_and(Outcome::is_accepted), "{heard:?}");
        assert_eq!(heard[1].as_ref().expect_err("down").kind(), ErrorKind::Unavailable);
        down.set_script(Script::new());
        let again = accounts.handle(&away, tx("a"), Command::Deposit { minor: 1 }).await.expect("back again");
        assert!(again.is_accepted());
    });
}

/// A sweep goes on to the partitions that can be read, and says that some could not.
#[test]
fn a_database_that_is_down_keeps_no_other_ones_steps_open() {
    run(async {
        let down = FaultyStore::new(Arc::new(memory()), Script::new());
        let store = open(How::Placed, down.clone(), memory()).await.expect("opened");
        let id = account("0");
        assert_eq!(two_partitions().of(id.cardinal()), PartitionId::new(1), "the one that is up");
        leave_open(Arc::clone(&store), &id, tx("open"), Command::Deposit { minor: 1 }).await;
        down.set_script((1..100).fold(Script::new(), |script, call| script.call(call, Fault::Unavailable)));
        let accounts = CommandHandler::new(store, Account);
        let error = accounts.recover(Duration::ZERO).await.expect_err("one partition is not listed");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(funds(&accounts, &id).await.expect("opened").available, 1, "settled all the same");
    });
}

fn memory() -> MemoryStore {
    MemoryStore::with(two_partitions(), Atomicity::Batch, Arc::new(sidestream::clock::SystemClock))
}

/// Steps 1 to 3 are three commits in two databases: after each of them the gateway or the ledger goes away.
#[test]
fn a_command_cut_short_between_the_two_is_settled_by_recovery() {
    run(async {
        for cut in 1..=2_u64 {
            let [gateway, ledger] = [0, 1].map(|_| FaultyStore::new(Arc::new(memory()), Script::new()));
            let store = open(How::Split, gateway.clone(), ledger.clone()).await.expect("opened");
            let (accounts, id) = (CommandHandler::new(Arc::clone(&store), Account), account("7"));
            // The request is made, and the events are not; or those are, and the outcome is not.
            let (late, number) = if cut == 1 { (&ledger, 1) } else { (&gateway, 2) };
            let from = late.appends() + number;
            late.set_script(
                (from..from + 50).fold(Script::new(), |script, call| script.append(call, Fault::Unavailable)),
            );
            let heard = accounts.handle(&id, tx("a"), Command::Deposit { minor: 5 }).await;
            heard.expect_err("cut short");
            late.set_script(Script::new());

            let recovery = CommandHandler::new(store, Account).recover(Duration::ZERO).await.expect("swept");
            assert_eq!((recovery.accepted, recovery.failed), (1, 0), "{recovery:?}");
            let restarted =
                CommandHandler::new(open(How::Split, gateway, ledger).await.expect("opened"), Account);
            let again = restarted.handle(&id, tx("a"), Command::Deposit { minor: 5 }).await.expect("handled");
            assert!(again.is_accepted());
            assert_eq!(funds(&restarted, &id).await.expect("opened").available, 5, "once");
        }
    });
}

/// The floor of the ledger's streams rests on what is open in the gateway, which is asked after the target
/// was picked.
#[test]
fn compaction_in_the_ledger_waits_for_open_steps_in_the_gateway() {
    run(async {
        let (gateway, ledger) = (memory(), FaultyStore::new(Arc::new(memory()), Script::new()));
        let store = open(How::Split, gateway, ledger.clone()).await.expect("opened");
        let (accounts, id) = (snapshotting(Arc::clone(&store), 3), account("7"));
        deposit(&accounts, &id, 0, 5).await;
        let at_request = accounts.query(&id, |_, version| version).await.expect("readable");
        leave_open(Arc::clone(&store), &id, tx("open"), Command::Hold { minor: 1 }).await;
        deposit(&accounts, &id, 5, 30).await;
        let floor = accounts.compact(&id, sidestream::Version::MAX).await.expect("compacted");
        assert!(
            floor <= at_request && floor > sidestream::Version::EMPTY,
            "{floor}, requested at {at_request}"
        );
        let recovery = accounts.recover(Duration::ZERO).await.expect("swept");
        assert_eq!((recovery.settled(), recovery.failed), (1, 0));
        let higher = accounts.compact(&id, sidestream::Version::MAX).await.expect("compacted");
        assert!(higher > floor, "nothing is open any more");
    });
}
