//! The rows that a page of another store's log becomes.
//!
//! Where units ended is not told by every store. What was recorded at one time, one transaction, side by side, becomes
//! one row: as a rule that is the unit it was.

use crate::clock::Timestamp;
use crate::error::Result;
use crate::event::Record;
use crate::id::TransactionId;
use crate::limits;
use crate::store::sqlite::body;
use crate::store::sqlite::gone::Waiting;
use crate::store::sqlite::index::outline::{Outline, OutlineAppend};
use crate::store::stream_key::StreamKey;
use crate::store::transfer::ImportPage;
use crate::store::{StreamAppend, Unit};
use crate::stream::{Category, ExpectedVersion, Position, StreamName, Version};

/// Some consecutive positions of a partition's log.
pub(super) enum ImportUnit<'a> {
    /// Records.
    Records(&'a [Record]),
    /// Positions whose records were removed: the first, how many, and a time that fits there.
    Hole(Position, u64, Timestamp),
}

/// A row that is ready to be written.
pub(super) struct Imported {
    pub(super) position: Position,
    pub(super) recorded_at: Timestamp,
    pub(super) body: Vec<u8>,
    pub(super) outline: Outline,
}

/// Cuts a page into rows.
pub(super) fn units(page: &ImportPage) -> Vec<ImportUnit<'_>> {
    let mut units = Vec::new();
    let (mut at, mut rest) = (page.after, page.records.as_slice());
    while let Some(first) = rest.first() {
        hole(&mut units, at, first.position, first.recorded_at);
        let (unit, others) = rest.split_at_checked(length(rest)).unwrap_or((rest, &[]));
        at = unit.last().map_or(first.position, |last| last.position);
        units.push(ImportUnit::Records(unit));
        rest = others;
    }
    hole(&mut units, at, page.through.next(), page.recorded_to);
    units
}

/// What lies between a position and the next one that is there. Its streams have a bound, as those of every row.
fn hole(units: &mut Vec<ImportUnit<'_>>, after: Position, next: Position, time: Timestamp) {
    let positions = next.get().saturating_sub(after.get()).saturating_sub(1);
    if positions > 0 {
        units.push(ImportUnit::Hole(after.next(), positions, time));
    }
}

/// How many records from the front on become one row.
fn length(records: &[Record]) -> usize {
    let Some(first) = records.first() else { return 0 };
    let mut streams = vec![&first.stream];
    let mut transaction = transaction(first);
    let mut bytes = first.data.payload.len();
    for (at, (before, record)) in records.iter().zip(records.iter().skip(1)).enumerate() {
        let at = at.saturating_add(1);
        bytes = bytes.saturating_add(record.data.payload.len());
        let is_same =
            transaction.is_none() || self::transaction(record).is_none_or(|of| Some(of) == transaction);
        let continues = record.stream == before.stream;
        let is_new = !continues && !streams.contains(&&record.stream);
        let has_room =
            at < limits::UNIT_RECORDS && bytes <= limits::UNIT_BYTES && streams.len() < limits::UNIT_STREAMS;
        let is_next = record.position == before.position.next() && record.recorded_at == first.recorded_at;
        if !(is_same && (continues || is_new) && has_room && is_next) {
            return at;
        }
        transaction = transaction.or_else(|| self::transaction(record));
        if is_new {
            streams.push(&record.stream);
        }
    }
    records.len()
}

fn transaction(record: &Record) -> Option<TransactionId> {
    record.data.cause.as_ref().map(|cause| cause.transaction)
}

impl ImportUnit<'_> {
    pub(super) fn encode(&self, gone: &mut Waiting<'_>) -> Result<Imported> {
        match self {
            Self::Records(records) => Ok(encode(records)),
            Self::Hole(position, count, time) => encode_hole(*position, *count, *time, gone),
        }
    }
}

fn encode(records: &[Record]) -> Imported {
    let mut unit = Unit::default();
    let mut firsts = Vec::new();
    for of_stream in records.chunk_by(|one, other| one.stream == other.stream) {
        let Some(first) = of_stream.first() else { continue };
        firsts.push(first.version);
        unit.appends.push(StreamAppend {
            stream: first.stream.clone(),
            expected: ExpectedVersion::Any,
            records: of_stream.iter().map(|record| record.data.clone()).collect(),
        });
    }
    let mut outline = Outline::of(&unit);
    outline.appends.iter_mut().zip(&firsts).for_each(|(append, first)| append.first = *first);
    let (position, recorded_at) = records
        .first()
        .map_or((Position::START, Timestamp::MIN), |first| (first.position, first.recorded_at));
    Imported { position, recorded_at, body: body::encode(&unit, &firsts), outline }
}

/// A row without records. Streams that wait for a place get one position each; the rest belongs to a stream of no
/// user, whose versions are the positions.
fn encode_hole(position: Position, count: u64, time: Timestamp, gone: &mut Waiting<'_>) -> Result<Imported> {
    let most = usize::try_from(count).unwrap_or(usize::MAX);
    let streams = gone.take(most.min(limits::UNIT_STREAMS))?;
    let mut removed: Vec<(StreamName, Version, u64)> =
        streams.into_iter().map(|(stream, head)| (stream, head, 1)).collect();
    let taken = body::number(removed.len());
    if taken < count {
        let name = format!("{}-{}", Category::reserved("removed"), gone.partition());
        let first = Version::new(position.plus(taken).get());
        removed.push((StreamName::parse(&name)?, first, count.saturating_sub(taken)));
    }
    let of = |(stream, first, records): &(StreamName, Version, u64)| OutlineAppend {
        key: StreamKey::of(stream),
        first: *first,
        records: *records,
        snapshots: Vec::new(),
    };
    let outline = Outline { appends: removed.iter().map(of).collect(), types: Vec::new(), records: count };
    Ok(Imported { position, recorded_at: time, body: body::encode_removed(&removed), outline })
}
