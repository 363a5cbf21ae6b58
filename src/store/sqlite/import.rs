//! Taking in parts of another store's log: rows are written as they are, with their positions and times.

use std::sync::Arc;

use rusqlite::{Connection, params};

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::partition::PartitionId;
use crate::store::rows::KeptRow;
use crate::store::sqlite::halt::Halt;
use crate::store::sqlite::import_unit::{Imported, units};
use crate::store::sqlite::index::live::Live;
use crate::store::sqlite::index::lookup;
use crate::store::sqlite::index::outline::{Head, Place, Written};
use crate::store::sqlite::writer::Writer;
use crate::store::sqlite::{closed, gone, row, rows, steps, truncation};
use crate::store::stream_key::StreamKey;
use crate::store::transfer::{Floor, ImportPage, Mark, RowPlace, Run, elsewhere, not_continued};
use crate::store::{OpenStep, StoreProperties};
use crate::stream::Version;

const INSERT: &str = include_str!("sql/insert_unit.sql");
const RAISE_FLOOR: &str = include_str!("sql/raise_floor.sql");
const REMOVE_STEPS: &str = include_str!("sql/remove_open_steps.sql");

/// Takes in a page, in one transaction.
pub(super) fn page(writer: &mut Writer, partition: PartitionId, page: &ImportPage) -> Result<()> {
    demand_copying(writer)?;
    let (properties, live) = (writer.properties(), Arc::clone(writer.live()));
    let runs = page.check(partition, properties.partitions)?;
    let head = live.head(partition).ok_or_else(|| row::no_partition(partition, properties.partitions))?;
    if head.position != page.after {
        return Err(elsewhere(head.position, page));
    }
    let written = writer.write(|connection| {
        runs.iter().try_for_each(|run| demand_continued(connection, &live, run)).map_err(Halt::Refused)?;
        insert(connection, &live, partition, page, head)
    })?;
    for run in &runs {
        writer.note_head(StreamKey::of(run.stream), run.head);
    }
    let heads = written.last().map(|last| (partition, last.head()));
    live.publish(&written, heads);
    Ok(())
}

fn demand_copying(writer: &Writer) -> Result<()> {
    if *writer.mark() == Mark::Copying {
        return Ok(());
    }
    Err(Error::invalid("the store takes nothing in: it is no copy under way"))
}

/// A stream continues where it is, or behind its floor where nothing of it is there.
fn demand_continued(connection: &Connection, live: &Live, run: &Run<'_>) -> Result<()> {
    let key = StreamKey::of(run.stream);
    let last = match live.last_append(&key) {
        Some(last) => Some(last),
        None => lookup::last_append(connection, &live.sealed(), &key)?,
    };
    let stands = match last {
        Some(last) => Version::new(last.last),
        None => truncation::floor(connection, run.stream)?,
    };
    if stands == run.before { Ok(()) } else { Err(not_continued(run, stands)) }
}

fn insert(
    connection: &Connection,
    live: &Live,
    partition: PartitionId,
    page: &ImportPage,
    head: Head,
) -> Result<Vec<Written>, Halt> {
    let mut row = live.last_row();
    let mut time = head.time;
    let mut gone = gone::Waiting::new(connection, partition);
    let mut written = Vec::new();
    for unit in units(page) {
        let Imported { position, recorded_at, body, outline } =
            unit.encode(&mut gone).map_err(Halt::Refused)?;
        row = row.saturating_add(1);
        time = time.max(recorded_at);
        let parameters =
            params![row.cast_signed(), partition.get(), position.get().cast_signed(), time.as_micros(), body];
        connection
            .prepare_cached(INSERT)
            .and_then(|mut statement| statement.execute(parameters))
            .map_err(|error| Halt::before_commit("writing records of a copy", error))?;
        let place = Place { row, position: position.get() };
        written.push(Written { partition, place, recorded_at: time, outline });
    }
    Ok(written)
}

/// Takes in floors, before any record.
pub(super) fn floors(writer: &mut Writer, floors: &[Floor]) -> Result<()> {
    demand_copying(writer)?;
    let StoreProperties { partitions, .. } = writer.properties();
    writer.write(|connection| {
        let work = || -> rusqlite::Result<()> {
            for Floor { stream, floor, head } in floors {
                let parameters = params![stream.as_str(), floor.get().cast_signed()];
                connection.prepare_cached(RAISE_FLOOR)?.execute(parameters)?;
                if head <= floor {
                    gone::add(connection, stream, partitions.of(stream.cardinal()), *floor)?;
                }
            }
            Ok(())
        };
        work().map_err(|error| Halt::before_commit("writing floors", error))
    })
}

/// Takes in open steps.
pub(super) fn steps(writer: &mut Writer, is_first: bool, open: &[OpenStep]) -> Result<()> {
    demand_copying(writer)?;
    let StoreProperties { partitions, .. } = writer.properties();
    writer.write(|connection| {
        let work = || -> rusqlite::Result<()> {
            if is_first {
                connection.execute(REMOVE_STEPS, [])?;
            }
            open.iter()
                .try_for_each(|step| steps::write(connection, partitions.of(step.stream.cardinal()), step))
        };
        work().map_err(|error| Halt::before_commit("writing open steps", error))
    })
}

/// Takes in rows.
pub(super) fn rows(writer: &mut Writer, kept: &[(RowPlace, KeptRow)]) -> Result<()> {
    demand_copying(writer)?;
    let put = |connection: &Connection| {
        kept.iter().try_for_each(|((partition, key), row)| rows::put(connection, *partition, key, row))
    };
    writer.write(|connection| put(connection).map_err(|error| Halt::before_commit("writing rows", error)))
}

/// Takes in the times at which partitions were closed.
pub(super) fn times(writer: &mut Writer, times: &[Timestamp]) -> Result<()> {
    demand_copying(writer)?;
    let live = Arc::clone(writer.live());
    let raised = writer.properties().partitions.all().zip(times).filter_map(|(partition, time)| {
        let head = live.head(partition).filter(|head| head.time < *time)?;
        Some((partition, Head { time: *time, ..head }))
    });
    closed::raise(writer, raised.collect())
}

/// Writes the store's mark.
pub(super) fn mark(writer: &mut Writer, mark: Mark) -> Result<()> {
    let fail = |error| Halt::before_commit("marking the store", error);
    writer.write(|connection| crate::store::sqlite::mark::write(connection, &mark).map_err(fail))?;
    writer.set_mark(mark);
    Ok(())
}
