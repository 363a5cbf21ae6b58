//! Crash everywhere and the differential test, with a PostgreSQL database for each run.

use std::sync::{Arc, OnceLock, mpsc};

use proptest::prelude::*;
use sidestream::partition::PartitionCount;
use sidestream::protocol::Atomicity;
use sidestream::store::postgres::PostgresStore;
use sidestream::testkit::crash::Schedule;
use sidestream::testkit::{effort, run};
use tokio::runtime::Runtime;

use crate::crash::{kit, sent};
use crate::database::Database;
use crate::differential::{Answers, Deed, Service, deed, in_memory, shared, still};

fn partitions() -> PartitionCount {
    PartitionCount::new(2).expect("within bounds")
}

async fn store(url: String) -> PostgresStore {
    let options = PostgresStore::builder(url).partitions(partitions()).migrate(true).writers(2).readers(2);
    options.open().await.expect("opened")
}

/// Opens a store from where nothing may be awaited: on another runtime, which outlives the test.
fn opened_elsewhere(url: String) -> PostgresStore {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let (sender, opened) = mpsc::channel();
    let runtime = RUNTIME.get_or_init(|| Runtime::new().expect("a runtime"));
    runtime.spawn(async move { sender.send(store(url).await) });
    opened.recv().expect("opened")
}

proptest! {
    #![proptest_config(effort::proptest_config(20, "proptest-regressions/crash_everywhere_postgres.txt"))]

    #[test]
    fn everything_happens_once_on_postgres_too(
        sends in prop::collection::vec(sent(), 1..12),
        schedule in Schedule::any(),
    ) {
        let schedule = Schedule { atomicity: Atomicity::Batch, ..schedule };
        let database = Database::new();
        if database.server().is_some() {
            let url = database.url();
            kit().on(move |_, _| Arc::new(opened_elsewhere(url.clone()))).run(&sends, &schedule)?;
        }
    }
}

fn on_postgres(database: &Database, processes: usize, deeds: &[Deed]) -> Answers {
    run(async {
        let open = async || shared(store(database.url()).await);
        Service::start(open, processes).await.answers(deeds, |_| ()).await
    })
}

proptest! {
    #![proptest_config(effort::proptest_config(20, "proptest-regressions/differential_postgres.txt"))]

    /// Versions and positions included.
    #[test]
    fn postgres_answers_as_the_store_in_memory(
        deeds in prop::collection::vec(deed(), 1..20),
        processes in 1_usize..4,
    ) {
        let database = Database::new();
        if database.server().is_some() {
            let expected = in_memory((Atomicity::Batch, processes), &deeds, still).0;
            prop_assert_eq!(on_postgres(&database, processes, &deeds), expected);
        }
    }
}
