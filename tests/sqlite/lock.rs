//! One process writes.

use std::process::Command;

use sidestream::store::sqlite::SqliteStore;

use crate::support::*;

const PATH: &str = "SIDESTREAM_TEST_LOCKED_STORE";

#[tokio::test]
async fn a_second_writer_is_refused_in_the_same_process() {
    let place = Place::new();
    let store = place.open();
    let error = place.options().open().unwrap_err();
    assert_eq!(error.code(), "fenced", "{error}");
    assert!(error.to_string().contains("has a writer already"), "{error}");
    put(&store, &account("7"), 0, b"a").await.unwrap();
    drop(store);
    place.open();
}

#[tokio::test]
async fn a_second_writer_is_refused_in_another_process() {
    let place = Place::new();
    let store = place.open();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["lock::open_in_a_child", "--exact", "--nocapture", "--ignored"])
        .env(PATH, place.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout).into_owned();
    assert!(said.contains("CHILD fenced") && said.contains("CHILD reads 0"), "{said}");
    put(&store, &account("7"), 0, b"a").await.unwrap();
}

/// Run by the test above in a process of its own.
#[tokio::test]
#[ignore = "a part of another test"]
async fn open_in_a_child() {
    let Some(path) = std::env::var_os(PATH) else { return };
    println!("CHILD {}", SqliteStore::open(&path).unwrap_err().code());
    let reader = SqliteStore::open_read_only(&path).unwrap();
    println!("CHILD reads {}", payloads(&reader, &account("7")).await.len());
}

#[tokio::test]
async fn a_reader_sees_what_the_writer_commits_and_writes_nothing() {
    let place = Place::new();
    let store = place.open();
    let reader = SqliteStore::open_read_only(place.path()).unwrap();
    put(&store, &account("7"), 0, b"a").await.unwrap();
    assert_eq!(payloads(&reader, &account("7")).await, [b"a"]);
    let refused = put(&reader, &account("7"), 1, b"b").await.unwrap_err();
    assert!(refused.to_string().contains("for reading only"), "{refused}");
}
