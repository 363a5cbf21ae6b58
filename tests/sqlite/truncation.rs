//! Removing the first records of a stream.

use sidestream::EventStore;
use sidestream::partition::PartitionId;
use sidestream::store::Unit;
use sidestream::stream::{Position, Version};

use crate::support::*;

#[tokio::test]
async fn truncation_goes_slice_by_slice_and_leaves_the_rest() {
    let place = Place::new();
    let store = place.open_one();
    let stream = account("7");
    for n in 0..4_u64 {
        let records = (0..3_000).map(|_| event("Deposited", b"x")).collect();
        put_unit(&store, Unit::one(append(&stream, Version::new(n * 3_000), records))).await.unwrap();
    }
    put(&store, &account("8"), 0, b"other").await.unwrap();
    let floor = store.truncate(&stream, Version::new(11_999)).await.unwrap();
    assert_eq!(floor, Version::new(11_999));
    assert_eq!(store.truncate(&stream, Version::new(5)).await.unwrap(), floor, "a floor is never lowered");
    let error = store.truncate(&stream, Version::new(12_001)).await.unwrap_err();
    assert!(error.to_string().contains("at most version 12000, found 12001"), "{error}");
    drop(store);

    let store = place.open_one();
    let page = read(&store, &stream, 0).await.unwrap();
    assert_eq!((page.floor, page.head.get(), page.records.len()), (floor, 12_000, 1));
    let log = store.read_log(PartitionId::new(0), Position::START, 10).await.unwrap();
    assert_eq!(log.records.iter().map(|r| r.position.get()).collect::<Vec<_>>(), [12_000, 12_001]);
    store.truncate(&stream, Version::new(12_000)).await.unwrap();
    assert_eq!(put(&store, &stream, 12_000, b"y").await.unwrap().first, Position::new(12_002));
    assert_eq!(payloads(&store, &account("8")).await, [b"other"]);
}

#[tokio::test]
async fn a_stream_that_does_not_exist_has_nothing_to_remove() {
    let place = Place::new();
    let store = place.open();
    assert_eq!(store.truncate(&account("7"), Version::EMPTY).await.unwrap(), Version::EMPTY);
    assert_eq!(store.truncate(&account("7"), Version::new(1)).await.unwrap_err().code(), "invalid");
}
