//! However a process ends, it leaves no server behind.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use sidestream::testkit::postgres::{Binaries, Server};

use crate::support::*;

/// How the child is to end.
const END: &str = "SIDESTREAM_TEST_SERVER_END";

#[test]
fn by_a_process_that_is_killed() {
    let Some(mut child) = child("killed") else { return };
    let (process, folder, _output) = told(&mut child);
    assert!(is_alive(process) && folder.exists());
    child.kill().unwrap();
    child.wait().unwrap();
    wait_until_gone(process, &folder);
}

#[test]
fn by_a_process_that_ends_with_a_server_in_a_static() {
    let Some(mut child) = child("returns") else { return };
    let (process, folder, _output) = told(&mut child);
    assert!(child.wait().unwrap().success());
    wait_until_gone(process, &folder);
}

#[test]
fn by_a_process_that_panics() {
    let Some(mut child) = child("panics") else { return };
    let (process, folder, _output) = told(&mut child);
    assert!(!child.wait().unwrap().success());
    wait_until_gone(process, &folder);
}

fn child(end: &str) -> Option<Child> {
    Binaries::found_or_skipped()?;
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["left_behind::start_a_server_in_a_child", "--exact", "--nocapture", "--ignored"]);
    let piped = command.env(END, end).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    Some(piped.spawn().unwrap())
}

/// The server that the child started: its process and its folder. The child must be able to write on while the
/// last part is kept.
fn told(child: &mut Child) -> (u32, PathBuf, impl Sized + use<>) {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // The test harness may write its own words in front.
    let found = lines.by_ref().map_while(Result::ok).find_map(|line| {
        let (process, folder) = line.split("SERVER ").nth(1)?.split_once(' ')?;
        Some((process.parse().ok()?, PathBuf::from(folder)))
    });
    let (process, folder) = found.expect("the child starts a server");
    (process, folder, lines)
}

#[test]
#[ignore = "started by the tests above"]
fn start_a_server_in_a_child() {
    let Ok(end) = std::env::var(END) else { return };
    let server = Server::shared(&Binaries::find().unwrap());
    println!("SERVER {} {}", server.process_id().unwrap(), server.folder().display());
    match end.as_str() {
        "panics" => panic!("as it was told"),
        // Until the other end is closed, should the parent die before it kills.
        "killed" => drop(std::io::stdin().lines().next()),
        _ => {}
    }
}
