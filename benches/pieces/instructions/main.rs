//! How many instructions the pieces of the hot path take: counted by valgrind, so that a few per cent show on a noisy
//! machine too. Time in the kernel, a sync above all, is not among them. Run it by `just instructions`.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod counted;

use std::process::{Command, Stdio};

/// What has to be installed, and how.
const NEEDED: [(&str, &str); 2] = [
    ("valgrind", "by the system's packages"),
    ("gungraun-runner", "by `cargo install gungraun-runner --version 0.20.0 --locked`"),
];

fn main() {
    // Under valgrind this program is one bench, in an environment that says nothing of what is installed.
    let is_counted = std::env::args().nth(1).is_some_and(|argument| argument == "--gungraun-run");
    let missing: Vec<_> =
        NEEDED.iter().filter(|(program, _)| !is_counted && !is_installed(program)).collect();
    for (program, how) in &missing {
        println!("instructions: skipped, `{program}` is not installed; it is installed {how}");
    }
    if missing.is_empty() {
        counted::run();
    }
}

fn is_installed(program: &str) -> bool {
    // Whatever it answers: a program that is there can be started.
    Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}
