//! The hooks of a fixture, on a store that can be damaged; by the way, a store with faults and an empty
//! script passes the whole suite.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use sidestream::error::{Error, Result};
use sidestream::event::{EventType, Record};
use sidestream::partition::PartitionId;
use sidestream::store::memory::MemoryStore;
use sidestream::store::{
    AppendFailure, EventStore, LogPage, OpenStep, OpenStepsRead, StoreProperties, StreamPage, StreamRead,
    Unit, UnitResult,
};
use sidestream::stream::{Position, StreamName, Version};
use sidestream::testkit::conformance::{self, Fixture};
use sidestream::testkit::faults::{Done, Fault, FaultyStore, Script};
use sidestream::testkit::run;

/// A store in memory, with faults on the way, read through damage.
#[derive(Debug, Clone)]
struct Damaged {
    store: FaultyStore,
    altered: Arc<Mutex<BTreeSet<(StreamName, Version)>>>,
    unreadable: Arc<Mutex<BTreeSet<StreamName>>>,
    lose_it_done: Arc<AtomicBool>,
    /// Breaks the rules that the hooks are there for.
    is_broken: bool,
}

fn damaged(is_broken: bool) -> Damaged {
    Damaged {
        store: FaultyStore::new(Arc::new(MemoryStore::new()), Script::new()),
        altered: Arc::default(),
        unreadable: Arc::default(),
        lose_it_done: Arc::default(),
        is_broken,
    }
}

#[async_trait]
impl Fixture for Damaged {
    async fn open(&self) -> Arc<dyn EventStore> {
        Arc::new(self.clone())
    }

    async fn lose_next_outcome(&self) -> bool {
        // In turn: not done, done.
        let done =
            if self.lose_it_done.fetch_xor(true, Ordering::SeqCst) { Done::All } else { Done::Nothing };
        self.store.set_script(Script::new().append(self.store.appends() + 1, Fault::Unknown(done)));
        true
    }

    async fn alter(&self, stream: &StreamName, version: Version) -> bool {
        self.altered.lock().unwrap().insert((stream.clone(), version))
    }

    async fn make_unreadable(&self, stream: &StreamName) -> bool {
        self.unreadable.lock().unwrap().insert(stream.clone())
    }
}

impl Damaged {
    fn seen(&self, mut records: Vec<Record>) -> Vec<Record> {
        let altered = self.altered.lock().unwrap();
        let is_altered = |record: &Record| altered.contains(&(record.stream.clone(), record.version));
        if self.is_broken {
            records.retain(|record| !is_altered(record));
        }
        let alter = |record: &mut Record| record.data.payload = Bytes::from_static(b"altered");
        records.iter_mut().filter(|record| is_altered(record)).for_each(alter);
        records
    }

    fn page(&self, read: &StreamRead, page: StreamPage) -> Result<StreamPage> {
        if self.unreadable.lock().unwrap().contains(&read.stream) {
            return Err(Error::corrupt("damaged on purpose").in_stream(&read.stream));
        }
        Ok(StreamPage { records: self.seen(page.records), ..page })
    }
}

#[async_trait]
impl EventStore for Damaged {
    fn properties(&self) -> StoreProperties {
        self.store.properties()
    }

    async fn append(&self, partition: PartitionId, units: Vec<Unit>) -> Vec<UnitResult> {
        let results = self.store.append(partition, units).await;
        let answer = |result| match result {
            Err(AppendFailure::Unknown(error)) if self.is_broken => Err(AppendFailure::Refused(error)),
            result => result,
        };
        results.into_iter().map(answer).collect()
    }

    async fn read_streams(&self, reads: Vec<StreamRead>) -> Vec<Result<StreamPage>> {
        let pages = self.store.read_streams(reads.clone()).await;
        let pages: Vec<_> =
            reads.iter().zip(pages).map(|(read, page)| page.and_then(|page| self.page(read, page))).collect();
        let failed = pages.iter().find_map(|page| page.as_ref().err().cloned());
        match failed {
            Some(error) if self.is_broken => reads.iter().map(|_| Err(error.clone())).collect(),
            _ => pages,
        }
    }

    async fn read_log(&self, partition: PartitionId, after: Position, limit: usize) -> Result<LogPage> {
        let page = self.store.read_log(partition, after, limit).await?;
        Ok(LogPage { records: self.seen(page.records), ..page })
    }

    async fn read_types(
        &self,
        partition: PartitionId,
        types: &[EventType],
        after: Position,
        limit: usize,
    ) -> Result<LogPage> {
        self.store.read_types(partition, types, after, limit).await
    }

    async fn open_steps(&self, read: OpenStepsRead) -> Result<Vec<OpenStep>> {
        self.store.open_steps(read).await
    }

    async fn truncate(&self, stream: &StreamName, through: Version) -> Result<Version> {
        self.store.truncate(stream, through).await
    }
}

mod intact {
    async fn fresh_store() -> super::Damaged {
        super::damaged(false)
    }
    sidestream::conformance!(fresh_store);
}

#[test]
#[should_panic(expected = "Unknown")]
fn a_refusal_of_what_may_be_done_is_noticed() {
    run(conformance::append::answers_unknown_where_the_outcome_is_not_certain(&damaged(true)));
}

#[test]
#[should_panic(expected = "[true, false, true]")]
fn a_store_that_hides_altered_records_is_noticed() {
    run(conformance::read_streams::returns_altered_records_as_they_are_stored(&damaged(true)));
}

#[test]
#[should_panic(expected = "readable")]
fn a_store_that_fails_all_reads_for_one_is_noticed() {
    run(conformance::read_streams::fails_only_the_reads_of_streams_that_cannot_be_read(&damaged(true)));
}
