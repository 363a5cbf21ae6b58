//! A store that cannot be used, and a file of balances that cannot be written: known before anything is sent.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use rusqlite::Connection;
use sidestream::store::sqlite::SqliteStore;
use sidestream::testkit;

use crate::program::{Run, command, folder, run};

const ROWS: &str =
    "transaction,account,date,kind,amount_minor,balance_minor\n1,7,1993-01-01,deposit,100,100\n";

fn with_rows() -> tempfile::TempDir {
    let folder = folder();
    fs::write(folder.path().join("rows.csv"), ROWS).unwrap();
    folder
}

fn replay(folder: &Path, store: &str, more: &[&str]) -> Run {
    run(folder, &[&["replay", "rows.csv", "--store", store], more].concat())
}

fn change(path: &Path, sql: &str) {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch(sql).unwrap();
    connection.close().unwrap();
}

/// Refused by every sub-command that opens it, and left as it was.
#[track_caller]
fn refused(folder: &Path, store: &str, parts: &[&str]) {
    let path = folder.join(store);
    let before = fs::read(&path).ok();
    let name = format!("cannot open the store {store}: ");
    for told in [
        replay(folder, store, &[]),
        run(folder, &["payroll", "--store", store]),
        run(folder, &["age", "--events", "10", "--store", store]),
    ] {
        told.failed_with(parts).failed_with(&[&name, "nothing was sent"]);
        assert!(fs::read(&path).ok() == before, "{store} was changed");
    }
}

#[test]
fn a_file_that_is_no_store_is_refused_and_left_as_it_is() {
    let folder = with_rows();
    fs::write(folder.path().join("letter.txt"), "To whom it may concern.\n".repeat(300)).unwrap();
    fs::write(folder.path().join("short.txt"), "x").unwrap();
    refused(folder.path(), "letter.txt", &["no SQLite database", "check the path"]);
    // To SQLite, a byte is as good as nothing: an empty database.
    refused(folder.path(), "short.txt", &["no sidestream store", "check the path"]);
    refused(folder.path(), "rows.csv", &["no SQLite database", "check the path"]);
    change(&folder.path().join("other.db"), "CREATE TABLE letters (text TEXT)");
    refused(folder.path(), "other.db", &["no sidestream store", "check the path"]);
}

#[test]
fn a_store_of_a_newer_schema_is_refused_and_left_as_it_is() {
    let folder = with_rows();
    replay(folder.path(), "bank.db", &["--check"]).succeeded();
    change(
        &folder.path().join("bank.db"),
        "INSERT INTO migrations SELECT count(*) + 1, zeroblob(32), 0 FROM migrations",
    );
    refused(folder.path(), "bank.db", &["newer schema", "use the version of sidestream that wrote it"]);
}

/// SQLite takes an empty file for an empty database, and `mktemp` makes one.
#[test]
fn an_empty_file_becomes_a_store() {
    let folder = with_rows();
    fs::write(folder.path().join("empty.db"), "").unwrap();
    replay(folder.path(), "empty.db", &["--check"]).succeeded();
    replay(folder.path(), "empty.db", &["--check"]).succeeded();
}

/// A store whose file was emptied is no empty file: its log still holds what was acknowledged.
#[test]
fn a_store_that_lost_its_file_and_kept_its_log_is_refused() {
    let folder = with_rows();
    fs::write(folder.path().join("bank.db"), "").unwrap();
    fs::write(folder.path().join("bank.db-wal"), [7; 5_000]).unwrap();
    refused(folder.path(), "bank.db", &["a write-ahead log but no database", "restore a backup"]);
    assert_eq!(fs::read(folder.path().join("bank.db-wal")).unwrap(), [7; 5_000]);
}

#[test]
fn a_store_in_use_by_another_process_is_refused() {
    let folder = with_rows();
    let path = folder.path().join("bank.db");
    testkit::run(async {
        let held = SqliteStore::open(&path).unwrap();
        for told in
            [replay(folder.path(), "bank.db", &[]), run(folder.path(), &["payroll", "--store", "bank.db"])]
        {
            told.failed_with(&[
                "fenced",
                "has a writer already",
                "stop the other writer",
                "nothing was sent",
            ]);
        }
        held.close().await.unwrap();
    });
    replay(folder.path(), "bank.db", &["--check"]).succeeded();
}

/// Of many that start at the same moment, some do the work, and the others say that they cannot.
#[test]
fn programs_that_start_at_once_never_work_on_one_store_side_by_side() {
    let folder = with_rows();
    let start = |_| {
        let mut program = command(folder.path(), &["replay", "rows.csv", "--store", "bank.db", "--check"]);
        program.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts")
    };
    let running: Vec<_> = (0..4).map(start).collect();
    let ended = running.into_iter().map(|child| Run::of(&child.wait_with_output().unwrap()));
    let (done, refused): (Vec<_>, Vec<_>) = ended.partition(|run| run.code == Some(0));
    let applied: i64 = done.iter().map(|run| crate::berka::totals(run).applied).sum();
    assert_eq!(applied, 1, "{done:#?} {refused:#?}");
    for run in refused {
        run.failed_with(&["has a writer already"]);
    }
}

#[test]
fn a_path_where_no_store_can_be_is_refused() {
    let folder = with_rows();
    fs::create_dir(folder.path().join("folder")).unwrap();
    for told in [replay(folder.path(), "folder", &[]), run(folder.path(), &["payroll", "--store", "folder"])]
    {
        told.failed_with(&["--store folder is a directory", "name a file", "nothing was sent"]);
    }
    assert_eq!(fs::read_dir(folder.path().join("folder")).unwrap().count(), 0);
    refused(folder.path(), "rows.csv/bank.db", &["cannot make the directory rows.csv", "permissions"]);
    // Where the machine lets nobody make a file, not even root.
    if Path::new("/proc/self").exists() {
        replay(folder.path(), "/proc/bank.db", &[]).failed_with(&["/proc/bank.db", "permissions"]);
    }
}

#[test]
fn balances_that_cannot_be_written_are_known_before_anything_is_sent() {
    let folder = with_rows();
    fs::create_dir(folder.path().join("folder")).unwrap();
    for (path, why) in
        [("nowhere/b.csv", "No such file"), ("folder", "directory"), ("rows.csv/b", "directory")]
    {
        let told = replay(folder.path(), "bank.db", &["--balances", path]);
        told.failed_with(&[&format!("--balances {path}"), why, "name another file", "nothing was sent"]);
        assert!(!folder.path().join("bank.db").exists());
    }
}

/// The balances never overwrite what the program reads from, whatever way its name is written.
#[test]
fn balances_in_place_of_the_rows_or_the_store_are_refused() {
    let folder = with_rows();
    replay(folder.path(), "bank.db", &["--check"]).succeeded();
    let before = fs::read(folder.path().join("bank.db")).unwrap();
    let whole = folder.path().join("bank.db").display().to_string();
    for path in ["rows.csv", "./rows.csv", "bank.db", &whole, "bank.db-wal", "bank.db.lock"] {
        let told = replay(folder.path(), "./bank.db", &["--balances", path]);
        told.failed_with(&["would overwrite what is read from", "nothing was sent"]);
    }
    assert_eq!(fs::read_to_string(folder.path().join("rows.csv")).unwrap(), ROWS);
    assert!(fs::read(folder.path().join("bank.db")).unwrap() == before);
}

/// What the file held stays until there are new balances, and a run that fails leaves no file behind.
#[test]
fn balances_are_replaced_at_the_end_only() {
    let folder = with_rows();
    let balances = folder.path().join("b.csv");
    fs::write(&balances, "old").unwrap();
    fs::write(folder.path().join("letter.txt"), "To whom it may concern.\n").unwrap();
    replay(folder.path(), "letter.txt", &["--balances", "b.csv"]).failed_with(&["letter.txt"]);
    assert_eq!(fs::read_to_string(&balances).unwrap(), "old");
    replay(folder.path(), "letter.txt", &["--balances", "c.csv"]).failed_with(&["letter.txt"]);
    assert!(!folder.path().join("c.csv").exists());
    replay(folder.path(), "bank.db", &["--balances", "b.csv"]).succeeded();
    assert_eq!(fs::read_to_string(&balances).unwrap(), "account,balance_minor\n7,100\n");
}
