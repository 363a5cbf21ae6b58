//! The race, as a user runs it: nothing is missed, doubled or out of order.
#![cfg(unix)]
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests: what fails panics"
)]

#[path = "../payments/program.rs"]
#[allow(dead_code, reason = "not every test binary uses all of it")]
mod program;

use std::process::Command;

use sidestream::testkit::effort;
use sidestream::testkit::postgres::{Binaries, Server};

fn race(arguments: &[String]) -> serde_json::Value {
    let output = Command::new(program::example("race")).args(arguments).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().unwrap_or_default();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let figures: serde_json::Value = serde_json::from_str(last).unwrap();
    for wrong in ["missed", "doubled", "out_of_order"] {
        assert_eq!(figures[wrong], 0, "{figures}");
    }
    figures
}

fn events() -> String {
    format!("--events={}", effort::cases(4_000))
}

#[test]
fn nothing_is_missed_on_sqlite() {
    let figures = race(&[events(), "--kill=0.005".to_owned()]);
    assert!(figures["events"].as_u64().unwrap() >= 4_000, "{figures}");
}

/// A writing transaction in another database stays open all the while: positions, and no transaction numbers, say how far
/// the log goes.
#[test]
fn nothing_is_missed_on_postgres_and_a_transaction_in_another_database_holds_nothing_up() {
    let Some(binaries) = Binaries::found_or_skipped() else { return };
    let server = Server::shared(&binaries);
    let store = format!("--store={}", server.fresh_database());
    let beside = format!("--beside={}", server.fresh_database());
    let arguments = [store, beside, events(), "--kill=0.01".to_owned(), "--writers=3".to_owned()];
    let figures = race(&arguments);
    assert!(figures["events"].as_u64().unwrap() >= 4_000, "{figures}");
}
