//! A row of the log: a record, and perhaps the request and the acceptance that follow it.

use bytes::Bytes;
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::event::{AcceptedAt, Checksum, CodecName, EventType, NewRecord, Record, RecordKind};
use crate::id::{Cause, StepName, TransactionId};
use crate::partition::PartitionId;
use crate::store::postgres::types::{column, fingerprint, number};
use crate::store::stream_key;
use crate::stream::{Position, StreamName, Version};

/// The columns of a row, which stand one after the other behind those that a statement reads beside it.
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
const SIDE_VERSION: usize = 17;
const REQUEST_NUMBER: usize = 18;
const REQUEST: Content = Content { checksum: 19, schema: 20, codec: 21, payload: 22 };
const OUTCOME: Content = Content { checksum: 23, schema: 24, codec: 25, payload: 26 };
/// The kind of a record that was removed, while those beside it were not.
const REMOVED: i16 = 0;

/// The columns of what a record has of its own, whichever row it stands in.
struct Content {
    checksum: usize,
    schema: usize,
    codec: usize,
    payload: usize,
}

const OWN: Content = Content { checksum: CHECKSUM, schema: SCHEMA, codec: CODEC, payload: PAYLOAD };

/// What all records of a row share.
struct Shared {
    partition: PartitionId,
    position: u64,
    version: Version,
    recorded_at: Timestamp,
    cause: Option<Cause>,
    requester: Option<String>,
}

impl<'r> Columns<'r> {
    fn get<T: FromSql<'r>>(&self, at: usize) -> Result<T> {
        column(self.row, self.first.saturating_add(at))
    }

    fn shared(&self, position: i64) -> Result<Shared> {
        let partition = u16::try_from(self.get::<i32>(PARTITION)?);
        let requester: Option<&[u8]> = self.get(REQUESTER)?;
        let requester = requester.map(|bytes| String::from_utf8(bytes.to_vec())).transpose();
        Ok(Shared {
            partition: PartitionId::new(partition.map_err(|_| Error::corrupt("no such partition"))?),
            position: number(position),
            version: Version::new(number(self.get(VERSION)?)),
            recorded_at: Timestamp::from_micros(self.get(RECORDED_AT)?),
            cause: self.cause()?,
            requester: requester.map_err(|_| Error::corrupt("a requester's address is not UTF-8"))?,
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

    /// Whether a request and an acceptance were read that stand in the row besides its record.
    fn has_settlement(&self) -> Result<bool> {
        let was_read = self.row.len() > self.first.saturating_add(OUTCOME.payload);
        Ok(was_read && self.get::<Option<&[u8]>>(OUTCOME.payload)?.is_some())
    }

    /// The row's own record.
    fn own(&self, shared: &Shared, stream: &str, requester: Option<String>) -> Result<Record> {
        let code = u8::try_from(self.get::<i16>(KIND)?).unwrap_or(u8::MAX);
        let [first, second] = NUMBERS;
        let kind = RecordKind::from_parts(code, (number(self.get(first)?), number(self.get(second)?)))?;
        let event_type = EventType::stored(self.get::<String>(TYPE)?)?;
        let data = self.data(&OWN, kind, event_type, shared.cause.clone(), requester)?;
        let place = (StreamName::parse(stream)?, shared.version, 0);
        self.record(shared, &OWN, place, data)
    }

    /// The request and the acceptance that follow it.
    fn settlement(&self, shared: &Shared, stream: &str) -> Result<[Record; 2]> {
        let cause = shared.cause.clone().ok_or_else(|| Error::corrupt("a request has no cause"))?;
        let name = stream_key::side_of(stream, cause.transaction);
        let name = StreamName::parse(&name.ok_or_else(|| Error::corrupt("a side stream has no name"))?)?;
        let version = Version::new(number(self.get(SIDE_VERSION)?));
        let aggregate_version = Version::new(number(self.get(REQUEST_NUMBER)?));
        let requested = RecordKind::Requested { aggregate_version };
        let accepted = RecordKind::Accepted { version: shared.version, at: AcceptedAt::Back(2) };
        let record = |content: &Content, kind: RecordKind, requester, (version, behind)| {
            let event_type = kind.framework_type();
            let event_type = event_type.ok_or_else(|| Error::corrupt("a request has no type"))?;
            let data = self.data(content, kind, event_type, Some(cause.clone()), requester)?;
            self.record(shared, content, (name.clone(), version, behind), data)
        };
        Ok([
            record(&REQUEST, requested, shared.requester.clone(), (version, 1))?,
            record(&OUTCOME, accepted, None, (version.next(), 2))?,
        ])
    }

    fn data(
        &self,
        content: &Content,
        kind: RecordKind,
        event_type: EventType,
        cause: Option<Cause>,
        requester: Option<String>,
    ) -> Result<NewRecord> {
        let schema = u16::try_from(self.get::<i32>(content.schema)?);
        Ok(NewRecord {
            kind,
            event_type,
            schema: schema.map_err(|_| Error::corrupt("a schema version is out of range"))?,
            codec: CodecName::new(self.get::<String>(content.codec)?)?,
            cause,
            requester,
            payload: Bytes::copy_from_slice(self.get(content.payload)?),
        })
    }

    /// A record so far behind the row's own one.
    fn record(
        &self,
        shared: &Shared,
        content: &Content,
        (stream, version, behind): (StreamName, Version, u64),
        data: NewRecord,
    ) -> Result<Record> {
        Ok(Record {
            stream,
            version,
            partition: shared.partition,
            position: Position::new(shared.position).plus(behind),
            recorded_at: shared.recorded_at,
            data,
            checksum: Checksum(self.get::<i32>(content.checksum)?.cast_unsigned()),
        })
    }
}

/// Which records of a row are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of them.
    All,
    /// The row's own.
    Own,
    /// Those of the side stream that it has records of, be it its own or not.
    Side,
}

/// Adds the records of the row whose columns begin at `first`, in the order of the log; none where what is read beside
/// them has no match.
pub(super) fn take(records: &mut Vec<Record>, row: &Row, first: usize, wanted: Wanted) -> Result<()> {
    let columns = Columns { row, first };
    let Some(position) = columns.get::<Option<i64>>(POSITION)? else { return Ok(()) };
    let stream: &str = columns.get(STREAM)?;
    let mut read = || -> Result<()> {
        let shared = columns.shared(position)?;
        let has_settlement = columns.has_settlement()?;
        let has_own = columns.get::<i16>(KIND)? != REMOVED;
        if has_own && (wanted != Wanted::Side || !has_settlement) {
            let requester = if has_settlement { None } else { shared.requester.clone() };
            records.push(columns.own(&shared, stream, requester)?);
        }
        if has_settlement && wanted != Wanted::Own {
            records.extend(columns.settlement(&shared, stream)?);
        }
        Ok(())
    };
    read().map_err(|source| {
        Error::corrupt(format!("the record at position {position} cannot be read"))
            .in_stream(stream)
            .caused_by(source)
    })
}
