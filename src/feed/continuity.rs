//! Finding records that a log lacks: each stream's versions must continue.

use crate::error::{Error, Result};
use crate::event::Record;
use crate::hash::HashMap;
use crate::limits;
use crate::store::{EventStore, ReadFrom, StreamPage, StreamRead};
use crate::stream::{Position, StreamName, Version};

/// What was seen of the streams in one partition's log, in bounded memory.
///
/// The streams seen last are remembered, in two generations: when the young one is full, the old one is forgotten. Only
/// a hash of the names is kept. A stream that is not remembered is looked up, as long as nothing was forgotten: its
/// record before must lie where reading began, or before that. So a record that is missing is found again after a
/// restart from a position before it.
#[derive(Debug)]
pub(super) struct Continuity {
    /// Where reading began.
    start: Position,
    young: HashMap<StreamHash, Version>,
    old: HashMap<StreamHash, Version>,
    has_forgotten: bool,
    hasher: foldhash::quality::RandomState,
}

/// The names are hashed once; the tables take the hash as a key.
type StreamHash = u64;

/// A record whose stream does not simply go on.
struct Doubt<'a> {
    record: &'a Record,
    /// The last version that was seen of its stream.
    seen: Option<Version>,
}

impl Continuity {
    pub(super) fn new(start: Position) -> Self {
        let (young, old) = (HashMap::default(), HashMap::default());
        Self { start, young, old, has_forgotten: false, hasher: foldhash::quality::RandomState::default() }
    }

    /// Takes in the next records of the log.
    ///
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt) when one is missing or comes twice, naming stream, versions and position;
    /// and those of the store.
    pub(super) async fn check(&mut self, store: &dyn EventStore, records: &[Record]) -> Result<()> {
        let doubts: Vec<_> = records.iter().filter_map(|record| self.see(record)).collect();
        for doubts in doubts.chunks(limits::BULK_READS) {
            let reads = doubts.iter().map(Doubt::read).collect();
            let pages = store.read_streams(reads).await;
            for (doubt, page) in doubts.iter().zip(pages) {
                doubt.settle(&page?, self.start)?;
            }
        }
        Ok(())
    }

    fn see<'a>(&mut self, record: &'a Record) -> Option<Doubt<'a>> {
        let key = std::hash::BuildHasher::hash_one(&self.hasher, record.stream.as_str());
        let seen = match self.young.get_mut(&key) {
            Some(known) => Some(std::mem::replace(known, record.version)),
            None => {
                let seen = self.old.get(&key).copied();
                self.remember(key, record.version);
                seen
            }
        };
        let goes_on = match seen {
            Some(seen) => record.version == seen.next(),
            None => record.version == Version::EMPTY.next() || self.has_forgotten,
        };
        (!goes_on).then_some(Doubt { record, seen })
    }

    fn remember(&mut self, key: StreamHash, version: Version) {
        if self.young.len() >= limits::CONTINUITY_STREAMS {
            self.has_forgotten |= !self.old.is_empty();
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, version);
    }
}

impl Doubt<'_> {
    /// The version before the record's.
    fn before(&self) -> Version {
        Version::new(self.record.version.get().saturating_sub(1))
    }

    /// Asks for the record before, and for the stream's floor.
    fn read(&self) -> StreamRead {
        let after = Version::new(self.before().get().saturating_sub(1));
        StreamRead { stream: self.record.stream.clone(), from: ReadFrom::After(after), limit: 1 }
    }

    fn settle(&self, page: &StreamPage, start: Position) -> Result<()> {
        let before = self.before();
        let is_later = self.seen.is_none_or(|seen| before > seen);
        if is_later && page.floor >= before {
            return Ok(()); // What is missing was removed on purpose.
        }
        let found = page.records.first().filter(|found| found.version == before);
        if self.seen.is_none() && found.is_some_and(|found| found.position <= start) {
            return Ok(()); // It was there before reading began.
        }
        Err(self.broken(&self.record.stream, page.floor))
    }

    fn broken(&self, stream: &StreamName, floor: Version) -> Error {
        let expected = self.seen.map_or(Version::EMPTY, |seen| seen).max(floor).next();
        let Record { version, position, partition, .. } = self.record;
        Error::corrupt(format!(
            "the log of partition {partition} does not continue a stream at position {position}"
        ))
        .in_stream(stream)
        .expected(format!("version {expected}"), format!("version {version}"))
        .advice("keep the store as it is, and look for what wrote to it or restored it by other means")
    }
}
