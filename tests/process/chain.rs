//! The whole chain without trouble: each way that a transfer can go, on a store in memory and on two databases.

use std::sync::Arc;

use sidestream::clock::SystemClock;
use sidestream::process::Dispatch;
use sidestream::protocol::Atomicity;
use sidestream::testkit::inline::Ran;
use sidestream::testkit::run;
use sidestream::{EventStore, MemoryStore, TransactionId};

use crate::account;
use crate::audit::{Audit, Figures};
use crate::support::*;
use crate::transfer::{Accounts, Command, Input, Rejection, Stage};
use sidestream::Outcome;

/// One transfer that goes over, one that the payer's account refuses, one that the payee's does; and everything again.
async fn each_way(store: impl EventStore) {
    let world = World::on(store);
    let (from, to) = apart();
    world.open(&from).await.unwrap();
    world.open(&to).await.unwrap();
    let mut inline = world.inline();
    for (transfer, minor) in [("over", 100), ("too-dear", 401), ("no-room", 300)] {
        assert!(world.begin(transfer, (&from, &to, minor), LONG_MS).await.unwrap().is_accepted());
        if transfer == "no-room" {
            // By now the payee may have 1,000, has 600, and gets 200 more.
            let command = account::Command::Deposit { minor: 200 };
            let more = TransactionId::derive("more", "1");
            assert!(world.accounts.handle(&id(&to), more, command).await.unwrap().is_accepted());
        }
        inline.run().await.unwrap();
    }
    assert_eq!(world.funds(&from).await, (400, 0));
    assert_eq!(world.funds(&to).await, (800, 0));
    let (over, complete) = world.transfer("over").await;
    assert_eq!((over.stage, over.is_late, complete), (Stage::Done, false, true));
    assert_eq!(world.transfer("too-dear").await.0.stage, Stage::Undone);
    assert_eq!(world.transfer("no-room").await.0.stage, Stage::Undone);

    // From the logs' beginning: all of it was done before.
    let before = Audit::default().look(Arc::clone(&world.store)).await.unwrap();
    let again = World::on(Arc::clone(&world.store));
    let ran = again.inline().run().await.unwrap();
    assert!(ran.sent >= 10, "it did everything again: {ran:?}");
    assert!(again.begin("over", (&from, &to, 100), LONG_MS).await.unwrap().is_accepted());
    assert_eq!(again.inline().run().await.unwrap().sent, ran.sent);
    assert_eq!(Audit::default().look(Arc::clone(&world.store)).await.unwrap(), before);
    let Figures { done, undone, half_done, not_held, not_deposited, .. } = before;
    assert_eq!((done, undone, half_done, not_held, not_deposited), (1, 2, 0, 1, 1));
}

#[test]
fn a_transfer_goes_over_or_is_undone_in_memory() {
    run(each_way(MemoryStore::new()));
    run(async { each_way(two_stores(Arc::new(SystemClock), Atomicity::Batch).await).await });
    run(async { each_way(two_stores(Arc::new(SystemClock), Atomicity::Stream).await).await });
}

#[test]
fn a_transfer_goes_over_or_is_undone_between_two_databases() {
    let folder = tempfile::tempdir().unwrap();
    run(async { each_way(two_files(folder.path()).await).await });
}

#[test]
fn what_a_process_refuses_it_has_not_heard() {
    run(async {
        let world = World::on(MemoryStore::new());
        world.open("a").await.unwrap();
        let mut inline = world.inline();
        let refused = world.begin("t", ("a", "a", 5), LONG_MS).await.unwrap();
        assert_eq!(refused, Outcome::Rejected(Rejection::SameAccount));
        assert_eq!(inline.run().await.unwrap(), Ran::default());
        assert_eq!(world.transfer("t").await.0.stage, Stage::New);

        // The same id with other content is told so; another id begins it twice, and is refused.
        world.begin("u", ("a", "b", 5), LONG_MS).await.unwrap();
        let conflict = world.begin("u", ("a", "b", 6), LONG_MS).await.unwrap_err();
        assert_eq!(conflict.kind(), sidestream::ErrorKind::Conflict);
        let other = Input::Begin { from: "a".into(), to: "b".into(), minor: 5, within_ms: 1 };
        let twice = world.transfers.hear(&id("u"), TransactionId::derive("other", "u"), other).await.unwrap();
        assert_eq!(twice, Outcome::Rejected(Rejection::BegunBefore));
    });
}

#[test]
fn a_complete_process_accepts_what_it_hears_and_nothing_comes_of_it() {
    run(async {
        let world = World::on(MemoryStore::new());
        world.open("a").await.unwrap();
        world.begin("t", ("a", "b", 5), LONG_MS).await.unwrap();
        let mut inline = world.inline();
        inline.run().await.unwrap();
        let before = world.transfer("t").await;
        assert!(before.1);
        let late = TransactionId::derive("late", "t");
        for input in [Input::TimedOut, Input::Deposited] {
            let under = TransactionId::derive("late", &format!("{input:?}"));
            assert!(world.transfers.hear(&id("t"), under, input).await.unwrap().is_accepted());
        }
        let again = Input::Begin { from: "x".into(), to: "y".into(), minor: 1, within_ms: 1 };
        assert!(world.transfers.hear(&id("t"), late, again).await.unwrap().is_accepted());
        assert_eq!(world.transfer("t").await, before);
        assert_eq!(inline.run().await.unwrap(), Ran::default());
    });
}

/// What is handed over to the accounts, twice each time.
#[derive(Debug)]
struct Twice(Accounts, std::sync::Mutex<Vec<(Command, TransactionId)>>);

#[async_trait::async_trait]
impl Dispatch<crate::transfer::Transfer> for Arc<Twice> {
    async fn dispatch(
        &self,
        command: Command,
        transaction: TransactionId,
    ) -> sidestream::Result<Option<Input>> {
        self.1.lock().unwrap().push((command.clone(), transaction));
        let first = self.0.dispatch(command.clone(), transaction).await?;
        let second = self.0.dispatch(command, transaction).await?;
        assert_eq!(first, second);
        Ok(second)
    }
}

#[test]
fn a_command_that_is_carried_out_twice_has_its_effect_once_under_one_id() {
    run(async {
        let plain = World::on(MemoryStore::new());
        let twice = Arc::new(Twice(Accounts(plain.accounts.clone()), std::sync::Mutex::default()));
        let world = World::with(Arc::clone(&plain.store), plain.accounts.clone(), Arc::clone(&twice));
        world.open("a").await.unwrap();
        world.begin("t", ("a", "b", 5), LONG_MS).await.unwrap();
        world.inline().run().await.unwrap();
        let first = std::mem::take(&mut *twice.1.lock().unwrap());
        assert_eq!(first.len(), 3, "hold, deposit, capture: {first:?}");
        world.inline().run().await.unwrap();
        assert_eq!(*twice.1.lock().unwrap(), first, "the same commands under the same ids");
        assert_eq!(world.funds("a").await, (495, 0));
        assert_eq!(world.funds("b").await, (5, 0));
    });
}
