//! The hooks of a fixture, on a store that can be damaged; by the way, a store with faults and an empty
//! script passes the whole suite.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use sidestream::error::{Error, Result};
use sidestream::event::Record;
use sidestream::store::memory::MemoryStore;
use sidestream::store::{AppendFailure, EventStore, LogPage, StreamPage, StreamRead, UnitResult};
use sidestream::stream::{StreamName, Version};
use sidestream::testkit::changed::{Changed, Changes};
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
        Arc::new(Changed(self.store.clone(), self.clone()))
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
    fn change(&self, records: &mut Vec<Record>) {
        let altered = self.altered.lock().unwrap();
        let is_altered = |record: &Record| altered.contains(&(record.stream.clone(), record.version));
        if self.is_broken {
            records.retain(|record| !is_altered(record));
        }
        let alter = |record: &mut Record| record.data.payload = Bytes::from_static(b"altered");
        records.iter_mut().filter(|record| is_altered(record)).for_each(alter);
    }
}

impl Changes for Damaged {
    fn results(&self, results: &mut [UnitResult]) {
        for result in results.iter_mut().filter(|_| self.is_broken) {
            if let Err(AppendFailure::Unknown(error)) = result {
                *result = Err(AppendFailure::Refused(error.clone()));
            }
        }
    }

    fn streams(&self, reads: &[StreamRead], pages: &mut [Result<StreamPage>]) {
        let unreadable = self.unreadable.lock().unwrap();
        for (read, page) in reads.iter().zip(pages.iter_mut()) {
            if unreadable.contains(&read.stream) {
                *page = Err(Error::corrupt("damaged on purpose").in_stream(&read.stream));
            }
            page.iter_mut().for_each(|page| self.change(&mut page.records));
        }
        let failed = pages.iter().find_map(|page| page.as_ref().err().cloned());
        if let Some(error) = failed.filter(|_| self.is_broken) {
            pages.iter_mut().for_each(|page| *page = Err(error.clone()));
        }
    }

    fn log(&self, page: &mut LogPage) {
        self.change(&mut page.records);
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
