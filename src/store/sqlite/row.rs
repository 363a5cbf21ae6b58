//! Rows of the log.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension};

use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Checksum, NewRecord, Record};
use crate::partition::{PartitionCount, PartitionId};
use crate::store::sqlite::body::{Body, StoredRecord};
use crate::store::sqlite::failure;
use crate::stream::{Position, StreamName, Version};

const UNIT: &str = include_str!("sql/unit.sql");

/// Most bytes of payload that one call returns beyond the first record of each stream: a page of 4,096
/// records of 1 MiB each would not fit into memory. A page cut short says so by its head.
pub(super) const PAGE_BYTES: usize = 16 << 20;

/// A row of the log.
pub(super) struct Row {
    pub(super) partition: PartitionId,
    pub(super) position: Position,
    pub(super) recorded_at: Timestamp,
    pub(super) body: Bytes,
}

/// Reads a row of the log; `None` where it is gone.
pub(super) fn read(connection: &Connection, number: u64) -> Result<Option<Row>> {
    let read = || -> rusqlite::Result<Option<Row>> {
        let mut statement = connection.prepare_cached(UNIT)?;
        let parse = |row: &rusqlite::Row<'_>| {
            Ok(Row {
                partition: PartitionId::new(row.get(0)?),
                position: Position::new(row.get::<_, i64>(1)?.cast_unsigned()),
                recorded_at: Timestamp::from_micros(row.get(2)?),
                body: Bytes::from(row.get::<_, Vec<u8>>(3)?),
            })
        };
        statement.query_row([number.cast_signed()], parse).optional()
    };
    read().map_err(|source| failure::of("reading a row of the log", source))
}

impl Row {
    /// Takes the row apart.
    pub(super) fn parse(&self) -> Result<Body<'_>> {
        Body::parse(&self.body)
    }

    /// A record of it: `before` others stand before it in the unit.
    pub(super) fn record(&self, stream: StreamName, before: u64, stored: StoredRecord<'_>) -> Record {
        let StoredRecord { version, checksum, data, payload } = stored;
        let payload = self.body.slice_ref(payload);
        Record {
            stream,
            version,
            partition: self.partition,
            position: self.position.plus(before),
            recorded_at: self.recorded_at,
            data: NewRecord { payload, ..data },
            checksum: Checksum(checksum),
        }
    }
}

/// A row that cannot be taken apart. A disk that cannot be read now keeps its kind: that may pass.
pub(super) fn unreadable(stream: &StreamName, version: Version, error: Error) -> Error {
    if error.kind() == ErrorKind::Unavailable {
        return error.in_stream(stream);
    }
    Error::corrupt(format!("record {version} cannot be read")).in_stream(stream).caused_by(error)
}

/// The error for a partition that the store does not have.
pub(super) fn no_partition(partition: PartitionId, count: PartitionCount) -> Error {
    Error::invalid(format!("partition {partition} does not exist"))
        .expected(format!("below {count}"), partition)
}
