//! A view in PostgreSQL that is made anew beside the live one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use sidestream::ErrorKind;
use sidestream::projection::postgres::tokio_postgres::types::Type;
use sidestream::projection::{
    Demands, Event, Failure, Generational, Generations, PostgresContent, PostgresRows, PostgresView,
    Projection, Rebuild, State,
};
use sidestream::store::EventStore;
use sidestream::testkit::effort::proptest_config;
use sidestream::testkit::faults::{Rates, Script};
use sidestream::testkit::postgres::{Binaries, Server};
use sidestream::testkit::run;
use tokio::sync::Semaphore;

use crate::faulty_view::ViewFault;
use crate::journal::{Entry, Journal, Readable};
use crate::ledger::Stores;
use crate::rebuild::Compared;
use crate::support::*;
use crate::{crash, rebuild, rebuild_crash, rebuild_joined};

fn database() -> Option<String> {
    Binaries::found_or_skipped().map(|binaries| Server::shared(&binaries).fresh_database())
}

async fn open(url: &str) -> PostgresView {
    PostgresView::builder(url).migrate(true).open().await.expect("a view")
}

async fn count(view: &PostgresView, table: &str) -> i64 {
    view.read(&format!("SELECT count(*) FROM {table}"), &[]).await.unwrap()[0].get(0)
}

#[test]
fn a_view_is_made_anew_and_readers_are_switched_while_payments_go_on() {
    run(async {
        let Some(url) = database() else { return };
        let view = open(&url).await;
        rebuild::switches(view.clone()).await;
        // Another process that opens it finds the live one, and so does who reads without this crate.
        let other = open(&url).await;
        assert_eq!(other.generations().await.unwrap().live, 4);
        let rows = count(&other, "journal").await;
        assert_eq!((rows, count(&view, "journal").await), (27 + 9 + 3 * 49, rows));
        let server = Server::shared(&Binaries::found_or_skipped().unwrap());
        let name = url.rsplit('/').next().unwrap();
        let enter =
            "BEGIN; DO $$ BEGIN PERFORM sidestream_view.enter(); END $$; SELECT count(*) FROM journal";
        assert!(server.psql(name, enter).contains(&rows.to_string()));
    });
}

#[test]
fn what_differs_or_is_parked_is_in_the_way() {
    run(async {
        let Some(url) = database() else { return };
        rebuild::refuses_what_differs(open(&url).await).await;
        rebuild::refuses_more_parked(open(&database().unwrap()).await).await;
    });
}

#[test]
fn a_join_and_what_shares_its_view_are_switched_together() {
    run(async {
        let Some(url) = database() else { return };
        rebuild_joined::both_together(open(&url).await).await;
    });
}

#[test]
fn one_crash_or_failure_at_every_single_call() {
    let Some(_) = database() else { return };
    let units: Vec<_> = (0..3).map(|number| (number, number)).collect();
    let one = |faults| {
        run(async {
            let view = open(&database().unwrap()).await;
            rebuild_crash::check(&units, view, Script::new(), faults).await
        })
    };
    let calls = one(BTreeMap::new());
    assert!(calls > 8, "{calls}");
    for fault in [ViewFault::Unknown, ViewFault::CrashBefore, ViewFault::CrashAfter] {
        for at in 1..=calls.min(16) {
            one([(at, fault)].into());
        }
    }
}

#[test]
fn a_join_survives_crashes_at_its_calls() {
    let Some(_) = database() else { return };
    for (fault, first) in [(ViewFault::CrashAfter, 1), (ViewFault::Unknown, 2), (ViewFault::CrashBefore, 3)] {
        let places = (Stores::new(), run(async { open(&database().unwrap()).await }));
        let faults = (first..24).step_by(3).map(|at| (at, fault)).collect();
        let steps = rebuild_joined::twelve();
        run(rebuild_joined::check(places, steps, Script::new(), (faults, BTreeSet::new()), vec![]));
    }
}

proptest! {
    #![proptest_config(proptest_config(6, "proptest-regressions/daemon_postgres_rebuild.txt"))]

    #[test]
    fn a_rebuild_ends_in_the_fold_of_its_log_through_any_crash(
        units in crash::units(),
        seed in any::<u64>(),
        faults in prop::collection::btree_map(1..60_u64, crash::fault(), 0..8),
    ) {
        run(async {
            let Some(url) = database() else { return };
            let script = Script::random(seed, Rates::default());
            rebuild_crash::check(&units, open(&url).await, script, faults).await;
        });
    }
}

/// Writes an event down when it is let, and not before.
#[derive(Clone)]
struct Slow {
    let_in: Arc<Semaphore>,
    begun: Arc<Semaphore>,
}

impl Projection<PostgresRows> for Slow {
    const NAME: &'static str = "journal";

    async fn prepare(&self, rows: &mut PostgresRows) -> Result<(), Failure> {
        Journal::default().prepare(rows).await
    }

    async fn apply(&self, rows: &mut PostgresRows, event: &Event<'_>) -> Result<(), Failure> {
        self.begun.add_permits(1);
        self.let_in.acquire().await?.forget();
        Journal::default().apply(rows, event).await
    }
}

#[test]
fn a_batch_that_was_under_way_when_readers_were_switched_changes_nothing_and_is_applied_anew() {
    run(async {
        let Some(url) = database() else { return };
        let (here, there) = (open(&url).await, open(&url).await);
        let store: Arc<dyn EventStore> = Arc::new(memory(1));
        pay(&*store, "1", &[1, 2]).await;
        let slow = Slow { let_in: Arc::new(Semaphore::new(2)), begun: Arc::new(Semaphore::new(0)) };
        let mut live = start(Arc::clone(&store), slow.clone(), &there, 1, hurried());
        live.until_caught_up_at(2).await;
        // It stands in the middle of a batch, behind the first look at its place, while readers are switched.
        slow.begun.acquire_many(2).await.unwrap().forget();
        pay(&*store, "1", &[3]).await;
        in_time("a batch", slow.begun.acquire()).await.unwrap().forget();
        let rebuild = rebuild::begin(&store, &here, Journal::default()).await;
        rebuild.caught_up().await.unwrap();
        let same = PostgresView::all_rows();
        in_time("a switch", rebuild.switch(Demands::same(same))).await.unwrap();
        slow.let_in.add_permits(8);
        live.until_caught_up_at(3).await;
        assert_eq!(here.journal(&*store, ONE).await, fold(&*store, ONE).await);
        assert_eq!(there.journal(&*store, ONE).await, fold(&*store, ONE).await);
        assert_eq!(count(&here, "public.journal").await, 2, "nothing came after the switch");
        live.stop().await.unwrap();
        rebuild.shutdown().await;
    });
}

#[test]
fn runners_of_all_connections_wait_while_it_is_held_and_lose_nothing() {
    run(async {
        let Some(url) = database() else { return };
        // Fewer connections than partitions: those that wait for the hold have all of them.
        let view = PostgresView::builder(&url).migrate(true).connections(2).open().await.unwrap();
        rebuild::switches(view).await;
    });
}

#[test]
fn what_is_given_up_leaves_nothing_behind_and_another_one_begins_anew() {
    run(async {
        let Some(url) = database() else { return };
        let view = open(&url).await;
        let (store, live) = two_paid(&view).await;
        let rebuild = rebuild::begin(&store, &view, Journal::default()).await;
        let all = async {
            while rebuild.view().stands().await.unwrap().first().is_none_or(|stand| stand.position.get() < 2)
            {
                sidestream::clock::sleep(std::time::Duration::from_millis(1)).await;
            }
        };
        in_time("what is built", all).await;
        assert_eq!(count(&view, "sidestream_view_2.journal").await, 2);
        let looked_at = rebuild.view().clone();
        rebuild.give_up().await.unwrap();
        assert_eq!(looked_at.stands().await.unwrap_err().kind(), ErrorKind::Unavailable);
        let left = "SELECT count(*) FROM sidestream_view.places WHERE generation <> 1";
        assert_eq!(view.read(left, &[]).await.unwrap()[0].get::<_, i64>(0), 0);
        let schemas = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'sidestream_view_%'";
        assert_eq!(view.read(schemas, &[]).await.unwrap()[0].get::<_, i64>(0), 0);
        let only = Generations { live: 1, building: None, former: vec![] };
        assert_eq!(view.generations().await.unwrap(), only);
        let next = Rebuild::begin(Arc::clone(&store), &view).await.unwrap();
        assert_eq!(next.number(), 3);
        // Two that begin at once share one.
        let both = tokio::join!(view.build(), view.build());
        drop((both.0.unwrap(), both.1.unwrap()));
        assert_eq!(view.generations().await.unwrap().building, Some(3));
        live.stop().await.unwrap();
    });
}

/// Relies on a table that somebody else has made.
struct Unprepared;

impl Projection<PostgresRows> for Unprepared {
    const NAME: &'static str = "journal";

    async fn apply(&self, rows: &mut PostgresRows, event: &Event<'_>) -> Result<(), Failure> {
        let number = event.position().get().cast_signed();
        rows.execute("INSERT INTO journal (position) VALUES ($1)", &[(&number, Type::INT8)]).await?;
        Ok(())
    }
}

#[test]
fn a_table_that_was_not_prepared_is_never_taken_from_another_generation() {
    run(async {
        let Some(url) = database() else { return };
        let view = open(&url).await;
        let (store, live) = two_paid(&view).await;
        let rebuild = rebuild::begin(&store, &view, Unprepared).await;
        let parked = async {
            while rebuild.parked("journal").is_empty() {
                sidestream::clock::sleep(std::time::Duration::from_millis(1)).await;
            }
        };
        in_time("a parked account", parked).await;
        assert_eq!(view.journal(&*store, ONE).await, fold(&*store, ONE).await);
        rebuild.give_up().await.unwrap();
        live.stop().await.unwrap();
    });
}

#[test]
fn tables_are_compared_whatever_the_order_of_their_rows() {
    run(async {
        let Some(url) = database() else { return };
        let view = open(&url).await;
        let (store, live) = two_paid(&view).await;
        let rebuild = rebuild::begin(&store, &view, Journal::default()).await;
        rebuild.caught_up().await.unwrap();
        let none = PostgresContent::tables(["no_such_table"]);
        let error = rebuild.switch(Demands::same(none)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        let change = |sql: &'static str| async {
            view.read(sql, &[]).await.unwrap();
        };
        // The same rows, in another place of the table.
        change("UPDATE journal SET minor = minor WHERE position = 1").await;
        change("UPDATE journal SET minor = 7 WHERE position = 2").await;
        let all = || Demands::same(PostgresContent::tables(["journal"]));
        let error = rebuild.switch(all()).await.unwrap_err();
        assert!(error.to_string().contains("expected content "), "{error}");
        change("UPDATE journal SET minor = 2 WHERE position = 2").await;
        assert!(rebuild.switch(all()).await.unwrap().content.is_some());
        rebuild.shutdown().await;
        live.stop().await.unwrap();
    });
}

/// What a program of before generations has left: the schema of two steps, and a place.
fn before_generations(server: &Server, name: &str) {
    let steps = [
        include_str!("../../src/projection/postgres/sql/view_0001.sql"),
        include_str!("../../src/projection/postgres/sql/view_0002_joins.sql"),
    ];
    let make = include_str!("../../src/projection/postgres/sql/view_schema.sql");
    server.psql(name, &format!("BEGIN; {make} COMMIT;"));
    for (number, sql) in (1..).zip(steps) {
        server.psql(name, sql);
        let checksum = blake3::hash(sql.as_bytes());
        let add = "INSERT INTO sidestream_view.migrations (step, checksum) VALUES";
        server.psql(name, &format!("{add} ({number}, '\\x{checksum}')"));
    }
}

#[test]
fn a_view_of_before_generations_becomes_the_first_and_goes_on() {
    run(async {
        let Some(url) = database() else { return };
        let (server, name) =
            (Server::shared(&Binaries::found_or_skipped().unwrap()), url.rsplit('/').next().unwrap());
        before_generations(server, name);
        let store: Arc<dyn EventStore> = Arc::new(memory(1));
        pay(&*store, "1", &[1, 2, 3]).await;
        let id = store.properties().id;
        for sql in [
            format!("INSERT INTO sidestream_view.places VALUES ('journal', 1, 0, '{id}', 1, 5, 2, 0)"),
            "CREATE TABLE journal (number int8 GENERATED ALWAYS AS IDENTITY, partition int8, position int8, \
             stream text, version int8, minor int8)"
                .to_owned(),
            "INSERT INTO journal (partition, position, stream, version, minor) \
             VALUES (0, 1, 'account-1', 1, 1), (0, 2, 'account-1', 2, 2)"
                .to_owned(),
        ] {
            server.psql(name, &sql);
        }
        assert_eq!(PostgresView::builder(&url).run_migrations().await.unwrap(), 1);
        let view = PostgresView::open(&url).await.unwrap();
        let mut live = start(Arc::clone(&store), Journal::default(), &view, 1, hurried());
        live.until_caught_up_at(3).await;
        let entries: Vec<Entry> = view.journal(&*store, ONE).await;
        assert_eq!(entries, fold(&*store, ONE).await);
        assert_eq!(view.generations().await.unwrap().live, 1);
        let status = live.stop().await;
        assert!(status.is_ok(), "{status:?}");
    });
}

#[test]
fn a_reader_sees_one_generation_whole_while_others_switch_and_drop() {
    run(async {
        let Some(url) = database() else { return };
        let (view, reader) = (open(&url).await, open(&url).await);
        let (store, mut live) = two_paid(&view).await;
        rebuild::switches_while_read(&store, &view, &reader).await;
        let schemas = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'sidestream_view_%'";
        assert_eq!(view.read(schemas, &[]).await.unwrap()[0].get::<_, i64>(0), 1);
        assert_eq!(
            count(&view, "public.journal").await,
            2,
            "the first one's tables are not the view's to drop"
        );
        pay(&*store, "1", &[3]).await;
        let status = live.until_caught_up_at(3).await;
        assert!(!matches!(status.state, State::Failed(_)), "{status:?}");
        assert_eq!(reader.journal(&*store, ONE).await, fold(&*store, ONE).await);
        live.stop().await.unwrap();
    });
}
