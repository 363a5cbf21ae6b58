//! A part of a partition's log on its way into a copy.

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::event::Record;
use crate::hash::HashMap;
use crate::partition::{PartitionCount, PartitionId};
use crate::stream::{Position, StreamName, Version};

/// Consecutive records of a partition's log. Positions that no record has are those of removed ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportPage {
    /// The position before the page.
    pub after: Position,
    /// The last position of the page.
    pub through: Position,
    /// The last time that was stamped up to there.
    pub recorded_to: Timestamp,
    /// What is left of it, by position.
    pub records: Vec<Record>,
}

/// A stream in a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run<'a> {
    /// The stream.
    pub stream: &'a StreamName,
    /// Where the stream has to be before the page.
    pub before: Version,
    /// Where it is behind it.
    pub head: Version,
}

impl ImportPage {
    /// Checks all that can be checked without the store, and tells what the page expects of streams.
    ///
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt), naming the stream, the version and the position, where a record was
    /// altered, is missing, or stands in the wrong partition or order.
    pub fn check(&self, partition: PartitionId, partitions: PartitionCount) -> Result<Vec<Run<'_>>> {
        let mut places: HashMap<&StreamName, usize> = HashMap::default();
        let mut runs: Vec<Run<'_>> = Vec::new();
        let (mut last, mut time) = (self.after, Timestamp::MIN);
        for record in &self.records {
            check(record, partition, partitions)?;
            if record.position <= last || record.position > self.through || record.recorded_at < time {
                return Err(misplaced("a record is out of order in the log", record));
            }
            (last, time) = (record.position, record.recorded_at);
            let next = runs.len();
            let place = *places.entry(&record.stream).or_insert(next);
            let Some(run) = runs.get_mut(place) else {
                let before = Version::new(record.version.get().saturating_sub(1));
                runs.push(Run { stream: &record.stream, before, head: record.version });
                continue;
            };
            if record.version != run.head.next() {
                return Err(misplaced("a record is missing in its stream", record)
                    .expected(format!("version {}", run.head.next()), record.version));
            }
            run.head = record.version;
        }
        Ok(runs)
    }
}

fn check(record: &Record, partition: PartitionId, partitions: PartitionCount) -> Result<()> {
    record.verify().map_err(|source| {
        let place = format!("at position {} of partition {}", record.position, record.partition);
        Error::corrupt(format!("record {} {place} was altered after it was written", record.version))
            .in_stream(&record.stream)
            .advice(
                "the copy stopped before it; keep the store as it is, and compare the record with a backup",
            )
            .caused_by(source)
    })?;
    if record.version == Version::EMPTY || partitions.of(record.stream.cardinal()) != partition {
        return Err(misplaced("a record stands where it does not belong", record));
    }
    Ok(())
}

fn misplaced(what: &str, record: &Record) -> Error {
    let (version, position) = (record.version, record.position);
    Error::corrupt(format!(
        "{what}: version {version}, position {position} of partition {}",
        record.partition
    ))
    .in_stream(&record.stream)
}

/// The error for a page that does not begin where the copy ends.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(in crate::store) fn elsewhere(stands: Position, page: &ImportPage) -> Error {
    Error::invalid("the copy stands elsewhere: another one may be under way")
        .expected(format!("position {stands}"), page.after)
        .advice("let one `sidestream copy` run at a time, and run it again")
}

/// The error for a stream that does not stand where the page continues it.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(in crate::store) fn not_continued(run: &Run<'_>, stands: Version) -> Error {
    Error::corrupt("a record is missing between the copy of a stream and its next record")
        .in_stream(run.stream)
        .expected(format!("version {}", stands.next()), run.before.next())
}
