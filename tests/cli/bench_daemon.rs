//! `sidestream bench daemon`.

use std::path::Path;

use serde_json::Value;

use crate::bench::folder;
use crate::program::Run;

const CALL: [&str; 11] = [
    "bench",
    "daemon",
    "--events",
    "5000",
    "--accounts",
    "50",
    "--view",
    "--types",
    "3",
    "--json",
    "--store",
];

fn measured(folder: &Path, store: &str) -> Value {
    Run::of(folder, &[&CALL[..], &[store]].concat()).json()
}

#[test]
fn every_event_is_counted_and_rare_ones_are_read_alone() {
    let folder = folder();
    for store in ["sqlite:bench.db", "memory"] {
        let report = measured(folder.path(), store);
        let events = report["feed"]["events"].as_u64().expect("a count");
        assert!((5_000..9_000).contains(&events), "{report:#}");
        assert_eq!(report["handler"]["events"], events);
        assert_eq!(report["view"]["events"], events);
        // Every third is rare in so short a log.
        assert_eq!(report["rare"]["rows_read"], report["rare"]["events"]);
        assert!((1_000..3_000).contains(&report["rare"]["events"].as_u64().expect("a count")), "{report:#}");
        assert!(report["handler"]["events_per_second"].as_f64().expect("a rate") > 0.0);
    }
    let views = std::fs::read_dir(folder.path())
        .expect("a folder")
        .filter(|entry| entry.as_ref().expect("an entry").file_name().to_string_lossy().contains("view"));
    assert_eq!(views.count(), 0);
}

#[test]
fn a_rebuild_by_one_worker_and_by_two_is_compared() {
    let folder = folder();
    let call =
        ["bench", "daemon", "--events", "2000", "--rebuild", "--cost-us", "1", "--json", "--store", "memory"];
    let report = Run::of(folder.path(), &call).json();
    let rebuild = &report["rebuild"];
    assert_eq!((rebuild["cost_us"].as_u64(), rebuild["workers"].as_u64()), (Some(1), Some(2)), "{report:#}");
    assert!(rebuild["ratio"].as_f64().expect("a ratio") > 0.0);
    assert!(rebuild["one_per_second"].as_f64().expect("a rate") > 0.0);
}

#[test]
fn a_store_that_is_long_enough_is_not_filled_again() {
    let folder = folder();
    let first = measured(folder.path(), "sqlite:bench.db");
    let again = measured(folder.path(), "sqlite:bench.db");
    assert_eq!(first["feed"]["events"], again["feed"]["events"]);
}

#[test]
fn options_of_commands_do_not_mix_with_it() {
    let folder = folder();
    Run::of(folder.path(), &["bench", "--hot", "daemon"]).refused_with(&["daemon"]);
    Run::of(folder.path(), &["bench", "daemon", "--hot"]).refused_with(&["--hot"]);
}
