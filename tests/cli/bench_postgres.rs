//! `sidestream bench` on PostgreSQL, on a server of the tests' own.

use std::collections::BTreeSet;

use serde_json::Value;
use sidestream::testkit::postgres::{Binaries, Server};

use crate::bench::{FIELDS, bench, folder, number};
use crate::program::Run;

/// A fresh database; none where there is no PostgreSQL.
pub struct Database {
    server: &'static Server,
    pub url: String,
}

impl Database {
    pub fn new() -> Option<Self> {
        let server = Server::shared(&Binaries::found_or_skipped()?);
        Some(Self { server, url: server.fresh_database() })
    }

    pub fn psql(&self, sql: &str) -> String {
        self.server.psql(self.url.rsplit('/').next().expect("a name"), sql)
    }

    fn bench(&self, more: &[&str]) -> Run {
        bench(folder().path(), &[&["--store", &self.url], more].concat())
    }

    fn json(&self, more: &[&str]) -> Value {
        self.bench(&[more, &["--json"]].concat()).json()
    }

    fn count(&self, event_type: &str) -> u64 {
        let sql = format!("SELECT count(*) FROM sidestream.log WHERE type = '{event_type}'");
        self.psql(&sql).parse().expect("a count")
    }
}

#[test]
fn the_report_has_every_field_and_every_command_its_records() {
    let Some(database) = Database::new() else { return };
    let report = database.json(&[]);
    let found: BTreeSet<_> = report.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(found, BTreeSet::from(FIELDS));
    assert_eq!((&report["store"], number(&report, "commands")), (&Value::from("postgres"), 400.0));
    let positive = ["commits", "commands_per_commit", "bytes_per_command", "commands_per_second"];
    assert!(positive.iter().all(|field| number(&report, field) > 0.0), "{report:#}");
    assert_eq!((number(&report, "contended"), number(&report, "errors")), (0.0, 0.0));
    assert_eq!(["$requested", "$accepted", "Held"].map(|name| database.count(name)), [400; 3]);
    // A store of an earlier run goes on.
    database.json(&["--ids", "v4", "--lists", "--duplicates", "0.3"]);
    assert_eq!(database.count("BenchRun"), 2);
}

#[test]
fn a_bare_loop_runs_beside_it_and_its_table_is_removed() {
    let Some(database) = Database::new() else { return };
    let report = database.json(&["--floor", "--rounds", "3"]);
    for field in FIELDS.iter().filter(|field| field.contains("floor_") || **field == "bytes_ratio") {
        assert!(!report[field].is_null(), "{field} is null");
    }
    assert_eq!(report["floor_ratios"].as_array().map(Vec::len), Some(3));
    assert!((100.0..2_000.0).contains(&number(&report, "floor_bytes_per_command")), "{report:#}");
    assert_eq!(database.psql("SELECT count(*) FROM pg_namespace WHERE nspname LIKE '%floor%'"), "0");
}

#[test]
fn processes_share_the_database_and_the_load() {
    let Some(database) = Database::new() else { return };
    let report = database.json(&["--processes", "3", "--hot", "--duplicates", "0.2", "--floor"]);
    assert_eq!((number(&report, "processes"), number(&report, "accounts")), (3.0, 1.0));
    let applied = 400.0 - number(&report, "repeated");
    assert!(applied < 400.0 && number(&report, "commits") > 0.0, "{report:#}");
    // The bare loop's pattern: an account of nobody's.
    let held = "SELECT count(*) FROM sidestream.records WHERE type = 'Held' AND stream = 'account-00000000'";
    assert_eq!(database.psql(held).parse::<f64>().unwrap(), applied);
    assert_eq!(number(&report, "errors"), 0.0);
    assert!(number(&report, "p50_ms") > 0.0 && number(&report, "peak_memory_bytes") > 1e6, "{report:#}");
}

#[test]
fn an_aged_account_and_open_steps() {
    let Some(database) = Database::new() else { return };
    let report = database.json(&["--age", "2000", "--cold", "--open-steps", "25", "--tail", "50"]);
    assert!(
        number(&report, "cold_load_rows") <= 512.0 && number(&report, "cold_load_ms") > 0.0,
        "{report:#}"
    );
    assert_eq!((number(&report, "open_steps"), number(&report, "recover_settled")), (25.0, 25.0));
}

#[test]
fn people_get_a_table() {
    let Some(database) = Database::new() else { return };
    let run = database.bench(&["--processes", "2"]).succeeded();
    assert!(run.stdout.contains("postgres") && run.stdout.contains("commands a commit"), "{}", run.stdout);
}

#[test]
fn what_is_no_store_of_a_run_is_left_alone() {
    let Some(database) = Database::new() else { return };
    database.json(&[]);
    database.psql("UPDATE sidestream.records SET key = '\\x00' WHERE type = 'BenchRun'");
    let before = database.psql("SELECT count(*) FROM sidestream.records");
    database.bench(&[]).refused_with(&["no store of an earlier run", "choose another database"]);
    assert_eq!(database.psql("SELECT count(*) FROM sidestream.records"), before);
}

#[test]
fn a_database_that_cannot_be_used_is_named_without_the_password() {
    let Some(database) = Database::new() else { return };
    let nowhere = database.url.replace("postgres@", "postgres:secret@").replace("fresh_", "no_such_");
    let run = bench(folder().path(), &["--store", &nowhere]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.contains("create the database") && !run.stderr.contains("secret"), "{run:?}");
    for wrong in ["postgres://u:secret@h", "postgres://u:secret@[h/d", "postgres://u:secret@h/d?x=secret"] {
        let run = bench(folder().path(), &["--store", wrong]);
        assert!(run.code != Some(0) && !run.stderr.contains("secret"), "{run:?}");
    }
}

/// One of the processes does not outlive its parent.
#[test]
fn a_process_ends_with_its_parent() {
    let Some(database) = Database::new() else { return };
    let run = bench(folder().path(), &["--worker", "--store", &database.url]);
    assert_eq!(run.code, Some(0), "{run:?}");
}
