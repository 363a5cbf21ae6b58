//! A process that is killed while it appends loses nothing that it was told is there.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sidestream::store::sqlite::{Integrity, SqliteStore};
use sidestream::store::{AppendFailure, ReadFrom, StreamRead};
use sidestream::stream::Version;
use sidestream::{EventStore, TransactionId};

use crate::support::*;

const PATH: &str = "SIDESTREAM_TEST_KILLED_STORE";
const ROUNDS: u32 = 6;
const WRITERS: u64 = 8;
/// After so many answers the child ends by itself, abruptly: it never outlives a test that failed.
const MOST_ACKS: usize = 2_000;
/// The indexes are being written and merged whenever the kill comes.
const FLUSH_AFTER: usize = 5;
static ACKS: AtomicUsize = AtomicUsize::new(0);

/// Starts a process that appends, under another program where one is given.
fn start(path: &std::path::Path, under: &[&str]) -> Child {
    let test = std::env::current_exe().unwrap();
    let mut command = under.first().map_or_else(|| Command::new(&test), Command::new);
    if !under.is_empty() {
        command.args(&under[1..]).arg(&test);
    }
    command
        .args(["kill::append_in_a_child", "--exact", "--nocapture", "--ignored"])
        .env(PATH, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// What the child was told is there (by writer, the version of its account), and how often, until it ends. It
/// is killed after so many answers.
fn listen(mut child: Child, acks: usize) -> (BTreeMap<u64, u64>, usize) {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut told = BTreeMap::new();
    let mut count = 0;
    while let Some(Ok(line)) = lines.next() {
        // The test harness may write its own words in front.
        let Some(ack) = line.split("ACK ").nth(1) else { continue };
        let Some((writer, version)) = ack.split_once(' ') else { continue };
        let (Ok(writer), Ok(version)) = (writer.parse(), version.parse()) else { continue };
        told.insert(writer, version);
        count += 1;
        if count == acks {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    (told, count)
}

fn listen_then_kill(child: Child, acks: usize) -> BTreeMap<u64, u64> {
    let (told, count) = listen(child, acks);
    assert!(count >= acks, "the child ended by itself after {count} answers");
    told
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_by_kill_9() {
    let place = Place::new();
    let mut versions = BTreeMap::new();
    for round in 0..ROUNDS {
        let told = listen_then_kill(start(&place.path(), &[]), 40 + 57 * round as usize);
        versions.extend(told);
        let store = place.open();
        check(&store, &versions).await;
        wait_for_check(&store).await;
        if round % 2 == 0 {
            store.close().await.unwrap();
        }
    }
}

/// The real thing, where the tool is installed: the kernel answers EIO to some syncs. One is fenced off and the
/// service goes on; when all fail the process ends by itself, with a signal.
#[tokio::test]
async fn nothing_acknowledged_is_lost_by_failing_syncs() {
    if !sidestream::testkit::require::program("strace", "apt-get install strace") {
        return;
    }
    let place = Place::new();
    let mut versions = BTreeMap::new();
    // Two in a row may be a commit's and its fence's, which ends the process, or a checkpoint's and a commit's,
    // which does not: that depends on when the writer found time to checkpoint.
    let rounds = [
        ("20", Some(false)),
        ("33", Some(false)),
        ("24+", Some(true)),
        ("31..32", None),
        ("40+", Some(true)),
    ];
    for (when, ends) in rounds {
        let inject = format!("inject=fsync:error=EIO:when={when}");
        let child =
            start(&place.path(), &["strace", "-f", "-o", "/dev/null", "-e", "trace=fsync", "-e", &inject]);
        let (told, count) = listen(child, usize::MAX);
        let ended = count < MOST_ACKS;
        assert!(ends.is_none_or(|ends| ends == ended), "{when}: {count} answers");
        versions.extend(told);
        let store = place.open();
        check(&store, &versions).await;
    }
}

/// All that was told is there, whole and in order.
async fn check(store: &SqliteStore, versions: &BTreeMap<u64, u64>) {
    for (writer, version) in versions {
        let page = read(store, &account(&writer.to_string()), 0).await.unwrap();
        assert!(page.head.get() >= *version, "writer {writer}: told {version}, found {}", page.head);
        assert_eq!(page.head.get() % 2, 0, "units of two records are whole");
        for record in &page.records {
            // Each event has its side stream, written in the same unit.
            let transaction = record.data.cause.as_ref().unwrap().transaction;
            let stream = side(&writer.to_string(), transaction);
            let from = ReadFrom::After(Version::EMPTY);
            let side =
                store.read_streams(vec![StreamRead { stream, from, limit: 1 }]).await.remove(0).unwrap();
            assert_eq!(side.head, Version::new(1));
        }
    }
    let mut total = 0;
    for partition in store.properties().partitions.all() {
        total += check_log(store, partition).await;
    }
    assert!(total > 0);
}

async fn wait_for_check(store: &SqliteStore) {
    for _ in 0..500 {
        match store.status().integrity {
            Integrity::Checking => tokio::time::sleep(Duration::from_millis(10)).await,
            // A kill may hit a moment with nothing in the log.
            Integrity::Sound | Integrity::NotChecked => return,
            other => panic!("{other:?}"),
        }
    }
    panic!("the check does not end");
}

/// Run by the test above in a process of its own, until it is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a part of another test"]
async fn append_in_a_child() {
    let Some(path) = std::env::var_os(PATH) else { return };
    let limits = sidestream::store::sqlite::WalLimits {
        checkpoint_bytes: 200_000,
        restart_bytes: 400_000,
        most_bytes: 1 << 30,
    };
    let store = SqliteStore::builder(&path).wal_limits(limits).flush_after(FLUSH_AFTER).open().unwrap();
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        writers.push(tokio::spawn(write(store.clone(), writer)));
    }
    for writer in writers {
        writer.await.unwrap();
    }
}

async fn write(store: SqliteStore, writer: u64) {
    let stream = account(&writer.to_string());
    let mut version = read(&store, &stream, u64::MAX).await.unwrap().head.get();
    loop {
        let transaction = TransactionId::derive(&stream.to_string(), &version.to_string());
        let mut events = vec![event("Held", &[b'x'; 700]), event("Captured", b"y")];
        events.iter_mut().for_each(|event| event.cause = Some(cause(transaction)));
        let mut unit = sidestream::store::Unit::one(append(&stream, Version::new(version), events));
        unit.appends.push(append(
            &side(&writer.to_string(), transaction),
            Version::EMPTY,
            vec![event("Requested", b"")],
        ));
        // What failed and was fenced off is tried again, with the same id.
        match put_unit(&store, unit).await {
            Ok(_) => version += 2,
            Err(AppendFailure::Refused(_)) => continue,
            Err(failure) => panic!("{failure}"),
        }
        println!("ACK {writer} {version}");
        if ACKS.fetch_add(1, Ordering::SeqCst) >= MOST_ACKS {
            std::process::abort();
        }
    }
}
