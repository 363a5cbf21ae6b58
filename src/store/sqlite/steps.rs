//! The table of open steps: what it becomes with each record of a side stream, and its pages.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::event::{NewRecord, RecordKind};
use crate::id::{Cause, Fingerprint, StepName, TransactionId};
use crate::limits;
use crate::partition::PartitionId;
use crate::store::sqlite::failure;
use crate::store::{OpenStep, OpenStepsRead, StreamAppend};
use crate::stream::{StreamName, Version};
use uuid::Uuid;

const OPEN: &str = include_str!("sql/open_step.sql");
const SETTLE: &str = include_str!("sql/settle_step.sql");
const OF_STREAM: &str = include_str!("sql/open_step_of.sql");
const BY_NAME: &str = include_str!("sql/all_open_steps.sql");
const PAGE: &str = include_str!("sql/open_steps.sql");

/// Takes in what the records of one append do to their stream's open step. A step that the same append settles
/// never reaches the table: that is the common case, and it costs nothing. `is_fresh` streams had no records
/// before this append, and so no step.
pub(super) fn note(
    connection: &Connection,
    partition: PartitionId,
    append: &StreamAppend,
    is_fresh: bool,
    at: Timestamp,
) -> rusqlite::Result<()> {
    let settles = |data: &NewRecord| matches!(data.kind, RecordKind::Accepted { .. } | RecordKind::Rejected);
    let settled = append.records.iter().rposition(settles).map(|last| last.saturating_add(1));
    let rest = append.records.get(settled.unwrap_or(0)..).unwrap_or_default();
    let mut open: Option<OpenStep> = None;
    for data in rest {
        match (data.kind, &data.cause) {
            (RecordKind::Requested { aggregate_version }, Some(cause)) => {
                open = Some(requested(&append.stream, cause, aggregate_version, at));
            }
            (RecordKind::Resumed { scanned_to }, _) => {
                if open.is_none() && settled.is_none() {
                    open = of_stream(connection, &append.stream)?;
                }
                open.iter_mut().for_each(|step| resume(step, scanned_to, at));
            }
            _ => {}
        }
    }
    match open {
        Some(step) => write(connection, partition, &step),
        None if settled.is_some() && !is_fresh => {
            connection.prepare_cached(SETTLE)?.execute([append.stream.as_str()]).map(drop)
        }
        None => Ok(()),
    }
}

fn resume(step: &mut OpenStep, scanned_to: Version, at: Timestamp) {
    step.scanned_to = step.scanned_to.max(scanned_to);
    step.resumed = step.resumed.saturating_add(1);
    step.touched_at = at;
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

pub(super) fn write(
    connection: &Connection,
    partition: PartitionId,
    step: &OpenStep,
) -> rusqlite::Result<()> {
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

/// The open steps by the names of their streams, of all partitions.
pub(super) fn by_name(
    connection: &Connection,
    after: Option<&StreamName>,
    limit: usize,
) -> Result<Vec<OpenStep>> {
    let fail = |source| failure::of("reading open steps", source);
    let mut statement = connection.prepare_cached(BY_NAME).map_err(fail)?;
    let limit = i64::try_from(limit.min(limits::PAGE_RECORDS)).unwrap_or(0);
    let mut rows = statement.query(params![after.map_or("", StreamName::as_str), limit]).map_err(fail)?;
    let mut steps = Vec::new();
    while let Some(row) = rows.next().map_err(fail)? {
        steps.push(parse(row)?);
    }
    Ok(steps)
}

fn parse(row: &Row<'_>) -> Result<OpenStep> {
    let name: String = get(row, 0)?;
    let read = || -> Result<OpenStep> {
        let version = |column| get::<i64>(row, column).map(|v| Version::new(v.cast_unsigned()));
        let time = |column| get::<i64>(row, column).map(Timestamp::from_micros);
        Ok(OpenStep {
            stream: StreamName::parse(&name)?,
            cause: cause(row)?,
            aggregate_version: version(4)?,
            scanned_to: version(5)?,
            resumed: get(row, 6)?,
            requested_at: time(7)?,
            touched_at: time(8)?,
        })
    };
    read().map_err(|source| Error::corrupt("an open step cannot be read").in_stream(&name).caused_by(source))
}

fn cause(row: &Row<'_>) -> Result<Cause> {
    let step: String = get(row, 2)?;
    Ok(Cause {
        transaction: TransactionId::new(Uuid::from_bytes(get(row, 1)?)),
        step: StepName::parse(&step)?,
        fingerprint: Fingerprint::from_bytes(get(row, 3)?),
    })
}

fn get<T: rusqlite::types::FromSql>(row: &Row<'_>, column: usize) -> Result<T> {
    row.get(column).map_err(|source| failure::of("reading a column", source))
}
