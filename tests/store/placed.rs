//! A store made of several: the contract on any mix, every mistake of a placement, and a store that is down.

use std::sync::Arc;

use async_trait::async_trait;
use sidestream::clock::{ManualClock, Timestamp};
use sidestream::partition::{PartitionCount, PartitionId};
use sidestream::store::memory::MemoryStore;
use sidestream::store::placed::{PlacedStore, Placement};
use sidestream::store::sqlite::SqliteStore;
use sidestream::store::{AppendFailure, Atomicity, EventStore, OpenStepsRead, ReadFrom, StreamRead, Unit};
use sidestream::stream::{Position, StreamName, Version};
use sidestream::testkit::conformance::Fixture;
use sidestream::testkit::faults::{Fault, FaultyStore, Script};
use sidestream::testkit::run;
use sidestream::{Error, ErrorKind};
use uuid::Uuid;

use crate::several::{Kind, Several, append, event, stream_in};

/// Partitions in turns on two stores.
struct Placed(Several);

impl Placed {
    fn of(first: Kind, second: Kind, partitions: u16) -> Self {
        Self(Several::new([first, second], partitions, Atomicity::Batch))
    }
}

#[async_trait]
impl Fixture for Placed {
    async fn open(&self) -> Arc<dyn EventStore> {
        let [even, odd] = self.0.open();
        Arc::new(in_turns(even, odd).open().await.expect("opened"))
    }

    async fn set_clock(&self, now: Timestamp) -> bool {
        self.0.clock.set(now);
        true
    }
}

pub(crate) fn in_turns(even: impl EventStore, odd: impl EventStore) -> Placement {
    let count = even.properties().partitions;
    let of = |rest| count.all().filter(move |partition| partition.get() % 2 == rest);
    PlacedStore::builder().place(of(0), even).place(of(1), odd)
}

mod on_memory {
    async fn fresh_store() -> super::Placed {
        super::Placed::of(super::Kind::Memory, super::Kind::Memory, 16)
    }
    sidestream::conformance!(fresh_store);
}

/// Whatever the stores can do together, they can do placed.
mod on_memory_of_single_streams {
    async fn fresh_store() -> super::Placed {
        let kinds = [super::Kind::Memory, super::Kind::Memory];
        super::Placed(super::Several::new(kinds, 2, super::Atomicity::Stream))
    }
    sidestream::conformance!(fresh_store);
}

mod on_memory_and_sqlite {
    async fn fresh_store() -> super::Placed {
        super::Placed::of(super::Kind::Memory, super::Kind::Sqlite, 2)
    }
    sidestream::conformance!(fresh_store);
}

mod on_sqlite {
    async fn fresh_store() -> super::Placed {
        super::Placed::of(super::Kind::Sqlite, super::Kind::Sqlite, 16)
    }
    sidestream::conformance!(fresh_store);
}

fn memory(partitions: u16) -> MemoryStore {
    memory_of(partitions, Atomicity::Batch)
}

fn memory_of(partitions: u16, atomicity: Atomicity) -> MemoryStore {
    let clock = sidestream::clock::SystemClock;
    MemoryStore::with(PartitionCount::new(partitions).expect("a count"), atomicity, Arc::new(clock))
}

fn ids(numbers: impl IntoIterator<Item = u16>) -> Vec<PartitionId> {
    numbers.into_iter().map(PartitionId::new).collect()
}

/// The refusal, which is the caller's mistake, in words.
async fn refused(placement: Placement) -> String {
    let error: Error = placement.open().await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    error.to_string()
}

fn says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in {message}");
    }
}

#[test]
fn every_mistake_of_a_placement_is_refused_with_its_name() {
    run(async {
        let all = || ids(0..4);
        says(&refused(PlacedStore::builder()).await, &["no partition is placed"]);

        let gaps = PlacedStore::builder().place(ids([0]), memory(4)).place(ids([2]), memory(4));
        says(&refused(gaps).await, &["not placed: 1, 3", "expected all 4 partitions, found 2"]);

        let twice = PlacedStore::builder().place(all(), memory(4)).place(ids([3]), memory(4));
        says(&refused(twice).await, &["partition 3 is placed more than once", "expected one place, found 2"]);

        let beyond = PlacedStore::builder().place(ids(0..5), memory(4));
        says(&refused(beyond).await, &["partition 4 does not exist", "expected below 4, found 4"]);

        let (four, eight) = (memory(4), memory(8));
        let names = [four.properties().id.to_string(), eight.properties().id.to_string()];
        let counts = PlacedStore::builder().place(ids(0..2), four).place(ids(2..4), eight);
        let message = refused(counts).await;
        says(&message, &["differ in their number of partitions", "4 partitions, as in", "8 partitions in"]);
        says(&message, &[&names[0], &names[1]]);

        let streams = memory_of(4, Atomicity::Stream);
        let atomicity = PlacedStore::builder().place(ids(0..2), memory(4)).place(ids(2..4), streams);
        says(
            &refused(atomicity).await,
            &["differ in what they commit at once", "units of several streams", "units of one stream"],
        );

        let same = memory(4);
        let id = same.properties().id.to_string();
        let handles = PlacedStore::builder().place(ids(0..2), same.clone()).place(ids(2..4), same);
        says(&refused(handles).await, &["was given twice", &id, "give each store once"]);
    });
}

/// Each partition's history stays where it was written: a placement that looks for it elsewhere is refused.
#[test]
fn a_partition_with_records_cannot_be_placed_elsewhere() {
    run(async {
        let (a, b) = (memory(4), memory(4));
        let placed = in_turns(a.clone(), b.clone()).open().await.expect("opened");
        let id = placed.properties().id;
        assert_eq!(in_turns(a.clone(), b.clone()).open().await.expect("opened").properties().id, id);
        let stream = stream_in(PartitionId::new(1), placed.properties().partitions);
        append(&placed, &stream, 0, vec![event("here")]).await.expect("committed");

        let moved = || PlacedStore::builder().place(ids([0, 1, 2]), a.clone()).place(ids([3]), b.clone());
        let message = refused(moved()).await;
        says(&message, &["holds records of a partition that is not placed on it", stream.as_str()]);
        says(
            &message,
            &[&b.properties().id.to_string(), "no record of partition 1", "restore the placement"],
        );

        // Without the store that holds it, the partition would begin anew: only the id tells.
        let without = |odd| in_turns(a.clone(), odd).expect_id(id);
        says(
            &refused(without(memory(4))).await,
            &["another placement", &id.to_string(), "restore the placement"],
        );
        let reopened = without(b.clone()).open().await.expect("the same placement");
        assert_eq!(reopened.properties().id, id);
    });
}

/// The id is stored by those who expect it: how it is derived may not change.
#[test]
fn the_id_of_a_placement_is_as_it_was() {
    run(async {
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1)));
        let count = PartitionCount::new(2).expect("a count");
        // Ids of a manual clock count up: 1 and 2.
        let [a, b] = [0, 1].map(|_| MemoryStore::with(count, Atomicity::Batch, clock.clone()));
        let id = async |places: [&MemoryStore; 2]| {
            in_turns(places[0].clone(), places[1].clone()).open().await.expect("opened").properties().id
        };
        assert_eq!(id([&a, &b]).await, Uuid::parse_str(PINNED_ID).expect("an id"));
        assert_ne!(id([&a, &b]).await, id([&b, &a]).await, "another placement is another store");
    });
}

const PINNED_ID: &str = "a8809f9c-1e56-5534-beaa-c45925bcbdcd";

fn read(stream: &StreamName) -> StreamRead {
    StreamRead { stream: stream.clone(), from: ReadFrom::After(Version::EMPTY), limit: 10 }
}

#[test]
fn a_store_that_is_down_fails_its_own_partitions_and_no_others() {
    run(async {
        let down = FaultyStore::new(Arc::new(memory(4)), Script::new());
        let placed = in_turns(memory(4), down.clone()).open().await.expect("opened");
        let count = placed.properties().partitions;
        let streams: Vec<_> = count.all().map(|partition| stream_in(partition, count)).collect();
        for stream in &streams {
            append(&placed, stream, 0, vec![event("before")]).await.expect("committed");
        }
        let outage = (1..1_000).fold(Script::new(), |script, call| script.call(call, Fault::Unavailable));
        down.set_script(outage);
        // In one call, the others' pages come as ever, each in its place.
        let reads = [0, 1, 2, 3, 2, 0].map(|number: usize| read(&streams[number]));
        let pages = placed.read_streams(reads.to_vec()).await;
        for (page, number) in pages.iter().zip([0, 1, 2, 3, 2, 0]) {
            match (page, number % 2) {
                (Ok(page), 0) => assert_eq!(page.records[0].stream, streams[number]),
                (Err(error), 1) => assert_eq!(error.kind(), ErrorKind::Unavailable),
                other => panic!("stream {number}: {other:?}"),
            }
        }
        for (partition, stream) in count.all().zip(&streams) {
            let is_up = partition.get() % 2 == 0;
            let log = placed.read_log(partition, Position::START, 10).await;
            let types = placed.read_types(partition, &[], Position::START, 10).await;
            let category = "accountTransaction".to_owned();
            let open = OpenStepsRead {
                partition,
                category,
                older_than: std::time::Duration::ZERO,
                after: None,
                limit: 1,
            };
            let open = placed.open_steps(open).await;
            let floor = placed.truncate(stream, Version::EMPTY).await;
            let appended = append(&placed, stream, 1, vec![event("after")]).await;
            let all = [log.is_ok(), types.is_ok(), open.is_ok(), floor.is_ok(), appended.is_ok()];
            assert_eq!(all, [is_up; 5], "partition {partition}");
        }
        down.set_script(Script::new());
        append(&placed, &streams[1], 1, vec![event("again")]).await.expect("back again");
    });
}

#[test]
fn a_partition_that_does_not_exist_is_refused() {
    run(async {
        let placed = in_turns(memory(2), memory(2)).open().await.expect("opened");
        let beyond = PartitionId::new(2);
        assert_eq!(placed.store_of(beyond).expect_err("none").kind(), ErrorKind::Invalid);
        let refused = placed.append(beyond, vec![Unit::default()]).await.remove(0);
        assert!(matches!(refused, Err(AppendFailure::Refused(_))), "{refused:?}");
        assert!(placed.read_log(beyond, Position::START, 1).await.is_err());
    });
}

/// A placement that cannot be checked is not believed.
#[test]
fn a_placement_is_not_opened_while_a_store_is_down() {
    run(async {
        let down = FaultyStore::new(Arc::new(memory(2)), Script::new().call(1, Fault::Unavailable));
        let error = in_turns(memory(2), down).open().await.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    });
}

/// One store of the placement is a file: what was committed is there after closing and opening, and the
/// placement is the same store.
#[test]
fn a_placement_of_files_is_the_same_after_opening_again() {
    run(async {
        let folder = tempfile::tempdir().expect("a folder");
        let open = async || {
            let count = PartitionCount::new(2).expect("a count");
            let file = |name| {
                SqliteStore::builder(folder.path().join(name)).partitions(count).open().expect("a store")
            };
            in_turns(file("a.db"), file("b.db")).open().await.expect("opened")
        };
        let placed = open().await;
        let id = placed.properties().id;
        let count = placed.properties().partitions;
        for partition in count.all() {
            append(&placed, &stream_in(partition, count), 0, vec![event("kept")]).await.expect("committed");
        }
        drop(placed);
        let placed = open().await;
        assert_eq!(placed.properties().id, id);
        let reads = count.all().map(|partition| read(&stream_in(partition, count))).collect();
        for page in placed.read_streams(reads).await {
            assert_eq!(page.expect("readable").head, Version::new(1));
        }
    });
}
