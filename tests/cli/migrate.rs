//! `sidestream migrate`, on a server of the tests' own.

use serde_json::json;
use sidestream::store::EventStore;
use sidestream::store::postgres::PostgresStore;

use crate::bench::folder;
use crate::bench_postgres::Database;
use crate::program::Run;

fn migrate(more: &[&str]) -> Run {
    Run::of(folder().path(), &[&["migrate"], more].concat())
}

fn partitions(url: &str) -> u16 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = runtime.block_on(PostgresStore::open(url)).expect("a store that opens");
    store.properties().partitions.get()
}

#[test]
fn the_schema_is_made_once_and_it_is_said_what_was_done() {
    let Some(database) = Database::new() else { return };
    let told = |more: &[&str]| migrate(&[&["--store", &database.url], more].concat());
    assert_eq!(told(&[]).succeeded().stdout, "schema sidestream: 3 steps applied, 16 partitions\n");
    assert_eq!(told(&[]).succeeded().stdout, "schema sidestream: up to date, 16 partitions\n");
    let report = told(&["--roles", "--json"]).json();
    assert_eq!(report, json!({"steps_applied": 0, "partitions": 16, "roles": true}));
    assert!(told(&["--roles"]).succeeded().stdout.contains("sidestream_writer"));
    assert_eq!(partitions(&database.url), 16);
    // Another number of partitions is no way to change it.
    let run = told(&["--partitions", "4"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""));
    assert!(run.stderr.contains("another number of partitions"), "{run:?}");
}

#[test]
fn the_printed_sql_makes_a_store_that_opens() {
    let Some(database) = Database::new() else { return };
    let sql = migrate(&["--print-sql", "--partitions", "3", "--roles"]).succeeded().stdout;
    database.psql(&sql);
    assert_eq!(partitions(&database.url), 3);
    let roles = "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'sidestream\\_%'";
    assert_eq!(database.psql(roles), "3");
    let again = migrate(&["--store", &database.url]).succeeded().stdout;
    assert_eq!(again, "schema sidestream: up to date, 3 partitions\n");
}

#[test]
fn a_wrong_call_is_named_without_the_password() {
    for (call, part) in [
        (&["--store", "sqlite:secret.db"][..], "--store is no PostgreSQL address"),
        (&["--store", "host=h password=secret"], "--store is no PostgreSQL address"),
        (&[], "--store"),
        (&["--print-sql", "--json"], "--json"),
        (&["--print-sql", "--partitions", "0"], "0 is not in 1..=1024"),
        (&["--print-sql", "--partitions", "1025"], "1025 is not in 1..=1024"),
    ] {
        let run = migrate(call);
        assert!(!run.stderr.contains("secret"), "{run:?}");
        run.refused_with(&[part]);
    }
    let run = migrate(&["--store", "postgres://u:secret@127.0.0.1:1/d"]);
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains("cannot be reached") && !run.stderr.contains("secret"), "{run:?}");
}

#[test]
fn help_shows_examples() {
    let run = migrate(&["--help"]).succeeded();
    for part in ["Examples:", "--print-sql", "--roles", "| psql payments"] {
        assert!(run.stdout.contains(part), "no {part:?} in {}", run.stdout);
    }
}
