//! Statements that commit: certain only when the server says so and warns of nothing.

use tokio_postgres::Row;

use crate::clock::Timestamp;
use crate::error::Error;
use crate::store::AppendFailure;
use crate::store::postgres::batch::Batch;
use crate::store::postgres::failure;
use crate::store::postgres::session::{Parameter, Session};
use crate::store::postgres::types::column;
use crate::store::postgres::types::number;
use crate::stream::{StreamName, Version};

const APPEND: &str = include_str!("sql/append.sql");
const APPEND_TRACKED: &str = include_str!("sql/append_tracked.sql");
const APPEND_NOTIFIED: &str = include_str!("sql/append_notified.sql");
const APPEND_TRACKED_NOTIFIED: &str = include_str!("sql/append_tracked_notified.sql");

const HOLDERS: &str = include_str!("sql/lock_holders.sql");

/// What is asked of an append's commit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    /// It has to be on a quorum.
    pub(super) quorum: bool,
    /// Other processes are told of it.
    pub(super) notify: bool,
}

/// What the function answered.
pub(super) enum Appended {
    /// By partition: the position before its first record, and the time.
    Done(Vec<(u64, Timestamp)>),
    /// Nothing was written: these streams are elsewhere, namely there.
    Elsewhere(Vec<(StreamName, Version)>),
    /// Nothing was written: a stream that was not looked up is there, or a step took effect before.
    IsThere,
    /// Nothing was written: somebody keeps a partition locked.
    Locked,
}

/// Runs a statement that is a transaction of its own.
pub(super) async fn query(
    session: &Session,
    doing: &str,
    sql: &str,
    parameters: &[Parameter<'_>],
) -> Result<Vec<Row>, AppendFailure> {
    match ask(session, sql, parameters).await? {
        Ok(rows) => Ok(rows),
        Err(source) if failure::is_locked(&source) => {
            Err(AppendFailure::Refused(locked(session, source).await))
        }
        Err(source) => Err(failure::changing(doing, source)),
    }
}

/// What the server answered. A warning makes the answer uncertain.
async fn ask(
    session: &Session,
    sql: &str,
    parameters: &[Parameter<'_>],
) -> Result<Result<Vec<Row>, tokio_postgres::Error>, AppendFailure> {
    let before = session.notices();
    let answer = session.query(sql, parameters).await;
    match session.warned_since(before) {
        Some(warning) if answer.is_ok() => Err(failure::warned(warning)),
        _ => Ok(answer),
    }
}

/// Appends in a transaction of its own.
pub(super) async fn append(
    session: &Session,
    batch: &Batch<'_>,
    terms: Terms,
) -> Result<Appended, AppendFailure> {
    let columns = batch.open_steps.columns();
    let mut parameters = batch.parameters(&terms.quorum);
    parameters.extend(columns.iter().flat_map(|columns| columns.parameters()));
    let sql = match (columns.is_some(), terms.notify) {
        (false, false) => APPEND,
        (false, true) => APPEND_NOTIFIED,
        (true, false) => APPEND_TRACKED,
        (true, true) => APPEND_TRACKED_NOTIFIED,
    };
    let rows = match ask(session, sql, &parameters).await? {
        Ok(rows) => rows,
        Err(source) if failure::is_there(&source) => return Ok(Appended::IsThere),
        Err(source) if failure::is_locked(&source) => return Ok(Appended::Locked),
        Err(source) => return Err(failure::changing("appending", source)),
    };
    // It is committed: what cannot be read now is not certain.
    appended(batch, &rows).map_err(AppendFailure::Unknown)
}

/// A partition that is kept locked: the error names who does.
pub(super) async fn locked(session: &Session, source: tokio_postgres::Error) -> Error {
    let holders = session.query(HOLDERS, &[]).await.unwrap_or_default();
    let named: Vec<String> = holders.iter().filter_map(|row| column(row, 0).ok()).collect();
    let named = if named.is_empty() { "nobody any more".to_owned() } else { named.join(", ") };
    failure::of("waiting for a partition", source)
        .expected("a partition that is free within 10 s", format!("locked by {named}"))
        .advice("end that transaction, or wait for it; retry with the same transaction id")
}

fn appended(batch: &Batch<'_>, rows: &[Row]) -> Result<Appended, Error> {
    let row = rows.first().ok_or_else(|| Error::corrupt("the server answered an append without a row"))?;
    if let Some(places) = column::<Option<Vec<i32>>>(row, 2)? {
        let found: Vec<i64> = column(row, 3)?;
        let streams = places.into_iter().filter_map(|place| batch.stream_at(place).cloned());
        let found = found.into_iter().map(|version| Version::new(number(version)));
        return Ok(Appended::Elsewhere(streams.zip(found).collect()));
    }
    let (bases, times): (Vec<i64>, Vec<i64>) = (column(row, 0)?, column(row, 1)?);
    let landed = bases.into_iter().zip(times);
    Ok(Appended::Done(landed.map(|(base, at)| (number(base), Timestamp::from_micros(at))).collect()))
}
