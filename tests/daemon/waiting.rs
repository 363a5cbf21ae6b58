//! Reading one's own writes.

use sidestream::projection::{Daemon, MemoryView, project_fn};
use sidestream::testkit::run;
use sidestream::{CommandHandler, ErrorKind, Outcome, TransactionId};

use crate::journal::{Entry, Journal, Trouble};
use crate::rules::{Account, Command};
use crate::support::*;

#[test]
fn whoever_waits_for_a_receipt_reads_what_was_written() {
    run(async {
        let store = memory(4);
        let accounts = CommandHandler::new(store.clone(), Account);
        let view = MemoryView::<Vec<Entry>>::new();
        let daemon = Daemon::builder(store).settings(hurried()).project(Journal::default(), view.clone());
        let daemon = daemon.start().unwrap();
        for number in 1..50_i64 {
            let (to, transaction) =
                (id(&(number % 7).to_string()), TransactionId::derive("w", &number.to_string()));
            let outcome =
                accounts.handle(&to, transaction, Command::Deposit { minor: number }).await.unwrap();
            let Outcome::Accepted(receipt) = outcome else { panic!("{outcome:?}") };
            in_time("the receipt", daemon.wait_for("journal", &to, receipt)).await.unwrap();
            let mut last = None;
            view.for_each("journal", |_, rows: &Vec<Entry>| {
                last = last.max(rows.iter().map(|row| row.minor).max());
            });
            assert_eq!(last, Some(number));
        }
        in_time("the end", daemon.shutdown()).await;
    });
}

#[test]
fn a_parked_account_and_a_stopped_projection_are_told() {
    run(async {
        let store = memory(1);
        let accounts = CommandHandler::new(store.clone(), Account);
        let view = MemoryView::<Vec<Entry>>::new();
        let rules = Journal::with(&[(666, Trouble::Fails)]);
        let builder = || Daemon::builder(store.clone()).settings(hurried());
        let daemon = builder().project(rules, view.clone()).start().unwrap();
        let mut receipts = Vec::new();
        for (name, minor) in [("bad", 1), ("bad", 666), ("bad", 2), ("good", 3)] {
            let transaction = TransactionId::derive("w", &minor.to_string());
            let outcome = accounts.handle(&id(name), transaction, Command::Deposit { minor }).await.unwrap();
            let Outcome::Accepted(receipt) = outcome else { panic!("{outcome:?}") };
            receipts.push((id(name), receipt));
        }
        let wait = async |at: usize| {
            let (name, receipt) = receipts[at].clone();
            in_time("the receipt", daemon.wait_for("journal", &name, receipt)).await
        };
        wait(3).await.unwrap();
        // What was applied before it was parked is there.
        wait(0).await.unwrap();
        for at in [1, 2] {
            let error = wait(at).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            assert!(error.to_string().contains("bad is parked"), "{error}");
        }
        let (name, receipt) = receipts[3].clone();
        let unknown = daemon.wait_for("ledger", &name, receipt).await.unwrap_err();
        assert_eq!(unknown.kind(), ErrorKind::Invalid);
        // Somebody else takes the partition over.
        let other = builder().epoch(2).project(Journal::default(), view.clone()).start().unwrap();
        let good = id("good");
        let outcome = accounts.handle(&good, TransactionId::derive("w", "9"), Command::Deposit { minor: 9 });
        let Outcome::Accepted(receipt) = outcome.await.unwrap() else { panic!("refused") };
        in_time("the other", other.wait_for("journal", &id("good"), receipt)).await.unwrap();
        let error = in_time("its end", daemon.wait_for("journal", &id("good"), receipt)).await.unwrap_err();
        assert!(error.to_string().contains("stopped because fenced"), "{error}");
        in_time("the end", other.shutdown()).await;
        in_time("the end", daemon.shutdown()).await;
    });
}

#[test]
fn projections_of_one_daemon_go_on_by_themselves() {
    run(async {
        let store = memory(2);
        let view = MemoryView::<u64>::new();
        let selection = sidestream::feed::Selection::all;
        let count = |name| {
            project_fn(name, selection(), |rows: &mut u64, _: &sidestream::projection::Event<'_>| {
                *rows += 1;
                Ok(())
            })
        };
        let fails = project_fn("fails", selection(), |_: &mut u64, _: &sidestream::projection::Event<'_>| {
            Err("always".into())
        });
        let builder = || Daemon::builder(store.clone()).settings(hurried());
        let twice = builder().define(count("a"), view.clone()).define(count("a"), view.clone()).start();
        assert_eq!(twice.unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!(builder().define(count(""), view.clone()).start().unwrap_err().kind(), ErrorKind::Invalid);
        let daemon = builder()
            .define(count("a"), view.clone())
            .define(fails, view.clone())
            .define(count("b"), view.clone());
        let daemon = daemon.start().unwrap();
        pay(&store, "1", &[1, 2, 3]).await;
        pay(&store, "2", &[1, 2]).await;
        let sums = |name| {
            let mut sum = 0;
            view.for_each(name, |_, count| sum += count);
            sum
        };
        let done = async {
            while (sums("a"), sums("b"), daemon.parked("fails").len()) != (5, 5, 2) {
                sidestream::clock::sleep(std::time::Duration::from_millis(1)).await;
            }
        };
        in_time("all of them", done).await;
        assert_eq!(sums("fails"), 0);
        in_time("the end", daemon.shutdown()).await;
    });
}
