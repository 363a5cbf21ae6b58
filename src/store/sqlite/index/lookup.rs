//! Where the records of a stream lie: what tables and runs say, put together.

use std::sync::Arc;

use rusqlite::Connection;

use crate::error::Result;
use crate::store::sqlite::index::entry::Append;
use crate::store::sqlite::index::live::{Recent, Sealed};
use crate::store::sqlite::index::run::{Cursor, Run};
use crate::store::sqlite::index::table::Table;
use crate::store::sqlite::key::StreamKey;
use crate::store::{ReadFrom, StreamRead};
use crate::stream::Version;

/// A stream's records behind a version.
#[derive(Debug)]
pub(in crate::store::sqlite) struct Located {
    /// The version of the stream's last record.
    pub(in crate::store::sqlite) head: Version,
    /// The append of the snapshot that the read starts at.
    pub(in crate::store::sqlite) snapshot: Option<Append>,
    /// Where the records begin.
    pub(in crate::store::sqlite) after: Version,
    parts: Vec<Part>,
}

/// Appends of one table or run.
#[derive(Debug)]
enum Part {
    Listed(std::vec::IntoIter<Append>),
    Run(Arc<Run>, Cursor),
}

/// Looks for the stream that `read` asks for, whose records at and before `floor` are gone. `None` where there
/// is no such stream.
pub(in crate::store::sqlite) fn locate(
    connection: &Connection,
    sealed: &Arc<Sealed>,
    key: &StreamKey,
    read: &StreamRead,
    floor: Version,
    recent: Recent,
) -> Result<Option<Located>> {
    let head = match recent.last {
        Some(last) => Some(last),
        None => last_append(connection, sealed, key)?,
    };
    let Some(head) = head else { return Ok(None) };
    let snapshot = match read.from {
        ReadFrom::After(_) => None,
        ReadFrom::SnapshotBefore(_) if recent.snapshot.is_some() => recent.snapshot,
        ReadFrom::SnapshotBefore(before) => last_before(connection, sealed, &key.snapshots(), before.get())?,
    };
    let snapshot = snapshot.filter(|append| append.last > floor.get());
    let asked = match read.from {
        ReadFrom::After(version) => version,
        ReadFrom::SnapshotBefore(_) => snapshot.map_or(floor, |append| Version::new(append.last)),
    };
    let after = asked.max(floor);
    let parts = parts(connection, sealed, key, after.get(), head.last, recent)?;
    // The tables were looked at before the floor was read: it may have passed them meanwhile.
    let head = Version::new(head.last).max(floor);
    Ok(Some(Located { head, snapshot, after, parts }))
}

/// The last append to a stream that is not in the table in use.
pub(in crate::store::sqlite) fn last_append(
    connection: &Connection,
    sealed: &Sealed,
    key: &StreamKey,
) -> Result<Option<Append>> {
    last_before(connection, sealed, key, u64::MAX)
}

fn last_before(
    connection: &Connection,
    sealed: &Sealed,
    key: &StreamKey,
    before: u64,
) -> Result<Option<Append>> {
    let in_table = |table: &Arc<Table>| {
        let appends = table.appends(key);
        let behind = appends.partition_point(|append| append.last < before);
        behind.checked_sub(1).and_then(|at| appends.get(at)).copied()
    };
    if let Some(found) = sealed.tables.iter().rev().find_map(in_table) {
        return Ok(Some(found));
    }
    for run in sealed.runs.iter().rev().filter(|run| run.may_hold(key)) {
        if let Some(found) = run.before(connection, key, before)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// The parts that hold the records behind `after`, the oldest first. Versions have no gaps, so the search, from
/// the newest part back, ends where the next record is found.
fn parts(
    connection: &Connection,
    sealed: &Sealed,
    key: &StreamKey,
    after: u64,
    head: u64,
    recent: Recent,
) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    if head <= after {
        return Ok(parts);
    }
    // What is there may begin before `after`, where that was not known when the table was looked at.
    let begin = recent.appends.partition_point(|append| append.last <= after);
    let follows_older = recent.follows_older || begin > 0;
    let appends = recent.appends.get(begin..).unwrap_or_default().to_vec();
    let mut is_complete = follows_older || is_next(&appends, after);
    if !appends.is_empty() {
        parts.push(Part::Listed(appends.into_iter()));
    }
    for table in sealed.tables.iter().rev() {
        if is_complete {
            break;
        }
        let all = table.appends(key);
        let begin = all.partition_point(|append| append.last <= after);
        let rest = all.get(begin..).unwrap_or_default();
        is_complete = begin > 0 || is_next(rest, after);
        if !rest.is_empty() {
            let rest = rest.to_vec();
            parts.push(Part::Listed(rest.into_iter()));
        }
    }
    for run in sealed.runs.iter().rev() {
        if is_complete {
            break;
        }
        if !run.may_hold(key) {
            continue;
        }
        let cursor = run.after(connection, key, after)?;
        is_complete = cursor.follows_older || is_next(cursor.first().as_slice(), after);
        if cursor.first().is_some() {
            parts.push(Part::Run(Arc::clone(run), cursor));
        }
    }
    parts.reverse();
    Ok(parts)
}

/// Whether the first append holds the record right behind `after`.
fn is_next(appends: &[Append], after: u64) -> bool {
    appends.first().is_some_and(|append| append.last.saturating_sub(append.records) <= after)
}

impl Located {
    /// The next append, in order.
    pub(in crate::store::sqlite) fn next(&mut self, connection: &Connection) -> Result<Option<Append>> {
        while let Some(part) = self.parts.first_mut() {
            let next = match part {
                Part::Listed(appends) => appends.next(),
                Part::Run(run, cursor) => cursor.next(run, connection)?,
            };
            if next.is_some() {
                return Ok(next);
            }
            self.parts.remove(0);
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::StreamName;

    /// The tables are older than the floor when a stream is appended to and truncated between two looks.
    #[test]
    fn the_head_is_never_below_the_floor() {
        let connection = Connection::open_in_memory().expect("a database");
        let stream = StreamName::parse("account-7").expect("valid");
        let read = StreamRead { stream, from: ReadFrom::After(Version::EMPTY), limit: 9 };
        let key = StreamKey::of(&read.stream);
        let append = Append { last: 3, records: 3, row: 1 };
        let recent = || Recent { last: Some(append), appends: vec![append], ..Recent::default() };
        for (floor, head) in [(0, 3), (3, 3), (5, 5)] {
            let floor = Version::new(floor);
            let located = locate(&connection, &Arc::default(), &key, &read, floor, recent());
            let mut located = located.expect("readable").expect("there");
            assert_eq!((located.head.get(), located.after), (head, floor));
            let next = located.next(&connection).expect("readable");
            assert_eq!(next, (floor == Version::EMPTY).then_some(append));
        }
    }
}
