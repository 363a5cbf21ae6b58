//! A whole service: the runtime with a buffer and processes.

use sidestream::buffer::EventBuffer;
use sidestream::process::Processes;
use sidestream::runtime::Runtime;
use sidestream::testkit::run;
use sidestream::{CommandHandler, ErrorKind, MemoryStore};

use crate::account::Account;
use crate::audit::Audit;
use crate::support::*;
use crate::transfer::{Accounts, Stage, Transfer};

#[test]
fn a_service_carries_transfers_on_and_releases_holds() {
    run(async {
        let world = World::on(MemoryStore::new());
        let (from, to) = apart();
        world.open(&from).await.unwrap();
        let service = Runtime::builder(world.store.clone())
            .recover(world.accounts.clone())
            .buffer(&world.buffer)
            .processes(&world.transfers)
            .processes(&world.expiries)
            .start()
            .unwrap();
        world.begin("t", (&from, &to, 5), LONG_MS).await.unwrap();
        assert!(world.hold("h", &from, 10).await.unwrap());
        until("it went over", async || world.transfer("t").await.0.stage == Stage::Done).await;
        until("it expired", async || world.funds(&from).await == (OPENED - 5, 0)).await;
        until("it has swept", async || service.status().sweeps.iter().flatten().count() == 3).await;
        service.shutdown().await;
        let figures = Audit::default().look(world.store.clone()).await.unwrap();
        assert_eq!((figures.done, figures.expired, figures.is_right()), (1, 1, true));
    });
}

#[test]
fn a_buffer_that_cannot_be_started_is_told_by_start() {
    run(async {
        let store = MemoryStore::new();
        let empty = EventBuffer::new(store.clone());
        let error = Runtime::builder(store.clone()).buffer(&empty).start().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");

        let accounts = CommandHandler::new(store.clone(), Account { limit: LIMIT });
        let transfers = Processes::new(store.clone(), Transfer, Accounts(accounts));
        let twice = transfers.join(transfers.join(EventBuffer::new(store.clone())).unwrap()).unwrap();
        let error = Runtime::builder(store).buffer(&twice).processes(&transfers).start().unwrap_err();
        assert!(error.to_string().contains("process.transfer"), "{error}");
    });
}
