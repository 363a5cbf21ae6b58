//! Records as rows.

use bytes::Bytes;
use rusqlite::{Connection, Row, params};

use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Checksum, NewRecord, Record, RecordKind};
use crate::id::{Cause, Fingerprint, StepName, TransactionId};
use crate::partition::PartitionId;
use crate::store::sqlite::key::StreamKey;
use crate::store::sqlite::names::Dictionary;
use crate::store::sqlite::{failure, key, place};
use crate::stream::{Position, StreamName, Version};
use uuid::Uuid;

const INSERT: &str = include_str!("sql/insert_record.sql");

/// The place and time that a record gets.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    pub(super) place: i64,
    pub(super) version: Version,
    pub(super) recorded_at: Timestamp,
}

/// Writes one record.
pub(super) fn insert(
    connection: &Connection,
    names: &mut Dictionary,
    stream: (&StreamName, &StreamKey),
    slot: Slot,
    data: &NewRecord,
) -> rusqlite::Result<()> {
    let (first, second) = data.kind.numbers();
    let cause = data.cause.as_ref();
    let transaction = cause.map(|cause| cause.transaction).filter(|id| stream.1.transaction != Some(*id));
    let type_id = names.types.take(connection, &data.event_type)?;
    let codec = names.codecs.take(connection, &data.codec)?;
    connection.prepare_cached(INSERT)?.execute(params![
        slot.place,
        stream.1.bytes,
        slot.version.get().cast_signed(),
        data.kind.code(),
        number(first),
        number(second),
        type_id,
        data.schema,
        codec,
        transaction.map(|id| *id.as_uuid().as_bytes()),
        cause.map(|cause| cause.step.as_str()),
        cause.map(|cause| cause.fingerprint.as_bytes()),
        data.requester,
        slot.recorded_at.as_micros(),
        data.checksum(stream.0, slot.version).0,
        &*data.payload,
    ])?;
    Ok(())
}

/// A number of a kind: kept bit by bit, since a caller may give any, and NULL for zero, which takes no
/// space.
fn number(number: u64) -> Option<i64> {
    (number != 0).then(|| number.cast_signed())
}

/// Reads the record of a row whose stream is known; otherwise the row's key tells it.
pub(super) fn record(
    connection: &Connection,
    names: &mut Dictionary,
    stream: Option<(&StreamName, &StreamKey)>,
    row: &Row<'_>,
) -> Result<Record> {
    let version = version(row)?;
    let owned = match stream {
        Some((stream, key)) => (stream.clone(), key.transaction),
        None => key::parse(get::<Vec<u8>>(row, 1)?.as_slice())?,
    };
    let (stream, of_key) = owned;
    let mut read = || -> Result<Record> {
        let (partition, position): (PartitionId, Position) = place::parse(get(row, 0)?)?;
        let recorded_at = Timestamp::from_micros(get(row, 13)?);
        let data = data(connection, names, of_key, row)?;
        let (stream, checksum) = (stream.clone(), Checksum(get(row, 14)?));
        Ok(Record { stream, version, partition, position, recorded_at, data, checksum })
    };
    read().map_err(|error| unreadable(&stream, version, error))
}

fn data(
    connection: &Connection,
    names: &mut Dictionary,
    of_key: Option<TransactionId>,
    row: &Row<'_>,
) -> Result<NewRecord> {
    Ok(NewRecord {
        kind: RecordKind::from_parts(get(row, 3)?, (unsigned(row, 4)?, unsigned(row, 5)?))?,
        event_type: names.types.name(connection, get(row, 6)?)?,
        schema: get(row, 7)?,
        codec: names.codecs.name(connection, get(row, 8)?)?,
        cause: cause(of_key, row)?,
        requester: get(row, 12)?,
        payload: Bytes::from(get::<Vec<u8>>(row, 15)?),
    })
}

fn cause(of_key: Option<TransactionId>, row: &Row<'_>) -> Result<Option<Cause>> {
    let Some(step) = get::<Option<String>>(row, 10)? else { return Ok(None) };
    let stored = get::<Option<[u8; 16]>>(row, 9)?.map(|id| TransactionId::new(Uuid::from_bytes(id)));
    let transaction =
        stored.or(of_key).ok_or_else(|| Error::corrupt("a record has a step but no transaction"))?;
    let fingerprint = Fingerprint::from_bytes(get(row, 11)?);
    Ok(Some(Cause { transaction, step: StepName::parse(&step)?, fingerprint }))
}

/// The version of a row, before anything else of it is read: errors name it.
pub(super) fn version(row: &Row<'_>) -> Result<Version> {
    get::<i64>(row, 2).map(|version| Version::new(version.cast_unsigned()))
}

fn unsigned(row: &Row<'_>, column: usize) -> Result<u64> {
    get::<Option<i64>>(row, column).map(|number| number.unwrap_or(0).cast_unsigned())
}

pub(super) fn get<T: rusqlite::types::FromSql>(row: &Row<'_>, column: usize) -> Result<T> {
    row.get(column).map_err(|source| failure::of("reading a column", source))
}

/// A row that cannot be taken apart. A disk that cannot be read now keeps its kind: that may pass.
fn unreadable(stream: &StreamName, version: Version, error: Error) -> Error {
    if error.kind() == ErrorKind::Unavailable {
        return error.in_stream(stream);
    }
    Error::corrupt(format!("record {version} cannot be read")).in_stream(stream).caused_by(error)
}
