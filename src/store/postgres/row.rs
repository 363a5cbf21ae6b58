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
use crate::store::postgres::types::{column, fingerprint, number};
use crate::stream::{Position, StreamName, Version};

/// The columns of a record, which stand one after the other behind those that a statement reads beside it.
struct Columns<'r> {
    row: &'r Row,
    first: usize,
}

const PARTITION: usize = 0;
const POSITION: usize = 1;
const VERSION: usize = 2;
const RECORDED_AT: usize = 3;
const NUMBERS: [usize; 2] = [4, 5];
const CHECKSUM: usize = 6;
const KIND: usize = 7;
const SCHEMA: usize = 8;
const TRANSACTION: usize = 9;
const STREAM: usize = 10;
const TYPE: usize = 11;
const CODEC: usize = 12;
const STEP: usize = 13;
const FINGERPRINT: usize = 14;
const REQUESTER: usize = 15;
const PAYLOAD: usize = 16;

impl<'r> Columns<'r> {
    fn get<T: FromSql<'r>>(&self, at: usize) -> Result<T> {
        column(self.row, self.first.saturating_add(at))
    }

    fn data(&self) -> Result<NewRecord> {
        let code = u8::try_from(self.get::<i16>(KIND)?).unwrap_or(u8::MAX);
        let [first, second] = NUMBERS;
        let numbers = (number(self.get(first)?), number(self.get(second)?));
        let schema = u16::try_from(self.get::<i32>(SCHEMA)?);
        let requester: Option<&[u8]> = self.get(REQUESTER)?;
        let requester = requester.map(|bytes| String::from_utf8(bytes.to_vec())).transpose();
        Ok(NewRecord {
            kind: RecordKind::from_parts(code, numbers)?,
            event_type: EventType::stored(self.get::<String>(TYPE)?)?,
            schema: schema.map_err(|_| Error::corrupt("a schema version is out of range"))?,
            codec: CodecName::new(self.get::<String>(CODEC)?)?,
            cause: self.cause()?,
            requester: requester.map_err(|_| Error::corrupt("a requester's address is not UTF-8"))?,
            payload: Bytes::copy_from_slice(self.get(PAYLOAD)?),
        })
    }

    fn cause(&self) -> Result<Option<Cause>> {
        let Some(transaction) = self.get::<Option<Uuid>>(TRANSACTION)? else { return Ok(None) };
        Ok(Some(Cause {
            transaction: TransactionId::new(transaction),
            step: StepName::parse(self.get(STEP)?)?,
            fingerprint: fingerprint(self.get(FINGERPRINT)?)?,
        }))
    }
}

/// The record whose columns begin at `first`, unless there is none: what is read beside it has no match.
pub(super) fn record(row: &Row, first: usize) -> Result<Option<Record>> {
    let columns = Columns { row, first };
    let Some(position) = columns.get::<Option<i64>>(POSITION)? else { return Ok(None) };
    let stream: &str = columns.get(STREAM)?;
    let read = || -> Result<Record> {
        let partition = u16::try_from(columns.get::<i32>(PARTITION)?);
        Ok(Record {
            stream: StreamName::parse(stream)?,
            version: Version::new(number(columns.get(VERSION)?)),
            partition: PartitionId::new(partition.map_err(|_| Error::corrupt("no such partition"))?),
            position: Position::new(number(position)),
            recorded_at: Timestamp::from_micros(columns.get(RECORDED_AT)?),
            data: columns.data()?,
            checksum: Checksum(columns.get::<i32>(CHECKSUM)?.cast_unsigned()),
        })
    };
    read().map(Some).map_err(|source| {
        Error::corrupt(format!("the record at position {position} cannot be read"))
            .in_stream(stream)
            .caused_by(source)
    })
}
