//! The table of open steps: what it becomes with each record of a side stream, and its pages.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::event::{NewRecord, RecordKind};
use crate::id::{Cause, Fingerprint, StepName, TransactionId};
use crate::limits;
use crate::partition::PartitionId;
use crate::store::sqlite::{failure, row};
use crate::store::{OpenStep, OpenStepsRead};
use crate::stream::{StreamName, Version};
use uuid::Uuid;

const OPEN: &str = include_str!("sql/open_step.sql");
const SETTLE: &str = include_str!("sql/settle_step.sql");
const OF_STREAM: &str = include_str!("sql/open_step_of.sql");
const PAGE: &str = include_str!("sql/open_steps.sql");

/// What the records of one append do to its stream's open step. A step that the same append settles
/// never reaches the table: that is the common case, and it costs nothing.
#[derive(Debug, Default)]
pub(super) struct Change {
    open: Option<OpenStep>,
    settled: bool,
}

impl Change {
    /// Takes the next record of the append.
    pub(super) fn take(
        &mut self,
        connection: &Connection,
        stream: &StreamName,
        data: &NewRecord,
        at: Timestamp,
    ) -> Result<(), rusqlite::Error> {
        match (data.kind, &data.cause) {
            (RecordKind::Requested { aggregate_version }, Some(cause)) => {
                self.open = Some(requested(stream, cause, aggregate_version, at));
            }
            (RecordKind::Resumed { scanned_to }, _) => self.resumed(connection, stream, scanned_to, at)?,
            (RecordKind::Accepted { .. } | RecordKind::Rejected, _) => {
                *self = Self { open: None, settled: true };
            }
            _ => {}
        }
        Ok(())
    }

    fn resumed(
        &mut self,
        connection: &Connection,
        stream: &StreamName,
        scanned_to: Version,
        at: Timestamp,
    ) -> rusqlite::Result<()> {
        if self.open.is_none() && !self.settled {
            self.open = of_stream(connection, stream)?;
        }
        if let Some(step) = &mut self.open {
            step.scanned_to = step.scanned_to.max(scanned_to);
            step.resumed = step.resumed.saturating_add(1);
            step.touched_at = at;
        }
        Ok(())
    }

    /// Brings the table up to date. `fresh` streams had no records before this append, and so no step.
    pub(super) fn write(
        self,
        connection: &Connection,
        partition: PartitionId,
        stream: &StreamName,
        fresh: bool,
    ) -> rusqlite::Result<()> {
        match self.open {
            Some(step) => write(connection, partition, &step),
            None if self.settled && !fresh => {
                connection.prepare_cached(SETTLE)?.execute([stream.as_str()]).map(drop)
            }
            None => Ok(()),
        }
    }
}

fn requested(stream: &StreamName, cause: &Cause, version: Version, at: Timestamp) -> OpenStep {
    OpenStep {
        stream: stream.clone(),
        cause: cause.clone(),
        aggregate_version: version,
        scanned_to: version,
        resumed: 0,
        requested_at: at,
        touched_at: at,
    }
}

fn write(connection: &Connection, partition: PartitionId, step: &OpenStep) -> rusqlite::Result<()> {
    connection.prepare_cached(OPEN)?.execute(params![
        step.stream.as_str(),
        partition.get(),
        step.stream.category(),
        step.cause.transaction.as_uuid().as_bytes(),
        step.cause.step.as_str(),
        step.cause.fingerprint.as_bytes(),
        step.aggregate_version.get().cast_signed(),
        step.scanned_to.get().cast_signed(),
        step.resumed,
        step.requested_at.as_micros(),
        step.touched_at.as_micros(),
    ])?;
    Ok(())
}

fn of_stream(connection: &Connection, stream: &StreamName) -> rusqlite::Result<Option<OpenStep>> {
    let mut statement = connection.prepare_cached(OF_STREAM)?;
    let found = statement.query_row([stream.as_str()], |row| Ok(parse(row))).optional()?;
    found.transpose().map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

/// A page of open steps, the longest untouched first, of those not touched after `until`.
pub(super) fn page(connection: &Connection, read: &OpenStepsRead, until: Timestamp) -> Result<Vec<OpenStep>> {
    let fail = |source| failure::of("reading open steps", source);
    let (at, stream) =
        read.after.as_ref().map_or((Timestamp::MIN, ""), |(at, stream)| (*at, stream.as_str()));
    let limit = i64::try_from(read.limit.min(limits::PAGE_RECORDS)).unwrap_or(0);
    let mut statement = connection.prepare_cached(PAGE).map_err(fail)?;
    let category = read.category.as_str();
    let parameters =
        params![read.partition.get(), category, until.as_micros(), at.as_micros(), stream, limit];
    let mut rows = statement.query(parameters).map_err(fail)?;
    let mut steps = Vec::new();
    while let Some(row) = rows.next().map_err(fail)? {
        steps.push(parse(row)?);
    }
    Ok(steps)
}

fn parse(row: &Row<'_>) -> Result<OpenStep> {
    let name: String = row::get(row, 0)?;
    let read = || -> Result<OpenStep> {
        let version = |column| row::get::<i64>(row, column).map(|v| Version::new(v.cast_unsigned()));
        let time = |column| row::get::<i64>(row, column).map(Timestamp::from_micros);
        Ok(OpenStep {
            stream: StreamName::parse(&name)?,
            cause: cause(row)?,
            aggregate_version: version(4)?,
            scanned_to: version(5)?,
            resumed: row::get(row, 6)?,
            requested_at: time(7)?,
            touched_at: time(8)?,
        })
    };
    read().map_err(|source| Error::corrupt("an open step cannot be read").in_stream(&name).caused_by(source))
}

fn cause(row: &Row<'_>) -> Result<Cause> {
    let step: String = row::get(row, 2)?;
    Ok(Cause {
        transaction: TransactionId::new(Uuid::from_bytes(row::get(row, 1)?)),
        step: StepName::parse(&step)?,
        fingerprint: Fingerprint::from_bytes(row::get(row, 3)?),
    })
}
