//! Compaction: an open step's tail, and a snapshot, are never removed.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use sidestream::stream::Version;
use sidestream::testkit::changed::Changed;
use sidestream::testkit::faults::{Fault, FaultyStore, Script};
use sidestream::testkit::{effort, run};
use sidestream::{CommandHandler, Decider, ErrorKind};

use crate::rules::{Account, Command};
use crate::snapshots::latest_altered;
use crate::support::{BOTH, account, any_store, deposit, funds, leave_open, snapshotting, store, tx};

proptest! {
    #![proptest_config(effort::proptest_config(200, "proptest-regressions/compaction.txt"))]

    #[test]
    fn compaction_takes_nothing_that_anybody_needs(
        kind in 0_usize..3,
        before in 0_u64..40,
        after in 0_u64..40,
        through in 0_u64..120,
        open in any::<bool>(),
    ) {
        run(async {
            let (store, id) = (any_store(kind).await, account("7"));
            let accounts = snapshotting(store.clone(), 5);
            deposit(&accounts, &id, 0, before + 1).await;
            let at_request = accounts.query(&id, |_, version| version).await.expect("readable");
            if open {
                leave_open(store.clone(), &id, tx("open"), Command::Hold { minor: 1 }).await;
            }
            deposit(&accounts, &id, before + 1, before + 1 + after).await;
            let expected = funds(&accounts, &id).await;

            let floor = accounts.compact(&id, Version::new(through)).await.expect("compacted");
            assert!(floor <= Version::new(through));
            assert!(!open || floor <= at_request, "floor {floor} is above the open request at {at_request}");
            // A new process, with nothing in memory.
            let restarted = snapshotting(store.clone(), 5);
            assert_eq!(funds(&restarted, &id).await, expected);
            let recovery = restarted.recover(Duration::ZERO).await.expect("swept");
            assert_eq!((recovery.settled(), recovery.failed), (u64::from(open), 0));
            let again = restarted.handle(&id, tx(0), Command::Deposit { minor: 1 }).await.expect("handled");
            assert!(again.is_accepted(), "replays outlive what they rest on");
            assert_eq!(restarted.compact(&id, Version::EMPTY).await.expect("compacted"), floor, "never lower");
            // Should the last snapshot be damaged one day, the one before it was kept.
            let damaged = Changed(store, latest_altered);
            let expected = funds(&restarted, &id).await;
            assert_eq!(funds(&snapshotting(damaged, 5), &id).await, expected);
        });
    }
}

/// Someone truncated without asking: the account stops, rather than start from nothing.
#[test]
fn a_stream_without_its_beginning_and_without_a_snapshot_is_corrupt() {
    run(async {
        let (store, id) = (store(BOTH[0]), account("7"));
        deposit(&snapshotting(store.clone(), 0), &id, 0, 10).await;
        let stream = Account::CATEGORY.stream(&id);
        sidestream::EventStore::truncate(&store, &stream, Version::new(4)).await.expect("truncated");
        let accounts = CommandHandler::new(store, Account);
        let error =
            accounts.handle(&id, tx("x"), Command::Deposit { minor: 1 }).await.expect_err("no beginning");
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    });
}

/// Requested, and asleep before its effect is appended: meanwhile another process carries the step out, and
/// what it wrote is removed. The sleeper finds nothing where it looks, which must not mean that nothing was
/// done.
#[test]
fn what_was_removed_while_an_attempt_slept_is_not_done_again() {
    run(async {
        for atomicity in BOTH {
            let (store, id) = (store(atomicity), account("7"));
            let others = snapshotting(store.clone(), 5);
            deposit(&others, &id, 0, 7).await;
            // Each call once: before it everything below happens.
            for asleep_at in 1..=6 {
                let script = Script::new().call(asleep_at, Fault::Delay(20_000));
                let network = FaultyStore::new(Arc::new(store.clone()), script);
                let (sleeper, command) =
                    (snapshotting(network.clone(), 0), Command::Deposit { minor: 1_000 });
                let before = funds(&others, &id).await.expect("open").available;
                let transaction = tx(format!("slept at {asleep_at}"));
                let asleep = {
                    let (id, command) = (id.clone(), command.clone());
                    tokio::spawn(async move { sleeper.handle(&id, transaction, command).await })
                };
                for _ in 0..10_000 {
                    if network.calls() >= asleep_at {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
                let done = others.handle(&id, transaction, command).await.expect("handled");
                let from = 100 * asleep_at;
                deposit(&others, &id, from, from + 12).await;
                let floor = others.compact(&id, Version::MAX).await.expect("compacted");
                assert!(floor > Version::EMPTY, "nothing was removed");
                let heard = asleep.await.expect("no panic").expect("answered");
                assert_eq!(heard, done, "{atomicity:?}, asleep at call {asleep_at}");
                let now = funds(&others, &id).await.expect("open").available;
                assert_eq!(now - before, 1_012, "{atomicity:?}, asleep at call {asleep_at}");
            }
        }
    });
}
