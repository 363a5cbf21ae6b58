//! A bank's real transactions: an oracle that knows nothing of this program. It is not part of the package.

use std::fs;
use std::path::{Path, PathBuf};

use sidestream::event::RecordKind;
use sidestream::store::sqlite::SqliteStore;
use sidestream::stream::Position;
use sidestream::testkit;
use sidestream::{EventStore, TransactionId};

use crate::program::{Run, run};

pub const ROWS: i64 = 23_009;
pub const ACCOUNTS: usize = 588;

/// The whole file, or nothing, said aloud, where it is not there.
pub fn file() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/berka.csv");
    let how = "put the PKDD'99 bank data at ../shared/data/berka.csv, in the columns transaction, account, date, \
        kind, amount_minor, balance_minor, as its README tells";
    testkit::require::file("berka", &path, how).then_some(path)
}

/// The file's first rows, as a file in `folder`.
pub fn beginning(folder: &Path, rows: usize) -> Option<PathBuf> {
    let text = fs::read_to_string(file()?).unwrap();
    let lines: Vec<&str> = text.lines().take(rows + 1).collect();
    let path = folder.join("beginning.csv");
    fs::write(&path, lines.join("\n") + "\n").unwrap();
    Some(path)
}

/// The commands that a file amounts to: a withdrawal is a hold and a capture.
pub fn commands(file: &Path) -> i64 {
    let text = fs::read_to_string(file).unwrap();
    let of = |line: &str| if line.contains(",withdrawal,") { 2 } else { 1 };
    text.lines().skip(1).map(of).sum()
}

/// Replays a file in a folder, on `bank.db`, and checks it.
pub fn replay(folder: &Path, file: &Path, more: &[&str]) -> Run {
    run(folder, &arguments(file, more))
}

pub fn arguments<'a>(file: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
    let file = file.to_str().expect("UTF-8");
    [&["replay", file, "--store", "bank.db", "--check"], more].concat()
}

/// The last line's numbers.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Totals {
    pub applied: i64,
    pub replayed: i64,
    pub refused: i64,
    pub recovered: i64,
    pub mismatches: i64,
    pub seconds: f64,
}

#[track_caller]
pub fn totals(run: &Run) -> Totals {
    let line = run.stdout.lines().last().expect("a last line");
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
}

/// How many events are in a store, and how many transactions they are of.
pub fn events(store: &Path) -> (i64, usize) {
    testkit::run(async {
        let store = SqliteStore::open(store).unwrap();
        let (mut events, mut transactions) = (0, std::collections::BTreeSet::<TransactionId>::new());
        for partition in store.properties().partitions.all() {
            let mut after = Position::START;
            loop {
                let page = store.read_log(partition, after, 4_096).await.unwrap();
                let Some(last) = page.records.last() else { break };
                after = last.position;
                for record in page.records.iter().filter(|record| record.data.kind == RecordKind::Event) {
                    events += 1;
                    transactions.extend(record.data.cause.as_ref().map(|cause| cause.transaction));
                }
            }
        }
        store.close().await.unwrap();
        (events, transactions.len())
    })
}
