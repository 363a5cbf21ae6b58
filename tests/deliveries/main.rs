//! The program `deliveries`, as a user runs it: nothing is lost, doubled or out of order, and the backlog is as told.
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

use sidestream::testkit::{effort, require};

fn deliver(arguments: &[&str]) -> serde_json::Value {
    let messages = effort::cases(2_000).to_string();
    let output = Command::new(program::example("deliveries"))
        .args(["--messages", &messages, "--down-ms", "500"])
        .args(arguments)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let figures: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    for wrong in ["lost", "doubled_ids", "out_of_order", "backlog_wrong"] {
        assert_eq!(figures[wrong], 0, "{figures}");
    }
    assert_eq!(figures["received"], effort::cases(2_000), "{figures}");
    assert!(figures["kills"].as_u64().unwrap() >= 2 && figures["looks"].as_u64().unwrap() >= 10, "{figures}");
    figures
}

#[test]
fn a_bad_receiver_gets_everything_from_a_service_that_is_killed() {
    let figures = deliver(&["--seed", "3"]);
    let waited = u64::from(effort::cases(2_000)) * 9 / 10;
    assert_eq!(figures["backlog_max"], waited, "all of them waited while it was down: {figures}");
}

#[test]
fn a_nats_server_that_is_killed_has_each_message_once() {
    if require::program("nats-server", "apt-get install nats-server") {
        assert_eq!(deliver(&["--sink", "nats"])["duplicates"], 0);
    }
}

#[test]
fn a_file_and_a_channel_get_everything() {
    deliver(&["--sink", "file"]);
    deliver(&["--sink", "channel", "--store", "memory"]);
}

#[test]
fn what_cannot_be_done_is_said() {
    let output = Command::new(program::example("deliveries")).args(["--messages", "1"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let existing = tempfile::NamedTempFile::new().unwrap();
    let store = format!("sqlite:{}", existing.path().display());
    let output = Command::new(program::example("deliveries")).args(["--store", &store]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("is there already"));
}
