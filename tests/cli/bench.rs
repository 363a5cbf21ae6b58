//! `sidestream bench`, in tiny runs: what it reports, what it leaves behind, and what it refuses. No test looks at
//! how fast it was.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;
use sidestream::store::sqlite::SqliteStore;
use sidestream::store::{EventStore, ReadFrom, StreamRead};
use sidestream::stream::{Position, StreamName, Version};
use sidestream::testkit::run as block_on;

use crate::program::{Run, command};

pub const TINY: [&str; 9] =
    ["bench", "--clients", "4", "--in-flight", "3", "--accounts", "20", "--commands", "400"];
const HERE: [&str; 2] = ["--store", "sqlite:bench.db"];
/// Every field of the report. Programs read them: add, do not rename.
pub const FIELDS: [&str; 56] = [
    "store",
    "processes",
    "clients",
    "in_flight",
    "accounts",
    "commands",
    "ids",
    "duplicates",
    "hot",
    "lists",
    "age",
    "cold",
    "seed",
    "repeated",
    "contended",
    "errors",
    "seconds",
    "commands_per_second",
    "p50_ms",
    "p99_ms",
    "p999_ms",
    "max_ms",
    "commits",
    "commits_per_second",
    "commands_per_commit",
    "cpu_seconds",
    "cpu_us_per_command",
    "peak_memory_bytes",
    "bytes_per_command",
    "rows_read_per_command",
    "snapshots",
    "parts",
    "cold_load_ms",
    "cold_load_rows",
    "floor_ratio",
    "floor_ratios",
    "floor_p50_ratio",
    "bytes_ratio",
    "floor_commands_per_second",
    "floor_p50_ms",
    "floor_p99_ms",
    "floor_p999_ms",
    "floor_commits_per_second",
    "floor_commands_per_commit",
    "floor_cpu_seconds",
    "floor_bytes_per_command",
    "floor_parts",
    "open_steps",
    "tail",
    "recover_seconds",
    "recover_settled",
    "recover_rows_read",
    "recover_scanned",
    "restart_seconds",
    "restart_open_seconds",
    "restart_wal_bytes",
];

pub fn bench(folder: &Path, more: &[&str]) -> Run {
    Run::of(folder, &[&TINY, more].concat())
}

/// A run on a store that stays, as JSON.
fn kept(folder: &Path, more: &[&str]) -> Value {
    bench(folder, &[&HERE, more, &["--json"]].concat()).json()
}

pub fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn files(folder: &Path) -> BTreeSet<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    names.map(|name| name.to_string_lossy().into_owned()).collect()
}

#[track_caller]
pub fn number(report: &Value, field: &str) -> f64 {
    report[field].as_f64().unwrap_or_else(|| panic!("{field} is {}", report[field]))
}

/// How many records of a type the store holds, and in how many streams.
fn count(folder: &Path, event_type: &str) -> (usize, usize) {
    let store = SqliteStore::open_read_only(folder.join("bench.db")).expect("a store");
    block_on(async {
        let (mut records, mut streams) = (0, BTreeSet::new());
        for partition in store.properties().partitions.all() {
            let mut after = Position::default();
            loop {
                let page = store.read_log(partition, after, 4_096).await.expect("readable");
                let Some(last) = page.records.last() else { break };
                after = last.position;
                let found =
                    page.records.iter().filter(|record| record.data.event_type.as_str() == event_type);
                found.for_each(|record| {
                    records += 1;
                    streams.insert(record.stream.to_string());
                });
            }
        }
        (records, streams.len())
    })
}

#[test]
fn the_report_has_every_field_with_a_sane_value() {
    let folder = folder();
    let report = kept(folder.path(), &[]);
    let found: BTreeSet<_> = report.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(found, BTreeSet::from(FIELDS));
    assert_eq!((&report["store"], &report["ids"]), (&Value::from("sqlite"), &Value::from("v7")));
    assert_eq!(number(&report, "commands"), 400.0);
    let positive = ["seconds", "commands_per_second", "p50_ms", "commits", "commands_per_commit"];
    assert!(positive.iter().all(|field| number(&report, field) > 0.0), "{report:#}");
    let times = ["p50_ms", "p99_ms", "p999_ms", "max_ms"].map(|field| number(&report, field));
    assert!(times.is_sorted(), "{times:?}");
    assert!((100.0..10_000.0).contains(&number(&report, "bytes_per_command")), "{report:#}");
    assert_eq!(report["parts"].as_array().map(Vec::len), Some(10));
    assert!(report["floor_ratio"].is_null() && report["restart_seconds"].is_null());
    if cfg!(target_os = "linux") {
        assert!(number(&report, "peak_memory_bytes") > 1e6 && number(&report, "cpu_seconds") >= 0.0);
    }
    // Every command wrote its three records.
    assert_eq!(count(folder.path(), "$requested"), (400, 400));
    assert_eq!(count(folder.path(), "$accepted"), (400, 400));
    assert_eq!(count(folder.path(), "Held"), (400, 20));
}

#[test]
fn people_get_a_table() {
    let run = bench(folder().path(), &["--floor", "--rounds", "2"]).succeeded();
    for part in ["commands/s", "p99.9, ms", "bare loop", "in each round", "each tenth"] {
        assert!(run.stdout.contains(part), "no {part:?} in {}", run.stdout);
    }
}

#[test]
fn without_a_path_nothing_is_left() {
    let folder = folder();
    for more in [&[][..], &["--floor", "--rounds", "2"], &["--store", "memory", "--floor", "--rounds", "2"]] {
        bench(folder.path(), more).succeeded();
        assert_eq!(files(folder.path()), BTreeSet::new(), "{more:?}");
    }
}

#[test]
fn the_store_in_memory_has_no_files_and_no_commits() {
    let report = bench(folder().path(), &["--store", "memory", "--json"]).json();
    assert_eq!(report["store"], "memory");
    assert!(report["bytes_per_command"].is_null() && report["commits"].is_null(), "{report:#}");
    assert!(number(&report, "commands_per_second") > 0.0);
}

#[test]
fn duplicates_are_answered_and_not_applied_again() {
    for ids in ["v4", "v7"] {
        let folder = folder();
        let report = kept(folder.path(), &["--ids", ids, "--duplicates", "0.5"]);
        assert_eq!(report["ids"], ids);
        let repeated = number(&report, "repeated");
        assert!((100.0..300.0).contains(&repeated), "{repeated} of 400");
        let applied = u32::try_from(count(folder.path(), "Held").0).unwrap();
        assert_eq!(f64::from(applied), 400.0 - repeated);
    }
}

#[test]
fn a_hot_account_takes_everything() {
    let folder = folder();
    let report = kept(folder.path(), &["--hot"]);
    assert_eq!((number(&report, "accounts"), &report["hot"]), (1.0, &Value::from(true)));
    assert_eq!(count(folder.path(), "Held"), (400, 1));
}

#[test]
fn an_aged_account_is_loaded_from_its_snapshot() {
    let folder = folder();
    let report = kept(folder.path(), &["--age", "20000", "--cold"]);
    assert!(number(&report, "cold_load_rows") <= 512.0, "{report:#}");
    assert!(number(&report, "cold_load_ms") > 0.0);
    // The history is not counted as the commands' own.
    assert!(number(&report, "bytes_per_command") < 10_000.0, "{report:#}");
    let (events, streams) = count(folder.path(), "Held");
    assert!(streams == 1 && events >= 20_000, "{events} events in {streams} streams");
}

#[test]
fn a_cold_cache_reads_rows() {
    let (warm, cold) = (kept(folder().path(), &[]), kept(folder().path(), &["--cold"]));
    assert!(number(&cold, "rows_read_per_command") > number(&warm, "rows_read_per_command"), "{cold:#}");
}

#[test]
fn a_bare_loop_runs_beside_it_and_its_file_is_removed() {
    let folder = folder();
    let report = kept(folder.path(), &["--floor", "--rounds", "3"]);
    for field in FIELDS.iter().filter(|field| field.contains("floor_") || **field == "bytes_ratio") {
        assert!(!report[field].is_null(), "{field} is null");
    }
    assert_eq!(report["floor_ratios"].as_array().map(Vec::len), Some(3));
    assert!(number(&report, "floor_ratio") > 0.0 && number(&report, "floor_p50_ratio") > 0.0);
    // Three records, whose bytes the store keeps in one row.
    assert!((100.0..1_000.0).contains(&number(&report, "floor_bytes_per_command")), "{report:#}");
    assert!(
        files(folder.path()).iter().all(|name| name.starts_with("bench.db")),
        "{:?}",
        files(folder.path())
    );
    assert!(!files(folder.path()).iter().any(|name| name.contains("floor")));
}

#[test]
fn a_store_opens_again_after_a_kill() {
    let folder = folder();
    let report = kept(folder.path(), &["--restart"]);
    assert!(number(&report, "restart_seconds") >= number(&report, "restart_open_seconds"));
    assert!(number(&report, "restart_wal_bytes") > 0.0);
    // More than the measured commands: the process that was killed wrote, too.
    assert!(count(folder.path(), "Held").0 > 400);
}

#[test]
fn open_steps_are_recovered() {
    for store in [&HERE[..], &["--store", "memory"]] {
        let more = ["--open-steps", "55", "--tail", "300", "--json"];
        let report = bench(folder().path(), &[store, &more].concat()).json();
        assert_eq!((number(&report, "open_steps"), number(&report, "recover_settled")), (55.0, 55.0));
        // Each looks through its tail, and through snapshots and steps of its account that were settled by then.
        let scanned = number(&report, "recover_scanned");
        assert!((55.0 * 300.0..55.0 * 500.0).contains(&scanned), "{scanned}");
    }
}

#[test]
fn a_store_of_an_earlier_run_goes_on() {
    let folder = folder();
    for ids in ["v7", "v7", "v4"] {
        kept(folder.path(), &["--ids", ids, "--duplicates", "0"]);
    }
    assert_eq!(count(folder.path(), "Held"), (1_200, 20));
    let store = SqliteStore::open_read_only(folder.path().join("bench.db")).expect("a store");
    let stream = StreamName::parse("benchRuns-all").expect("a name");
    let read = StreamRead { stream, from: ReadFrom::After(Version::EMPTY), limit: 9 };
    let page = block_on(store.read_streams(vec![read])).pop().expect("a page").expect("readable");
    assert_eq!(page.records.len(), 3);
}

#[test]
fn what_is_no_store_of_a_run_is_left_alone() {
    let folder = folder();
    fs::write(folder.path().join("bench.db"), "somebody's letters").unwrap();
    bench(folder.path(), &HERE).refused_with(&["bench.db exists", "choose another path"]);
    assert_eq!(fs::read_to_string(folder.path().join("bench.db")).unwrap(), "somebody's letters");

    fs::remove_file(folder.path().join("bench.db")).unwrap();
    let store = SqliteStore::open(folder.path().join("bench.db")).expect("made");
    block_on(store.close()).expect("closed");
    drop(store);
    let before = fs::read(folder.path().join("bench.db")).unwrap();
    bench(folder.path(), &HERE).refused_with(&["no store of an earlier run", "choose another path"]);
    assert!(fs::read(folder.path().join("bench.db")).unwrap() == before);
}

#[test]
fn a_wrong_call_is_named_and_writes_nothing() {
    let calls: [(&[&str], &[&str]); 20] = [
        (&["--store", "mysql:x"], &["\"mysql:x\" is no store", "sqlite:PATH, postgres://… or memory"]),
        (&["--store", "postgres://host/db", "--restart"], &["--restart", "leave it out"]),
        (&["--processes", "2"], &["--processes", "postgres://"]),
        (&["--processes", "0"], &["--processes", "0 is not in 1..=64"]),
        (&["--processes", "2", "--store", "memory"], &["--processes", "postgres://"]),
        (
            &["--store", "postgres://host/db", "--processes", "3", "--clients", "2"],
            &["--processes 3 cannot share --clients 2"],
        ),
        (&["--store", "sqlite:"], &["is no store"]),
        (&["--store", "bench.db"], &["is no store"]),
        (&["--clients", "0"], &["--clients", "0 is not in 1..=65536"]),
        (&["--in-flight", "0"], &["--in-flight", "0 is not in 1..=65536"]),
        (&["--in-flight", "65536", "--clients", "65536"], &["commands at once", "choose less"]),
        (&["--accounts", "0"], &["--accounts"]),
        (&["--commands", "0"], &["--commands"]),
        (&["--commands", "3", "--floor"], &["--commands 3 cannot be cut into 5 rounds"]),
        (&["--duplicates", "1"], &["1 is not between 0 and 0.95"]),
        (&["--duplicates", "-0.1"], &["-0.1 is not between 0 and 0.95"]),
        (&["--duplicates", "nan"], &["is not between"]),
        (&["--ids", "v5"], &["--ids", "v7", "v4"]),
        (&["--tail", "1001"], &["--tail"]),
        (&["--restart", "--store", "memory"], &["--restart", "leave out --store memory"]),
    ];
    let folder = folder();
    for (call, parts) in calls {
        let call = [&["bench", "--store", "sqlite:bench.db"], call].concat();
        // The last of two stores would be an error of its own.
        let own = call.iter().skip(3).any(|argument| *argument == "--store");
        let call = if own { [&["bench"], &call[3..]].concat() } else { call };
        Run::of(folder.path(), &call).refused_with(parts);
        assert_eq!(files(folder.path()), BTreeSet::new(), "{call:?} left something behind");
    }
    Run::of(folder.path(), &[]).refused_with(&["Usage"]);
    Run::of(folder.path(), &["benhc"]).refused_with(&["benhc"]);
}

#[test]
fn help_shows_examples() {
    let run = Run::of(folder().path(), &["bench", "--help"]).succeeded();
    for part in ["Examples:", "--in-flight <M>", "[default: 64]", "sidestream bench --floor"] {
        assert!(run.stdout.contains(part), "no {part:?} in {}", run.stdout);
    }
    assert!(!run.stdout.contains("until-killed"));
}

/// The process that is to be killed ends by itself when nobody is left to kill it.
#[test]
fn the_process_to_be_killed_does_not_outlive_its_parent() {
    let folder = folder();
    let arguments = ["bench", "--until-killed", "--store", "sqlite:bench.db"];
    let status = command(folder.path(), &arguments).output().expect("it ends").status;
    assert_eq!(status.code(), Some(1));
}
