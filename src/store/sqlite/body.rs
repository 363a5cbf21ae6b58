//! A unit as the bytes of one row: what all of its records share stands there once.
//!
//! ```text
//! format 1
//! causes:  count, then each: transaction (16 bytes), step, fingerprint (16 bytes)
//! appends: count, then each: length of what follows,
//!          name (see [`Name`]), first version, records, how many of them were removed,
//!          then each record that is left: flags and kind, the kind's numbers, event type (of events and messages),
//!          schema, codec, cause, requester, checksum (4 bytes), payload
//! ```
//!
//! Numbers are of variable length, texts and payloads stand behind their lengths. Each record has its own
//! checksum, over its stream, its version and all of its content.

use crate::error::{Error, Result};
use crate::event::{NewRecord, RecordKind};
use crate::id::{Cause, Fingerprint, StepName, TransactionId};
use crate::limits;
use crate::store::Unit;
use crate::store::sqlite::record;
use crate::store::sqlite::varint::{Bytes, put, put_part};
use crate::store::stream_key;
use crate::stream::{StreamName, Version};
use uuid::Uuid;

const FORMAT: u8 = 1;

/// Longer than any stream's name. Names that refer to others would grow without end in a damaged unit.
const NAME_BYTES: usize = 2 * limits::STREAM_NAME_BYTES;

/// How a stream's name is written.
enum Name<'a> {
    /// In full: 0, text.
    Full(&'a str),
    /// A side stream: 1, the name up to its transaction, the cause that the transaction is of.
    Side(&'a str, usize),
    /// The side stream of an aggregate whose append stands before: 2, which append, which cause.
    SideOf(usize, usize),
}

/// Writes a unit. `firsts` are the versions that the first record of each append gets.
pub(super) fn encode(unit: &Unit, firsts: &[Version]) -> Vec<u8> {
    let causes = causes(unit);
    let mut bytes = Vec::with_capacity(512);
    bytes.push(FORMAT);
    put(&mut bytes, number(causes.len()));
    for cause in &causes {
        bytes.extend_from_slice(cause.transaction.as_uuid().as_bytes());
        put_part(&mut bytes, cause.step.as_str().as_bytes());
        bytes.extend_from_slice(cause.fingerprint.as_bytes());
    }
    put(&mut bytes, number(unit.appends.len()));
    let mut append_bytes = Vec::with_capacity(256);
    for (append, first) in unit.appends.iter().zip(firsts) {
        append_bytes.clear();
        put_name(&mut append_bytes, name(unit, &append.stream, &causes));
        put_range(&mut append_bytes, *first, number(append.records.len()), 0);
        let mut version = *first;
        for data in &append.records {
            record::encode(&mut append_bytes, &append.stream, version, data, &causes);
            version = version.next();
        }
        put_part(&mut bytes, &append_bytes);
    }
    bytes
}

/// Writes a row whose records are all removed: of each stream the version of the first, and how many.
pub(super) fn encode_removed(streams: &[(StreamName, Version, u64)]) -> Vec<u8> {
    let mut bytes = vec![FORMAT];
    put(&mut bytes, 0);
    put(&mut bytes, number(streams.len()));
    let mut append_bytes = Vec::new();
    for (stream, first, records) in streams {
        append_bytes.clear();
        put_name(&mut append_bytes, Name::Full(stream.as_str()));
        put(&mut append_bytes, first.get());
        put(&mut append_bytes, *records);
        put(&mut append_bytes, *records);
        put_part(&mut bytes, &append_bytes);
    }
    bytes
}

/// The causes of a unit's records, each once.
fn causes(unit: &Unit) -> Vec<&Cause> {
    let mut causes: Vec<&Cause> = Vec::new();
    let records = unit.appends.iter().flat_map(|append| &append.records);
    for cause in records.filter_map(|record| record.cause.as_ref()) {
        if !causes.contains(&cause) {
            causes.push(cause);
        }
    }
    causes
}

fn name<'a>(unit: &Unit, stream: &'a StreamName, causes: &[&Cause]) -> Name<'a> {
    let Some((base, transaction)) = stream_key::side_parts(stream) else {
        return Name::Full(stream.as_str());
    };
    let Some(cause) = causes.iter().position(|cause| cause.transaction == transaction) else {
        return Name::Full(stream.as_str());
    };
    let before = unit.appends.iter().take_while(|append| append.stream != *stream);
    let aggregate = before.map(|append| &append.stream).position(|name| stream_key::is_side_of(base, name));
    aggregate.map_or(Name::Side(base, cause), |aggregate| Name::SideOf(aggregate, cause))
}

fn put_name(bytes: &mut Vec<u8>, name: Name<'_>) {
    match name {
        Name::Full(text) => {
            bytes.push(0);
            put_part(bytes, text.as_bytes());
        }
        Name::Side(base, cause) => {
            bytes.push(1);
            put_part(bytes, base.as_bytes());
            put(bytes, number(cause));
        }
        Name::SideOf(append, cause) => {
            bytes.push(2);
            put(bytes, number(append));
            put(bytes, number(cause));
        }
    }
}

fn put_range(bytes: &mut Vec<u8>, first: Version, records: u64, removed: u64) {
    put(bytes, first.get());
    put(bytes, records);
    put(bytes, removed);
}

/// A stored unit, taken apart.
#[derive(Debug)]
pub(super) struct Body<'a> {
    causes: Vec<Cause>,
    /// Everything before the appends.
    head: &'a [u8],
    pub(super) appends: Vec<StoredAppend<'a>>,
}

/// The records of one stream in a stored unit.
#[derive(Debug)]
pub(super) struct StoredAppend<'a> {
    pub(super) stream: String,
    /// The version of its first record, though that may have been removed.
    pub(super) first: Version,
    /// Its records, removed ones included.
    pub(super) records: u64,
    /// How many of its first records were removed.
    pub(super) removed: u64,
    /// The records of the unit before it.
    pub(super) before: u64,
    /// All of it.
    whole: &'a [u8],
    /// Its name.
    name: &'a [u8],
    /// The records that are left.
    left: Bytes<'a>,
}

impl<'a> Body<'a> {
    /// Takes a row's bytes apart, down to the records.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self> {
        let mut rest = Bytes(bytes);
        let format = rest.byte()?;
        if format != FORMAT {
            return Err(Error::corrupt("a unit's format is unknown")
                .expected(FORMAT, format)
                .advice("read this store with the version of sidestream that wrote it, or a newer one"));
        }
        let count = rest.count()?;
        let mut causes = Vec::with_capacity(count.min(16));
        for _ in 0..count {
            causes.push(cause(&mut rest)?);
        }
        let count = rest.count()?;
        let head = bytes.get(..bytes.len().saturating_sub(rest.0.len())).unwrap_or_default();
        let mut body = Self { causes, head, appends: Vec::with_capacity(count.min(16)) };
        let mut before = 0_u64;
        for _ in 0..count {
            let append = body.append(rest.part()?, before)?;
            body.check_count(&append)?;
            before = before.saturating_add(append.records);
            body.appends.push(append);
        }
        if rest.is_empty() { Ok(body) } else { Err(Error::corrupt("bytes are left behind a unit")) }
    }

    fn append(&self, whole: &'a [u8], before: u64) -> Result<StoredAppend<'a>> {
        let mut left = Bytes(whole);
        let stream = self.name(&mut left)?;
        if stream.len() > NAME_BYTES {
            return Err(bad_name());
        }
        let name = whole.get(..whole.len().saturating_sub(left.0.len())).unwrap_or_default();
        let (first, records, removed) = (Version::new(left.number()?), left.number()?, left.number()?);
        if removed > records || first.get().checked_add(records).is_none() {
            return Err(Error::corrupt("a unit's range of versions is impossible").in_stream(&stream));
        }
        Ok(StoredAppend { stream, first, records, removed, before, whole, name, left })
    }

    /// Demands that an append holds as many records as it says: the positions of those behind it rest on that.
    /// Of a record that cannot be read nothing is said; whoever reads it will hear.
    fn check_count(&self, append: &StoredAppend<'a>) -> Result<()> {
        let mut records = self.records(append);
        while records.left > 0 && !records.bytes.is_empty() {
            if records.skip_one().is_err() {
                return Ok(());
            }
        }
        if records.left == 0 && records.bytes.is_empty() {
            return Ok(());
        }
        Err(Error::corrupt("a unit holds more or fewer records than it says").in_stream(&append.stream))
    }

    fn name(&self, bytes: &mut Bytes<'a>) -> Result<String> {
        match bytes.byte()? {
            0 => bytes.text().map(str::to_owned),
            1 => {
                let base = bytes.text()?;
                Ok(format!("{base}+{}", self.transaction(bytes)?))
            }
            2 => {
                let aggregate = self.appends.get(bytes.count()?).ok_or_else(bad_name)?;
                let transaction = self.transaction(bytes)?;
                stream_key::side_of(&aggregate.stream, transaction).ok_or_else(bad_name)
            }
            _ => Err(bad_name()),
        }
    }

    fn transaction(&self, bytes: &mut Bytes<'a>) -> Result<TransactionId> {
        self.causes.get(bytes.count()?).map(|cause| cause.transaction).ok_or_else(bad_name)
    }

    /// The append to a stream.
    pub(super) fn of(&self, stream: &str) -> Option<&StoredAppend<'a>> {
        self.appends.iter().find(|append| append.stream == stream)
    }

    /// The records that are left of an append, each with its version.
    pub(super) fn records(&self, append: &StoredAppend<'a>) -> Records<'a, '_> {
        let version = append.first.plus(append.removed);
        let left = append.records.saturating_sub(append.removed);
        Records { causes: &self.causes, bytes: append.left, version, left }
    }

    /// The same unit without a stream's records at and before `through`; `None` where none is left to remove.
    pub(super) fn without(&self, stream: &str, through: Version) -> Result<Option<Vec<u8>>> {
        let Some(append) = self.of(stream) else { return Ok(None) };
        let mut records = self.records(append);
        let mut removed = append.removed;
        while records.left > 0 && records.version <= through {
            records.skip_one()?;
            removed = removed.saturating_add(1);
        }
        if removed == append.removed {
            return Ok(None);
        }
        let mut changed = append.name.to_vec();
        put_range(&mut changed, append.first, append.records, removed);
        changed.extend_from_slice(records.bytes.0);
        let mut bytes = self.head.to_vec();
        for each in &self.appends {
            put_part(&mut bytes, if each.stream == stream { &changed } else { each.whole });
        }
        Ok(Some(bytes))
    }
}

/// The records of an append, one after the other. After an error there are no more.
pub(super) struct Records<'a, 'b> {
    causes: &'b [Cause],
    bytes: Bytes<'a>,
    version: Version,
    left: u64,
}

/// A record whose payload still lies in its row.
pub(super) struct StoredRecord<'a> {
    pub(super) version: Version,
    pub(super) checksum: u32,
    /// Without its payload.
    pub(super) data: NewRecord,
    pub(super) payload: &'a [u8],
}

impl<'a> Records<'a, '_> {
    fn skip_one(&mut self) -> Result<()> {
        record::skip(&mut self.bytes)?;
        self.step();
        Ok(())
    }

    /// Passes over the records at and before `through`.
    pub(super) fn skip_to(&mut self, through: Version) -> Result<()> {
        while self.left > 0 && self.version <= through {
            self.skip_one().map_err(|error| unreadable(self.version, error))?;
        }
        Ok(())
    }

    fn step(&mut self) {
        self.version = self.version.next();
        self.left = self.left.saturating_sub(1);
    }

    /// The kind of each record that is left, with its version, and the type of events.
    pub(super) fn kinds(&mut self) -> Result<Option<(Version, RecordKind, Option<&'a str>)>> {
        if self.left == 0 {
            return Ok(None);
        }
        let version = self.version;
        let (kind, event_type) = record::kind(self.bytes)?;
        self.skip_one()?;
        Ok(Some((version, kind, event_type)))
    }
}

impl<'a> Iterator for Records<'a, '_> {
    type Item = Result<StoredRecord<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        let version = self.version;
        let decoded = record::decode(&mut self.bytes, self.causes);
        self.step();
        Some(match decoded {
            Ok((data, checksum, payload)) => Ok(StoredRecord { version, checksum, data, payload }),
            Err(error) => {
                self.left = 0;
                Err(unreadable(version, error))
            }
        })
    }
}

fn unreadable(version: Version, error: Error) -> Error {
    Error::corrupt(format!("record {version} cannot be read")).caused_by(error)
}

fn cause(bytes: &mut Bytes<'_>) -> Result<Cause> {
    let transaction = TransactionId::new(Uuid::from_bytes(bytes.array()?));
    let step = StepName::parse(bytes.text()?)?;
    Ok(Cause { transaction, step, fingerprint: Fingerprint::from_bytes(bytes.array()?) })
}

fn bad_name() -> Error {
    Error::corrupt("a unit's stream has no name")
}

pub(super) fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
