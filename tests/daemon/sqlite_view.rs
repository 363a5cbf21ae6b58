//! The view in SQLite: whose file it may be, and what handlers may do in it.

use std::sync::Arc;

use sidestream::ErrorKind;
use sidestream::projection::{
    Event, Failure, Generational, Generations, Projection, SqliteRows, SqliteView, project_fn,
};
use sidestream::store::EventStore;
use sidestream::store::sqlite::SqliteStore;
use sidestream::testkit::run;

use crate::journal::{Journal, Readable};
use crate::support::*;

#[test]
fn a_stores_file_and_any_other_database_are_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let (events, other, text) = ("events.db", "other.db", "text.db").map_path(&directory);
    drop(SqliteStore::open(&events).unwrap());
    rusqlite::Connection::open(&other).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
    std::fs::write(&text, "no database, but long enough to be looked at as if it were one: ".repeat(20))
        .unwrap();
    for path in [&events, &other, &text] {
        let before = std::fs::read(path).unwrap();
        let error = SqliteView::open(path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(error.to_string().contains("no view"), "{error}");
        assert_eq!(std::fs::read(path).unwrap(), before);
    }
    let store = SqliteStore::open(&events).unwrap();
    assert_eq!(SqliteView::open(&events).unwrap_err().kind(), ErrorKind::Invalid);
    drop(store);
}

trait MapPath {
    fn map_path(
        self,
        directory: &tempfile::TempDir,
    ) -> (std::path::PathBuf, std::path::PathBuf, std::path::PathBuf);
}

impl MapPath for (&str, &str, &str) {
    fn map_path(
        self,
        directory: &tempfile::TempDir,
    ) -> (std::path::PathBuf, std::path::PathBuf, std::path::PathBuf) {
        let path = |name| directory.path().join(name);
        (path(self.0), path(self.1), path(self.2))
    }
}

#[test]
fn a_view_belongs_to_one_store() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let view = SqliteView::open(directory.path().join("view.db")).unwrap();
        belongs_to_one_store(view).await;
    });
}

/// Runs a statement that a handler may not use.
struct Forbidden(&'static str);

impl Projection<SqliteRows> for Forbidden {
    const NAME: &'static str = "forbidden";

    async fn prepare(&self, rows: &mut SqliteRows) -> Result<(), Failure> {
        rows.execute_all("CREATE TABLE IF NOT EXISTS t (a INTEGER PRIMARY KEY ON CONFLICT ROLLBACK)")?;
        Ok(())
    }

    async fn apply(&self, rows: &mut SqliteRows, _event: &Event<'_>) -> Result<(), Failure> {
        rows.execute("INSERT INTO t (a) VALUES (NULL)", ())?;
        rows.execute_all(self.0)?;
        Ok(())
    }
}

#[test]
fn a_handler_cannot_end_its_transaction_or_touch_the_views_own_tables() {
    run(async {
        let statements = [
            "COMMIT",
            "ROLLBACK",
            "SAVEPOINT a",
            "ATTACH 'x.db' AS x",
            "PRAGMA synchronous = 0",
            "UPDATE sidestream_places SET position = 9",
            "DELETE FROM sidestream_places",
            "INSERT INTO sidestream_audit (number) VALUES (1)",
            "DROP TABLE sidestream_audit",
            "INSERT INTO t (a) VALUES (1), (1)",
        ];
        for statement in statements {
            let directory = tempfile::tempdir().unwrap();
            let view = SqliteView::open(directory.path().join("view.db")).unwrap();
            let store: Arc<dyn EventStore> = Arc::new(memory(1));
            pay(&*store, "1", &[1]).await;
            let mut running = start(store, Forbidden(statement), &view, 1, hurried());
            let status = running.until_caught_up_at(1).await;
            assert_eq!(status.parked.len(), 1, "{statement}: {status:?}");
            running.stop().await.unwrap();
            let rows = view.read(|connection| {
                connection.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0))
            });
            assert_eq!(rows.await.unwrap(), 0_i64, "{statement}");
        }
    });
}

#[test]
fn a_view_and_its_checkpoint_survive_the_process() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("view.db");
        let store: Arc<dyn EventStore> = Arc::new(memory(1));
        for life in 1..5_i64 {
            let view = SqliteView::open(&path).unwrap();
            pay(&*store, "1", &[life, life]).await;
            let mut running = start(Arc::clone(&store), Journal::default(), &view, 1, hurried());
            running.until_caught_up_at(life.unsigned_abs() * 2).await;
            running.stop().await.unwrap();
            assert_eq!(view.journal(&*store, ONE).await, fold(&*store, ONE).await);
        }
    });
}

#[test]
fn two_versions_of_a_projection_live_side_by_side() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let view = SqliteView::open(directory.path().join("view.db")).unwrap();
        let store: Arc<dyn EventStore> = Arc::new(memory(1));
        pay(&*store, "1", &[1, 2, 3]).await;
        let mut old = start(Arc::clone(&store), Journal::default(), &view, 1, hurried());
        old.until_caught_up_at(3).await;
        let mut new = start(Arc::clone(&store), Sums, &view, 1, hurried());
        new.until_caught_up_at(3).await;
        pay(&*store, "1", &[4]).await;
        old.until_caught_up_at(4).await;
        new.until_caught_up_at(4).await;
        let sum = view.read(|connection| {
            connection.query_row("SELECT minor FROM sums", [], |row| row.get::<_, i64>(0))
        });
        assert_eq!(sum.await.unwrap(), 10_i64);
        assert_eq!(view.journal(&*store, ONE).await, fold(&*store, ONE).await);
        old.stop().await.unwrap();
        new.stop().await.unwrap();
    });
}

/// The journal's second version.
struct Sums;

impl Projection<SqliteRows> for Sums {
    const NAME: &'static str = "journal";
    const VERSION: u16 = 2;

    async fn prepare(&self, rows: &mut SqliteRows) -> Result<(), Failure> {
        rows.execute_all("CREATE TABLE IF NOT EXISTS sums (account TEXT PRIMARY KEY, minor INTEGER)")?;
        Ok(())
    }

    async fn apply(&self, rows: &mut SqliteRows, event: &Event<'_>) -> Result<(), Failure> {
        let crate::rules::Event::Deposited { minor } = event.decode::<crate::rules::Account>()? else {
            return Ok(());
        };
        let read = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
        let before = rows.one("SELECT minor FROM sums WHERE account = ?1", [event.aggregate_id()], read)?;
        let after = (event.aggregate_id(), before.unwrap_or(0) + minor);
        rows.execute("INSERT OR REPLACE INTO sums VALUES (?1, ?2)", after)?;
        Ok(())
    }
}

#[test]
fn a_failing_prepare_is_told_and_tried_again() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let view = SqliteView::open(directory.path().join("view.db")).unwrap();
        let running = start(Arc::new(memory(1)), Broken, &view, 1, hurried());
        let error = in_time("its end", running.task).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains("cannot prepare its rows"), "{error}");
        let selection = sidestream::feed::Selection::all();
        assert!(project_fn("a\n", selection, |_: &mut SqliteRows, _: &Event<'_>| Ok(())).is_err());
    });
}

struct Broken;

impl Projection<SqliteRows> for Broken {
    const NAME: &'static str = "broken";

    async fn prepare(&self, rows: &mut SqliteRows) -> Result<(), Failure> {
        Ok(rows.execute_all("CREATE TABEL t (a)")?)
    }

    async fn apply(&self, _rows: &mut SqliteRows, _event: &Event<'_>) -> Result<(), Failure> {
        Ok(())
    }
}

#[test]
fn a_view_of_the_first_schema_is_brought_up_to_date_and_goes_on() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("view.db");
        let store: Arc<dyn EventStore> = Arc::new(memory(1));
        pay(&*store, "1", &[1, 2]).await;
        let view = SqliteView::open(&path).unwrap();
        let mut running = start(Arc::clone(&store), Journal::default(), &view, 1, hurried());
        running.until_caught_up_at(2).await;
        running.stop().await.unwrap();
        drop(view);
        // As it was before there were generations.
        let old = rusqlite::Connection::open(&path).unwrap();
        old.execute_batch("DROP TABLE sidestream_generation; PRAGMA user_version = 1").unwrap();
        drop(old);
        let view = SqliteView::open(&path).unwrap();
        assert_eq!(
            view.generations().await.unwrap(),
            Generations { live: 1, building: None, former: vec![] }
        );
        pay(&*store, "1", &[3]).await;
        let mut running = start(Arc::clone(&store), Journal::default(), &view, 2, hurried());
        running.until_caught_up_at(3).await;
        running.stop().await.unwrap();
        assert_eq!(view.journal(&*store, ONE).await, fold(&*store, ONE).await);
    });
}
