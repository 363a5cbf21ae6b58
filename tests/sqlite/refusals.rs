//! What is no store of ours is refused with the reason, and not changed.

use std::path::Path;

use rusqlite::Connection;
use sidestream::partition::PartitionCount;
use sidestream::store::sqlite::SqliteStore;
use sidestream::store::transfer::{Mark, Transfer};

use crate::support::*;

async fn closed_store() -> Place {
    let place = Place::new();
    let store = place.open();
    put(&store, &account("7"), 0, b"a").await.unwrap();
    store.close().await.unwrap();
    place
}

fn change(path: &Path, sql: &str) {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch(sql).unwrap();
    connection.close().unwrap();
}

fn refused(place: &Place, expected: &[&str]) {
    refused_with(place, SqliteStore::builder(place.path()), expected);
}

fn refused_with(place: &Place, options: sidestream::store::sqlite::Options, expected: &[&str]) {
    let before = std::fs::read(place.path()).unwrap();
    let error = options.open().unwrap_err().to_string();
    for part in expected {
        assert!(error.contains(part), "{error}");
    }
    assert!(std::fs::read(place.path()).unwrap() == before, "the file is as it was");
}

#[tokio::test]
async fn a_file_that_is_no_database() {
    let place = Place::new();
    std::fs::write(place.path(), "To whom it may concern.\n".repeat(300)).unwrap();
    refused(&place, &["invalid: the file is no SQLite database"]);
}

#[tokio::test]
async fn a_database_that_is_no_store() {
    let place = Place::new();
    change(&place.path(), "PRAGMA journal_mode = WAL; CREATE TABLE letters (text TEXT)");
    refused(&place, &["no sidestream store", "application id 0x73696465, found 0x0"]);
}

#[tokio::test]
async fn a_newer_schema() {
    let place = closed_store().await;
    change(&place.path(), "INSERT INTO migrations VALUES (4, zeroblob(32), 0)");
    refused(&place, &["newer schema", "expected at most step 3, found step 4"]);
}

#[tokio::test]
async fn an_older_schema_is_brought_up_to_date_by_the_next_writer() {
    let place = closed_store().await;
    change(
        &place.path(),
        "DROP TABLE copy; DROP TABLE gone; DROP TABLE guarded_rows; DROP TABLE closed; \
         DELETE FROM migrations WHERE number > 1",
    );
    SqliteStore::open_read_only(place.path()).unwrap().close().await.unwrap();
    let store = place.options().open().unwrap();
    assert_eq!(store.mark().await.unwrap(), Mark::None);
}

#[tokio::test]
async fn a_changed_step_of_the_schema() {
    let place = closed_store().await;
    change(&place.path(), "UPDATE migrations SET checksum = zeroblob(32)");
    refused(&place, &["step 1 of the store's schema is not the one this program knows"]);
}

#[tokio::test]
async fn another_number_of_partitions() {
    let place = closed_store().await;
    let options = SqliteStore::builder(place.path()).partitions(PartitionCount::new(4).unwrap());
    refused_with(&place, options, &["another number of partitions (expected 4, found 16)"]);
    place.options().partitions(PartitionCount::new(16).unwrap()).open().unwrap();
}

#[tokio::test]
async fn reading_makes_no_store() {
    let place = Place::new();
    let error = SqliteStore::open_read_only(place.path()).unwrap_err();
    assert_eq!(error.code(), "invalid");
    assert!(!place.path().exists());
}
