//! A worker's process that is really stopped, for longer than its leases, and goes on.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sidestream::projection::SqliteView;
use sidestream::runtime::Runtime;
use sidestream::testkit::run;

use crate::database::Database;
use crate::in_time;
use crate::postgres::open;
use crate::real::{PARTITIONS, fold, in_sqlite, read_sqlite, settings, write};

/// Where the worker's process finds its store and its view.
const STORE: &str = "SIDESTREAM_TEST_WORKER_STORE";
const VIEW: &str = "SIDESTREAM_TEST_WORKER_VIEW";
/// What it says when it has all partitions, and what it says at its end.
const HOLDS: &str = "holds all";
const LOST: &str = "lost";

/// Not a test, but the process of one: a worker until standard input ends.
#[test]
fn a_workers_process() {
    let (Ok(url), Ok(path)) = (std::env::var(STORE), std::env::var(VIEW)) else { return };
    run(async {
        let builder = Runtime::builder(open(&url).await).settings(settings("stopped".to_owned()));
        let service = builder.define(in_sqlite(), SqliteView::open(path).unwrap()).start().unwrap();
        let mut cluster = service.cluster();
        let all = cluster.wait_for(|status| status.held.len() == usize::from(PARTITIONS));
        drop(in_time("all partitions", all).await.unwrap());
        println!("\n{HOLDS}");
        tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()).ok()).await.unwrap();
        let status = service.status().cluster;
        println!("\n{LOST} {}", status.lost + status.fenced);
        service.shutdown().await;
    });
}

fn worker(url: &str, view: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["stopped::a_workers_process", "--exact", "--nocapture"]);
    command.env(STORE, url).env(VIEW, view).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args(["-s", name, &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

/// The next line that begins so.
fn line(output: &mut impl BufRead, start: &str) -> String {
    let mut lines = output.lines().map(|line| line.expect("readable"));
    lines.find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("it ended without {start:?}"))
}

#[test]
fn a_process_that_was_stopped_for_longer_than_its_leases_changes_nothing_any_more() {
    let database = Database::new();
    if database.server().is_none() {
        return;
    }
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("view.db");
        let view = SqliteView::open(&path).unwrap();
        let store = open(&database.url()).await;
        let mut child = worker(&database.url(), &path);
        let mut output = BufReader::new(child.stdout.take().unwrap());
        line(&mut output, HOLDS);
        write(&*store, 100).await;
        until_whole(&*store, &view).await;
        // It has no transaction open now, so the view's file is not locked by whoever is stopped.
        signal(&child, "STOP");
        let builder = Runtime::builder(std::sync::Arc::clone(&store)).settings(settings("heir".to_owned()));
        let heir = builder.define(in_sqlite(), SqliteView::open(&path).unwrap()).start().unwrap();
        let mut cluster = heir.cluster();
        let all = cluster.wait_for(|status| status.held.len() == usize::from(PARTITIONS));
        drop(in_time("all partitions", all).await.unwrap());
        write(&*store, 200).await;
        until_whole(&*store, &view).await;
        signal(&child, "CONT");
        write(&*store, 200).await;
        until_whole(&*store, &view).await;
        // It joins as one that lost everything, and gets its share.
        let shared = cluster.wait_for(|status| status.held.len() == usize::from(PARTITIONS) / 2);
        drop(in_time("half of the partitions", shared).await.unwrap());
        write(&*store, 200).await;
        until_whole(&*store, &view).await;
        drop(child.stdin.take());
        let lost = line(&mut output, LOST);
        let lost: u16 = lost.trim_start_matches(LOST).trim().parse().unwrap();
        assert_eq!(lost, PARTITIONS, "it heard of each");
        assert!(child.wait().unwrap().success());
        heir.shutdown().await;
    });
}

async fn until_whole(store: &dyn sidestream::EventStore, view: &SqliteView) {
    let expected = fold(store).await;
    for _ in 0..600 {
        if read_sqlite(view).await == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(read_sqlite(view).await, expected);
}
