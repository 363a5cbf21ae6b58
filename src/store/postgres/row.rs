//! A row of the log.

use bytes::Bytes;
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::event::{Checksum, CodecName, EventType, NewRecord, Record, RecordKind};
use crate::id::{Cause, StepName, TransactionId};
use crate::partition::PartitionId;
use crate::store::postgres::types::{fingerprint, number};
use crate::stream::{Position, StreamName, Version};

/// A column by its name.
fn named<'r, T: FromSql<'r>>(row: &'r Row, name: &str) -> Result<T> {
    row.try_get(name)
        .map_err(|source| Error::corrupt(format!("column {name} cannot be read")).caused_by(source))
}

/// The record of a row, unless the row has none: what is read beside it has no match.
pub(super) fn record(row: &Row) -> Result<Option<Record>> {
    let Some(position) = named::<Option<i64>>(row, "position")? else { return Ok(None) };
    let stream: &str = named(row, "stream")?;
    let read = || -> Result<Record> {
        let partition = u16::try_from(named::<i32>(row, "partition")?);
        Ok(Record {
            stream: StreamName::parse(stream)?,
            version: Version::new(number(named(row, "version")?)),
            partition: PartitionId::new(partition.map_err(|_| Error::corrupt("no such partition"))?),
            position: Position::new(number(position)),
            recorded_at: Timestamp::from_micros(named(row, "recorded_at")?),
            data: data(row)?,
            checksum: Checksum(named::<i32>(row, "checksum")?.cast_unsigned()),
        })
    };
    read().map(Some).map_err(|source| {
        Error::corrupt(format!("the record at position {position} cannot be read"))
            .in_stream(stream)
            .caused_by(source)
    })
}

fn data(row: &Row) -> Result<NewRecord> {
    let code = u8::try_from(named::<i16>(row, "kind")?).unwrap_or(u8::MAX);
    let numbers = (number(named(row, "number_1")?), number(named(row, "number_2")?));
    let schema = u16::try_from(named::<i32>(row, "schema")?);
    let requester: Option<&[u8]> = named(row, "requester")?;
    let requester = requester.map(|bytes| String::from_utf8(bytes.to_vec())).transpose();
    Ok(NewRecord {
        kind: RecordKind::from_parts(code, numbers)?,
        event_type: EventType::stored(named::<String>(row, "type")?)?,
        schema: schema.map_err(|_| Error::corrupt("a schema version is out of range"))?,
        codec: CodecName::new(named::<String>(row, "codec")?)?,
        cause: cause(row)?,
        requester: requester.map_err(|_| Error::corrupt("a requester's address is not UTF-8"))?,
        payload: Bytes::copy_from_slice(named(row, "payload")?),
    })
}

fn cause(row: &Row) -> Result<Option<Cause>> {
    let Some(transaction) = named::<Option<Uuid>>(row, "transaction")? else { return Ok(None) };
    Ok(Some(Cause {
        transaction: TransactionId::new(transaction),
        step: StepName::parse(named(row, "step")?)?,
        fingerprint: fingerprint(named(row, "fingerprint")?)?,
    }))
}
