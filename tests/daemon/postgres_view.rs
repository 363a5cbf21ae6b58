//! The view in PostgreSQL: what holds for every view, and what handlers and servers may do to it.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;
use sidestream::ErrorKind;
use sidestream::projection::postgres::tokio_postgres::types::Type;
use sidestream::projection::{Event, Failure, PostgresRows, PostgresView, Projection, Settings, State};
use sidestream::store::EventStore;
use sidestream::testkit::effort::proptest_config;
use sidestream::testkit::faults::{Rates, Script};
use sidestream::testkit::postgres::{Binaries, Quorum, Server};
use sidestream::testkit::run;

use crate::journal::{Journal, Readable, Trouble};
use crate::support::*;
use crate::{crash, exactly_once, fencing, handlers, parking};

/// A fresh database; none where there is no PostgreSQL.
fn database() -> Option<String> {
    Binaries::found_or_skipped().map(|binaries| Server::shared(&binaries).fresh_database())
}

async fn open(url: &str) -> PostgresView {
    PostgresView::builder(url).migrate(true).open().await.expect("a view")
}

async fn fresh() -> Option<PostgresView> {
    Some(open(&database()?).await)
}

async fn count(view: &PostgresView, table: &str) -> i64 {
    view.read(&format!("SELECT count(*) FROM {table}"), &[]).await.unwrap()[0].get(0)
}

#[test]
fn a_lower_epoch_and_an_earlier_opening_change_nothing_any_more() {
    run(async {
        let Some(view) = fresh().await else { return };
        fencing::fences(view, (1, 7)).await;
        fencing::fences(fresh().await.unwrap(), (3, 3)).await;
    });
}

#[test]
fn a_poison_event_parks_its_account_only() {
    run(async {
        let Some(view) = fresh().await else { return };
        parking::parks_mends_and_retries(view).await;
        parking::skips(fresh().await.unwrap()).await;
    });
}

#[test]
fn a_handler_that_hangs_is_given_up_and_poisons_no_connection() {
    run(async {
        let Some(url) = database() else { return };
        for trouble in [Trouble::Panics, Trouble::Waits, Trouble::Blocks] {
            // One connection only: the next transaction would find whatever was left on it.
            let view = PostgresView::builder(&url).migrate(true).connections(1).open().await.unwrap();
            view.read("DROP TABLE IF EXISTS journal", &[]).await.unwrap();
            view.read("TRUNCATE sidestream_view.places, sidestream_view.parked", &[]).await.unwrap();
            let rules = handlers::parks_only_one(view.clone(), trouble).await;
            let ended = async {
                while Arc::strong_count(&rules.free) > 1 {
                    sidestream::clock::sleep(std::time::Duration::from_millis(1)).await;
                }
            };
            in_time("the end of abandoned handlers", ended).await;
            assert_eq!(count(&view, "journal").await, 6, "{trouble:?}");
            let open = "pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'";
            let left = async {
                while count(&view, open).await > 0 {
                    sidestream::clock::sleep(std::time::Duration::from_millis(1)).await;
                }
            };
            in_time("the end of transactions that were given up", left).await;
        }
    });
}

proptest! {
    #![proptest_config(proptest_config(12, "proptest-regressions/daemon_postgres_view.txt"))]

    #[test]
    fn each_event_takes_effect_once_and_in_order(
        steps in prop::collection::vec(exactly_once::step(), 1..40)
    ) {
        run(async {
            let Some(view) = fresh().await else { return };
            exactly_once::check(Arc::new(memory(3)), view, steps).await;
        });
    }

    #[test]
    fn it_is_the_fold_of_its_log_through_any_crash(
        units in crash::units(),
        seed in any::<u64>(),
        faults in prop::collection::btree_map(1..40_u64, crash::fault(), 0..10),
        polls in prop::collection::vec(0..60_u32, 0..12),
    ) {
        run(async {
            let Some(view) = fresh().await else { return };
            let script = Script::random(seed, Rates::default());
            crash::check(crash::log(&units).await, view, script, faults, polls).await;
        });
    }
}

#[test]
fn a_view_belongs_to_one_store() {
    run(async {
        let Some(view) = fresh().await else { return };
        belongs_to_one_store(view).await;
    });
}

/// Runs a statement that a handler may not use, or that fails, and takes no notice of the error.
struct Forbidden(&'static str);

impl Projection<PostgresRows> for Forbidden {
    const NAME: &'static str = "forbidden";

    async fn prepare(&self, rows: &mut PostgresRows) -> Result<(), Failure> {
        Ok(rows.execute_all(&["CREATE TABLE IF NOT EXISTS t (a int8 PRIMARY KEY)"]).await?)
    }

    async fn apply(&self, rows: &mut PostgresRows, event: &Event<'_>) -> Result<(), Failure> {
        let number = event.position().get().cast_signed();
        rows.execute("INSERT INTO t VALUES ($1)", &[(&number, Type::INT8)]).await?;
        if number == 2 {
            let refused = rows.execute(self.0, &[]).await;
            assert!(refused.is_err(), "{}", self.0);
            let is_ours = refused.is_err_and(|error| {
                error.to_string().contains("may not use") || error.to_string().contains("names the schema")
            });
            if is_ours {
                return Err("refused".into());
            }
        }
        Ok(())
    }
}

#[test]
fn a_handler_cannot_end_its_transaction_and_an_error_that_it_ignores_is_a_failure() {
    run(async {
        let Some(url) = database() else { return };
        let statements = [
            "COMMIT",
            "/* a */ ROLLBACK",
            "SAVEPOINT a",
            "SET synchronous_commit = off",
            "UPDATE sidestream_view.places SET position = 9",
            "DO $$ BEGIN COMMIT; END $$",
            "SELECT 1; COMMIT",
            "SELECT 1 / 0",
            "INSERT INTO t VALUES (1)",
            "INSERT INTO no_such_table VALUES (1)",
        ];
        for statement in statements {
            let view = open(&url).await;
            view.read("DROP TABLE IF EXISTS t", &[]).await.unwrap();
            view.read("TRUNCATE sidestream_view.places, sidestream_view.parked", &[]).await.unwrap();
            let store: Arc<dyn EventStore> = Arc::new(memory(1));
            for (name, minor) in [("good", 1), ("bad", 2), ("good", 3)] {
                pay(&*store, name, &[minor]).await;
            }
            let mut running = start(store, Forbidden(statement), &view, 1, hurried());
            let status = running.until_caught_up_at(3).await;
            let parked: Vec<_> = status.parked.values().map(|parked| parked.position.get()).collect();
            assert_eq!(parked, [2], "{statement}: {status:?}");
            running.stop().await.unwrap();
            assert_eq!(count(&view, "t").await, 2, "{statement}");
        }
    });
}

/// Sends statements, one of which fails; nobody waits for any of them.
struct Sender;

impl Projection<PostgresRows> for Sender {
    const NAME: &'static str = "sender";

    async fn prepare(&self, rows: &mut PostgresRows) -> Result<(), Failure> {
        Ok(rows.execute_all(&["CREATE TABLE IF NOT EXISTS sent (a int8)"]).await?)
    }

    async fn apply(&self, rows: &mut PostgresRows, event: &Event<'_>) -> Result<(), Failure> {
        let number = event.position().get().cast_signed();
        let sql = "INSERT INTO sent VALUES (1 / ($1 - 500) * 0 + $1)";
        for _ in 0..3 {
            rows.send(sql, vec![(Box::new(number), Type::INT8)]).await?;
        }
        assert!(rows.send("COMMIT", Vec::new()).await.is_err(), "what is no statement for handlers");
        // A statement that is waited for sees what was sent before it.
        if number % 400 == 0 {
            let seen = rows.query("SELECT count(*) FROM sent WHERE a = $1", &[(&number, Type::INT8)]).await?;
            assert_eq!(seen[0].get::<_, i64>(0), 3);
        }
        Ok(())
    }
}

#[test]
fn a_statement_that_was_sent_and_fails_is_its_events_failure_and_no_others() {
    run(async {
        let Some(view) = fresh().await else { return };
        let store: Arc<dyn EventStore> = Arc::new(memory(1));
        // Half a unit for each account, so that the one of position 500 has no others behind it.
        for number in 0..600 {
            pay(&*store, &format!("a{number}"), &[1]).await;
        }
        let mut running = start(store, Sender, &view, 1, hurried());
        let status = running.until_caught_up_at(600).await;
        let parked: Vec<_> = status.parked.values().map(|parked| parked.position.get()).collect();
        assert_eq!(parked, [500], "{status:?}");
        assert!(status.parked.values().all(|parked| parked.error.contains("division by zero")), "{status:?}");
        running.stop().await.unwrap();
        assert_eq!(count(&view, "sent").await, 599 * 3);
        assert_eq!(count(&view, "(SELECT DISTINCT a FROM sent) AS each").await, 599);
    });
}

/// Begins a statement and goes away from it.
struct Impatient;

impl Projection<PostgresRows> for Impatient {
    const NAME: &'static str = "impatient";

    async fn apply(&self, rows: &mut PostgresRows, event: &Event<'_>) -> Result<(), Failure> {
        if event.position().get() == 2 {
            let sleep = rows.execute("SELECT pg_sleep(0.2)", &[]);
            drop(tokio::time::timeout(std::time::Duration::from_millis(20), sleep).await);
        }
        Ok(())
    }
}

#[test]
fn a_statement_that_a_handler_walks_away_from_is_a_failure() {
    run(async {
        let Some(view) = fresh().await else { return };
        let store: Arc<dyn EventStore> = Arc::new(memory(1));
        for name in ["good", "bad", "good"] {
            pay(&*store, name, &[1]).await;
        }
        let mut running = start(store, Impatient, &view, 1, hurried());
        let status = running.until_caught_up_at(3).await;
        assert!(status.parked["bad"].error.contains("dropped before it returned"), "{status:?}");
        running.stop().await.unwrap();
    });
}

#[test]
fn a_server_that_is_killed_again_and_again_is_waited_for() {
    let Some(binaries) = Binaries::found_or_skipped() else { return };
    let server = Server::start(&binaries);
    let url = server.fresh_database();
    run(async {
        let view = open(&url).await;
        let store: Arc<dyn EventStore> = Arc::new(memory(1));
        let settings = Settings { batch_records: 3, ..hurried() };
        let mut running = start(Arc::clone(&store), Journal::default(), &view, 1, settings);
        for life in 1..4_u64 {
            pay(&*store, "1", &[1; 20]).await;
            // Somewhere in the middle of it.
            let some = 20 * life - 10;
            running.until("half way", |s| s.checkpoint.is_some_and(|at| at.get() >= some)).await;
            server.kill();
            pay(&*store, "2", &[2]).await;
            running.until("waiting", |status| matches!(status.state, State::Waiting(_))).await;
            server.start_again();
        }
        assert!(running.until_caught_up_at(63).await.parked.is_empty());
        assert_eq!(view.journal(&*store, ONE).await, fold(&*store, ONE).await);
        running.stop().await.unwrap();
    });
}

#[test]
fn a_commit_whose_connection_is_cut_is_settled_by_opening_again() {
    run(async {
        let Some(view) = fresh().await else { return };
        let store: Arc<dyn EventStore> = Arc::new(memory(1));
        let settings = Settings { batch_records: 1, ..hurried() };
        let mut running = start(Arc::clone(&store), Journal::default(), &view, 1, settings);
        for round in 1..=20_u64 {
            pay(&*store, "1", &[1, 2, 3]).await;
            // Whatever it does just now, begin, insert or commit, is torn.
            let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                WHERE datname = current_database() AND pid <> pg_backend_pid()";
            view.read(sql, &[]).await.ok();
            assert!(running.until_caught_up_at(round * 3).await.parked.is_empty());
        }
        let journal = view.journal(&*store, ONE).await;
        assert_eq!(journal, fold(&*store, ONE).await);
        let positions: BTreeSet<_> = journal.iter().map(|entry| entry.position).collect();
        assert_eq!(positions.len(), journal.len());
        running.stop().await.unwrap();
    });
}

#[test]
fn a_quorum_that_is_demanded_and_not_there_is_told() {
    run(async {
        let Some(url) = database() else { return };
        let error = PostgresView::builder(&url).migrate(true).require_quorum(true).open().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(error.to_string().contains("synchronous_standby_names"), "{error}");
    });
}

#[test]
fn a_database_without_the_schema_is_refused_with_what_to_do() {
    run(async {
        let Some(url) = database() else { return };
        let error = PostgresView::open(&url).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(error.to_string().contains("run_migrations"), "{error}");
        let builder = PostgresView::builder(&url);
        let both = tokio::join!(builder.run_migrations(), builder.run_migrations());
        let mut steps = [both.0.unwrap(), both.1.unwrap()];
        steps.sort_unstable();
        assert!(steps[0] == 0 && steps[1] > 0, "one of two makes it: {steps:?}");
        PostgresView::open(&url).await.unwrap();
    });
}

/// A wait for the quorum that is cancelled ends in a plain COMMIT and a warning: that is no commit to rely on.
#[test]
fn a_commit_that_no_quorum_has_is_settled_by_opening_again() {
    let Some(binaries) = Binaries::found_or_skipped() else { return };
    let quorum = Quorum::start(&binaries, 1);
    let url = quorum.fresh_database();
    run(async {
        let view = PostgresView::builder(&url).migrate(true).require_quorum(true).open().await.unwrap();
        let store: Arc<dyn EventStore> = Arc::new(memory(1));
        pay(&*store, "1", &[1, 2]).await;
        let mut running = start(Arc::clone(&store), Journal::default(), &view, 1, hurried());
        running.until_caught_up_at(2).await;
        quorum.pause_standbys();
        pay(&*store, "1", &[3]).await;
        let cancel =
            "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
        let told = async {
            while !matches!(&running.status.borrow().state, State::Waiting(error) if error.kind() == ErrorKind::Unknown)
            {
                quorum.primary().psql("postgres", cancel);
                sidestream::clock::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        in_time("the unknown end of a commit", told).await;
        let at = running.status.borrow().checkpoint;
        assert_eq!(at.map(sidestream::Position::get), Some(2), "what no quorum has is not told");
        quorum.resume_standbys();
        assert!(running.until_caught_up_at(3).await.parked.is_empty());
        assert_eq!(view.journal(&*store, ONE).await, fold(&*store, ONE).await);
        running.stop().await.unwrap();
    });
}
