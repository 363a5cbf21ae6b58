//! Crash everywhere, with the payments' rules.

use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use sidestream::partition::PartitionCount;
use sidestream::protocol::Atomicity;
use sidestream::store::sqlite::SqliteStore;
use sidestream::testkit::crash::{Books, CrashEverywhere, Schedule, Sent};
use sidestream::testkit::{controls, effort};

use crate::rules::{Account, Command};

pub fn kit() -> CrashEverywhere<Account> {
    CrashEverywhere::new(|| Account).audit(conserved)
}

/// What went in less what was captured is what is there; and nothing is below zero.
fn conserved(books: &Books<Account>) -> Result<(), String> {
    let mut expected = 0_i64;
    for sent in &books.accepted {
        match sent.command {
            Command::Deposit { minor } => expected += minor,
            Command::Capture { minor, .. } => expected -= minor,
            Command::Hold { .. } | Command::Release => {}
        }
    }
    let funds: Vec<_> = books.states.values().flatten().collect();
    if let Some(below) = funds.iter().find(|funds| funds.available < 0 || funds.held < 0) {
        return Err(format!("below zero: {below:?}"));
    }
    let found: i64 = funds.iter().map(|funds| funds.available + funds.held).sum();
    if found == expected { Ok(()) } else { Err(format!("expected {expected} in all, found {found}")) }
}

pub fn command() -> impl Strategy<Value = Command> {
    let minor = || prop_oneof![Just(10_i64), 1_i64..50];
    prop_oneof![
        3 => minor().prop_map(|minor| Command::Deposit { minor }),
        3 => minor().prop_map(|minor| Command::Hold { minor }),
        2 => (1_u32..3, minor()).prop_map(|(part, minor)| Command::Capture { part, minor }),
        1 => Just(Command::Release),
    ]
}

/// Few accounts and few transactions, so that commands meet: other contents under the same id included.
pub fn sent() -> impl Strategy<Value = Sent<Command>> {
    (0_u32..2, 0_u32..5, command()).prop_map(|(account, transaction, command)| Sent {
        aggregate: controls::other_aggregate_id(account),
        transaction: controls::other_transaction_id(transaction),
        command,
    })
}

proptest! {
    #![proptest_config(effort::proptest_config(2_000, "proptest-regressions/crash_everywhere.txt"))]

    #[test]
    fn everything_happens_once_through_any_crash(
        sends in prop::collection::vec(sent(), 1..12),
        schedule in Schedule::any(),
    ) {
        kit().run(&sends, &schedule)?;
    }
}

/// Stores on disk, in folders that are kept for as long as the kit.
fn on_sqlite(kit: CrashEverywhere<Account>) -> CrashEverywhere<Account> {
    let folders = Mutex::new(Vec::new());
    // Tables so small that the indexes are always being written and merged.
    kit.on(move |_, clock| {
        let folder = tempfile::tempdir().expect("a folder");
        let partitions = PartitionCount::new(2).expect("within bounds");
        let options = SqliteStore::builder(folder.path().join("events.db"))
            .partitions(partitions)
            .clock(clock)
            .flush_after(2);
        let store = options.open().expect("a store");
        folders.lock().expect("no panic").push(folder);
        Arc::new(store)
    })
}

proptest! {
    #![proptest_config(effort::proptest_config(100, "proptest-regressions/crash_everywhere_sqlite.txt"))]

    /// The processes die around the store, which lives on: what happens when it dies with them is tried with
    /// real processes and on a simulated disk.
    #[test]
    fn everything_happens_once_on_sqlite_too(
        sends in prop::collection::vec(sent(), 1..12),
        schedule in Schedule::any(),
    ) {
        let schedule = Schedule { atomicity: Atomicity::Batch, ..schedule };
        on_sqlite(kit()).run(&sends, &schedule)?;
    }
}

#[test]
fn every_single_crash_and_every_second_one_after_it() {
    let sends = [
        Command::Deposit { minor: 50 },
        Command::Hold { minor: 40 },
        Command::Capture { part: 1, minor: 30 },
    ];
    let sends = sends.map(|command| Sent {
        aggregate: controls::aggregate_id(),
        transaction: controls::transaction_id(),
        command,
    });
    let runs = kit().everywhere(&sends).expect("no promise is broken");
    assert!(runs > 1_000, "only {runs} runs");
}

/// The kit sees what it is there for: rules that are not a function of the state.
#[test]
fn an_audit_that_fails_is_reported() {
    let kit = CrashEverywhere::new(|| Account).audit(|_| Err("on purpose".to_owned()));
    let sent = Sent {
        aggregate: controls::aggregate_id(),
        transaction: controls::transaction_id(),
        command: Command::Deposit { minor: 1 },
    };
    let violation = kit.run(&[sent], &Schedule::seeded(1)).expect_err("reported");
    assert!(violation.to_string().contains("on purpose"), "{violation}");
}
