//! Reading a partition's log, or the records of some types in it.

use std::collections::BTreeSet;
use std::sync::Arc;

use rusqlite::Connection;

use crate::error::{Error, Result};
use crate::event::{EventType, Record};
use crate::partition::PartitionId;
use crate::store::LogPage;
use crate::store::sqlite::body::StoredRecord;
use crate::store::sqlite::index::live::{Live, Sealed};
use crate::store::sqlite::index::outline::Place;
use crate::store::sqlite::index::places;
use crate::store::sqlite::index::table::PlacesRead;
use crate::store::sqlite::row::{self, PAGE_BYTES, Row};
use crate::stream::{Position, StreamName};

/// Units that are looked for at once, at least.
const UNITS: usize = 64;

/// Reads what follows a position, up to the partition's head as it was when the indexes were looked at.
pub(super) fn page(
    connection: &Connection,
    live: &Live,
    partition: PartitionId,
    types: Option<&[EventType]>,
    (after, head): (Position, Position),
    limit: usize,
) -> Result<LogPage> {
    let mut scan = Scan {
        types,
        after,
        read_to: after,
        head,
        limit,
        bytes_left: PAGE_BYTES,
        records: Vec::new(),
        is_cut: false,
    };
    let lists: Vec<_> = match types {
        None => vec![List::of(live, partition, None, after)],
        Some(types) => types.iter().map(|of| List::of(live, partition, Some(of), after)).collect(),
    };
    let most = limit.saturating_add(2).max(UNITS);
    let mut from = after.next();
    loop {
        let (places, is_all) = find(connection, &lists, partition, from, most)?;
        for place in &places {
            if scan.is_cut || place.position > head.get() {
                break;
            }
            if let Err(error) = scan.unit(connection, *place) {
                return scan.before(error);
            }
        }
        let last = places.last().map_or(head, |place| Position::new(place.position));
        if is_all || scan.is_cut || last >= head {
            return match scan.gap(head) {
                Some(error) => scan.before(error),
                None => Ok(scan.finish()),
            };
        }
        from = last.next();
    }
}

/// A list of units as of one moment: before the read transaction saw anything.
struct List<'a> {
    event_type: Option<&'a EventType>,
    recent: Vec<Place>,
    sealed: Arc<Sealed>,
}

impl<'a> List<'a> {
    fn of(live: &Live, partition: PartitionId, event_type: Option<&'a EventType>, after: Position) -> Self {
        let from = after.next().get();
        let (recent, sealed) = live.places(&PlacesRead { event_type, partition, from, most: usize::MAX });
        Self { event_type, recent, sealed }
    }
}

/// The next units of any of the lists, in order, and whether there are no others.
fn find(
    connection: &Connection,
    lists: &[List<'_>],
    partition: PartitionId,
    from: Position,
    most: usize,
) -> Result<(BTreeSet<Place>, bool)> {
    let mut found = BTreeSet::new();
    let (mut complete_to, mut is_all) = (u64::MAX, true);
    for List { event_type, recent, sealed } in lists {
        let read = PlacesRead { event_type: *event_type, partition, from: from.get(), most };
        let places = places::find(connection, sealed, recent, &read)?;
        if places.len() >= most
            && let Some(last) = places.last()
        {
            // Behind it another list may have units that this one has, too.
            complete_to = complete_to.min(last.row);
            is_all = false;
        }
        found.extend(places);
    }
    found.retain(|place| place.row <= complete_to);
    Ok((found, is_all))
}

struct Scan<'a> {
    types: Option<&'a [EventType]>,
    /// The last position that was looked at.
    after: Position,
    /// The last position of the units that were looked at.
    read_to: Position,
    head: Position,
    limit: usize,
    bytes_left: usize,
    records: Vec<Record>,
    /// Records follow that are not here.
    is_cut: bool,
}

impl Scan<'_> {
    /// Takes the records of a unit, as far as there is room.
    fn unit(&mut self, connection: &Connection, place: Place) -> Result<()> {
        if let Some(gap) = self.gap(Position::new(place.position.saturating_sub(1))) {
            return Err(gap);
        }
        let missing = || Error::corrupt(format!("row {} of the log is missing", place.row));
        let row = row::read(connection, place.row)?.ok_or_else(missing)?;
        let body = row.parse()?;
        let records = body.appends.last().map_or(0, |last| last.before.saturating_add(last.records));
        self.read_to =
            self.read_to.max(Position::new(place.position.saturating_add(records).saturating_sub(1)));
        for append in &body.appends {
            let stream = StreamName::parse(&append.stream)?;
            let mut records = body.records(append);
            let first = row.position.plus(append.before);
            if first <= self.after {
                let seen = self.after.get().saturating_sub(first.get());
                records.skip_to(append.first.plus(seen)).map_err(|error| error.in_stream(&stream))?;
            }
            for record in records {
                let record = record.map_err(|error| error.in_stream(&stream))?;
                let before = append.before.saturating_add(record.version.since(append.first));
                let wanted = self.types.is_none_or(|types| types.contains(&record.data.event_type));
                if wanted && !self.push(&row, &stream, before, record) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// What is missing before or at `to`, where all units are looked at: a unit keeps its positions when its
    /// records are removed.
    fn gap(&self, to: Position) -> Option<Error> {
        let is_gap = self.types.is_none() && !self.is_cut && self.read_to < to;
        is_gap.then(|| {
            let next = self.read_to.next();
            Error::corrupt("a unit of the log is missing").expected(format!("position {next}"), to)
        })
    }

    fn push(&mut self, row: &Row, stream: &StreamName, before: u64, record: StoredRecord<'_>) -> bool {
        self.is_cut = self.records.len() >= self.limit || (self.bytes_left == 0 && !self.records.is_empty());
        if self.is_cut {
            return false;
        }
        self.bytes_left = self.bytes_left.saturating_sub(record.payload.len());
        let record = row.record(stream.clone(), before, record);
        self.after = record.position;
        self.records.push(record);
        true
    }

    fn finish(self) -> LogPage {
        let last = self.after;
        let read_to = if self.is_cut { last } else { self.head.max(last) };
        LogPage { records: self.records, read_to, head: self.head }
    }

    /// What can be read before a record that cannot is a page of its own; then the log stops there, by
    /// name, and never steps over it.
    fn before(self, error: Error) -> Result<LogPage> {
        if self.records.is_empty() {
            return Err(error);
        }
        Ok(LogPage { read_to: self.after, head: self.head, records: self.records })
    }
}
