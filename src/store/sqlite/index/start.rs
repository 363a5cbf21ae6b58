//! The indexes at a start: runs are loaded, and the tail of the log behind them is read.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row};

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::partition::{PartitionCount, PartitionId};
use crate::store::sqlite::body::Body;
use crate::store::sqlite::failure;
use crate::store::sqlite::index::cache::BlockCache;
use crate::store::sqlite::index::live::{Live, Sealed};
use crate::store::sqlite::index::outline::{Head, Outline, Place, Written};
use crate::store::sqlite::index::run::{self, Run};
use crate::stream::Position;

const FLUSHED: &str = include_str!("../sql/flushed.sql");
const HEADS: &str = include_str!("../sql/partition_heads.sql");
const UNITS_AFTER: &str = include_str!("../sql/units_after.sql");
const NEXT_BLOCK: &str = include_str!("../sql/next_block.sql");
const REMOVE_LISTS: &str = include_str!("../sql/remove_lists.sql");
const REMOVE_BLOCKS: &str = include_str!("../sql/remove_blocks.sql");
const RESET: &str = include_str!("../sql/reset_index.sql");

/// How far the runs go, and how often runs changed.
pub(in crate::store::sqlite) fn flushed(connection: &Connection) -> Result<(u64, u64)> {
    let read = || -> rusqlite::Result<(i64, i64)> {
        connection.prepare_cached(FLUSHED)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
    };
    let (flushed, changes) =
        read().map_err(|source| failure::of("reading how far the index goes", source))?;
    Ok((flushed.cast_unsigned(), changes.cast_unsigned()))
}

/// Loads the runs, and no table. Those in `known` are taken as they are.
pub(in crate::store::sqlite) fn load(
    connection: &Connection,
    partitions: PartitionCount,
    known: &[Arc<Run>],
    cache: Arc<BlockCache>,
) -> Result<Live> {
    let (flushed, _) = flushed(connection)?;
    let mut runs = Vec::new();
    for row in run::stored(connection)? {
        runs.push(match known.iter().find(|run| run.row == row) {
            Some(run) => Arc::clone(run),
            None => Arc::new(Run::load(connection, row, Arc::clone(&cache))?),
        });
    }
    check_cover(&runs, flushed)?;
    let sealed = Sealed { runs, tables: Vec::new(), flushed };
    Ok(Live::new(sealed, heads(connection, partitions)?, cache))
}

/// Demands that the runs cover the log without gaps: streams in a gap would seem not to exist.
fn check_cover(runs: &[Arc<Run>], flushed: u64) -> Result<()> {
    let mut covered = 0_u64;
    for row in runs.iter().map(|run| run.row) {
        if row.first_row != covered.saturating_add(1) || row.last_row < row.first_row {
            return Err(Error::corrupt(format!(
                "run {} of the index does not follow the one before",
                row.id
            ))
            .expected(format!("row {}", covered.saturating_add(1)), row.first_row));
        }
        covered = row.last_row;
    }
    if covered == flushed {
        return Ok(());
    }
    Err(Error::corrupt("the index does not go as far as it says").expected(flushed, covered))
}

/// How far the partitions' logs went when the runs were written.
fn heads(connection: &Connection, partitions: PartitionCount) -> Result<Vec<Head>> {
    let parse = |row: &Row<'_>| -> rusqlite::Result<Head> {
        let position = Position::new(row.get::<_, i64>(1)?.cast_unsigned());
        Ok(Head { position, time: Timestamp::from_micros(row.get(2)?) })
    };
    let read = || -> rusqlite::Result<Vec<Head>> {
        connection.prepare_cached(HEADS)?.query_map([], parse)?.collect()
    };
    let heads = read().map_err(|source| failure::of("reading the partitions' heads", source))?;
    if heads.len() == usize::from(partitions.get()) {
        return Ok(heads);
    }
    Err(Error::corrupt("the partitions' heads are not all there").expected(partitions, heads.len()))
}

/// Reads some of what the log holds behind the tables in memory, and says whether there may be more.
pub(in crate::store::sqlite) fn read_on(connection: &Connection, live: &Live) -> Result<bool> {
    let units = tail(connection, live.last_row())?;
    live.publish(&units, units.iter().map(|unit| (unit.partition, unit.head())));
    Ok(units.len() == TAIL_UNITS)
}

/// Units that are read at once.
const TAIL_UNITS: usize = 4_096;

fn tail(connection: &Connection, after: u64) -> Result<Vec<Written>> {
    let fail = |source| failure::of("reading the log's tail", source);
    let mut statement = connection.prepare_cached(UNITS_AFTER).map_err(fail)?;
    let mut rows = statement.query([after.cast_signed()]).map_err(fail)?;
    let mut units = Vec::new();
    while units.len() < TAIL_UNITS
        && let Some(row) = rows.next().map_err(fail)?
    {
        let number: i64 = row.get(0).map_err(fail)?;
        let before = units.last().map_or(after, |unit: &Written| unit.place.row);
        if number.cast_unsigned() != before.saturating_add(1) {
            return Err(Error::corrupt("a row of the log is missing")
                .expected(before.saturating_add(1), number)
                .advice("keep a copy of the store; restore a backup"));
        }
        let unit = written(number.cast_unsigned(), row).map_err(|source| {
            Error::corrupt(format!(
                "row {number} of the log cannot be read, and the indexes behind it cannot be made"
            ))
            .caused_by(source)
            .advice("keep a copy of the store; restore a backup")
        })?;
        units.push(unit);
    }
    Ok(units)
}

fn written(number: u64, row: &Row<'_>) -> Result<Written> {
    let fail = |source| failure::of("reading a row of the log", source);
    let partition = PartitionId::new(row.get(1).map_err(fail)?);
    let position: i64 = row.get(2).map_err(fail)?;
    let body = row.get_ref(4).and_then(|body| Ok(body.as_blob()?)).map_err(fail)?;
    Ok(Written {
        partition,
        place: Place { row: number, position: position.cast_unsigned() },
        recorded_at: Timestamp::from_micros(row.get(3).map_err(fail)?),
        outline: Outline::read(&Body::parse(body)?)?,
    })
}

/// Removes what a flush or merge that was cut short left behind, and returns the number of the next run. Only
/// the writer may.
pub(in crate::store::sqlite) fn clean(connection: &Connection) -> Result<u64> {
    let work = || -> rusqlite::Result<u64> {
        let mut statement = connection.prepare_cached(RUN_IDS)?;
        let known: Vec<i64> = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        let mut next = 1_u64;
        let mut at = -1_i64;
        while let Some(block) = next_block(connection, at)? {
            let id = run::run_of(block);
            let end = run::block_id(id.saturating_add(1), 0);
            if !known.contains(&id.cast_signed()) {
                connection.prepare_cached(REMOVE_BLOCKS)?.execute([block, end])?;
            }
            (next, at) = (id.saturating_add(1), end.saturating_sub(1));
        }
        let flushed = connection.query_row(FLUSHED, [], |row| Ok((row.get(0)?, row.get(1)?)));
        let (flushed, changes): (i64, i64) = flushed?;
        connection.execute(REMOVE_LISTS, [flushed])?;
        // A rebuild that was cut short leaves no runs; its number of changes is still above theirs.
        next = next.max(changes.cast_unsigned().saturating_add(1));
        Ok(known.iter().map(|id| id.cast_unsigned().saturating_add(1)).fold(next, u64::max))
    };
    work().map_err(|source| failure::of("removing the remains of a flush", source))
}

const RUN_IDS: &str = include_str!("../sql/run_ids.sql");

fn next_block(connection: &Connection, after: i64) -> rusqlite::Result<Option<i64>> {
    connection.prepare_cached(NEXT_BLOCK)?.query_row([after], |row| row.get(0)).optional()
}

/// Throws all stored indexes away: the log says all that they say.
pub(in crate::store::sqlite) fn reset(connection: &Connection) -> Result<()> {
    connection
        .execute_batch(&format!("BEGIN IMMEDIATE; {RESET} COMMIT"))
        .map_err(|source| failure::of("throwing the indexes away", source))
}
