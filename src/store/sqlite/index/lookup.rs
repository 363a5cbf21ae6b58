//! Where the records of a stream lie: what tables and runs say, put together.

use std::sync::Arc;

use rusqlite::Connection;

use crate::error::Result;
use crate::store::sqlite::index::entry::Append;
use crate::store::sqlite::index::live::{Recent, Sealed};
use crate::store::sqlite::index::run::{Cursor, Run};
use crate::store::sqlite::index::table::Table;
use crate::store::stream_key::StreamKey;
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
    let mut search = Search { connection, sealed, key, recent };
    let snapshot = match read.from {
        ReadFrom::After(_) => None,
        ReadFrom::SnapshotBefore(before) => search.snapshot(before.get())?,
    };
    let snapshot = snapshot.filter(|append| append.last > floor.get());
    let asked = match read.from {
        ReadFrom::After(version) => version,
        ReadFrom::SnapshotBefore(_) => snapshot.map_or(floor, |append| Version::new(append.last)),
    };
    let after = asked.max(floor);
    let found = search.parts(after.get())?;
    // The tables were looked at before the floor was read: it may have passed them meanwhile.
    let head = |last: Append| Version::new(last.last).max(floor);
    Ok(found.map(|(last, parts)| Located { head: head(last), snapshot, after, parts }))
}

/// A look through everything that may know a stream, from the newest to the oldest.
struct Search<'a> {
    connection: &'a Connection,
    sealed: &'a Sealed,
    key: &'a StreamKey,
    recent: Recent,
}

impl Search<'_> {
    /// The last snapshot before a version.
    fn snapshot(&self, before: u64) -> Result<Option<Append>> {
        match self.recent.snapshot {
            Some(snapshot) => Ok(Some(snapshot)),
            None => last_before(self.connection, self.sealed, &self.key.snapshots(), before),
        }
    }

    /// The stream's last append, and the parts that hold the records behind `after`, the oldest first. Versions
    /// have no gaps, so the search ends where the next record is found.
    fn parts(&mut self, after: u64) -> Result<Option<(Append, Vec<Part>)>> {
        let mut found = Found { after, head: None, parts: Vec::new(), is_complete: false };
        found.add(std::mem::take(&mut self.recent.appends), self.recent.follows_older);
        found.head = self.recent.last;
        for table in self.sealed.tables.iter().rev() {
            if found.ends() {
                break;
            }
            let appends = table.appends(self.key);
            found.head = found.head.or(appends.last().copied());
            found.add(appends.to_vec(), false);
        }
        for run in self.sealed.runs.iter().rev() {
            if found.ends() {
                break;
            }
            if run.may_hold(self.key) {
                self.look_into(run, &mut found)?;
            }
        }
        found.parts.reverse();
        Ok(found.head.map(|head| (head, found.parts)))
    }

    fn look_into(&self, run: &Arc<Run>, found: &mut Found) -> Result<()> {
        let cursor = run.after(self.connection, self.key, found.after)?;
        if found.head.is_none() {
            let last = cursor
                .last
                .map_or_else(|| run.before(self.connection, self.key, u64::MAX), |last| Ok(Some(last)));
            found.head = last?;
        }
        found.is_complete = cursor.follows_older || is_next(cursor.first().as_slice(), found.after);
        if cursor.first().is_some() {
            found.parts.push(Part::Run(Arc::clone(run), cursor));
        }
        Ok(())
    }
}

/// What a search has found so far.
struct Found {
    after: u64,
    head: Option<Append>,
    /// The newest first.
    parts: Vec<Part>,
    /// Older parts hold nothing behind `after`.
    is_complete: bool,
}

impl Found {
    fn ends(&self) -> bool {
        self.is_complete || self.head.is_some_and(|head| head.last <= self.after)
    }

    /// Adds what a table has of the stream.
    fn add(&mut self, mut appends: Vec<Append>, follows_older: bool) {
        let begin = appends.partition_point(|append| append.last <= self.after);
        appends.drain(..begin);
        self.is_complete = follows_older || begin > 0 || is_next(&appends, self.after);
        if !appends.is_empty() {
            self.parts.push(Part::Listed(appends.into_iter()));
        }
    }
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
