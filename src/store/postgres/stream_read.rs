//! Reading parts of streams, many in one call.

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::error::{Error, Result};
use crate::event::Record;
use crate::limits;
use crate::partition::{PartitionCount, PartitionId};
use crate::store::postgres::row::{Wanted, take};
use crate::store::postgres::session::Parameter;
use crate::store::postgres::types::column;
use crate::store::postgres::types::{bound, number};
use crate::store::stream_key::{self, StreamKey};
use crate::store::{ReadFrom, StreamPage, StreamRead};
use crate::stream::{Position, StreamName, Version};

const READ: &str = include_str!("sql/read_streams.sql");
const READ_ALL: &str = include_str!("sql/read_all_streams.sql");

/// Reads, those of side streams behind the others: they have an index of their own.
pub(super) struct Reads {
    /// By place in the columns: which read it is.
    order: Vec<usize>,
    others: Columns,
    sides: Columns,
}

/// Reads as columns.
struct Columns {
    partitions: Vec<i32>,
    keys: Vec<Vec<u8>>,
    after: Vec<i64>,
    before: Vec<Option<i64>>,
    limits: Vec<i64>,
}

impl Reads {
    pub(super) fn new(reads: &[StreamRead], partitions: PartitionCount) -> Self {
        let reads_of_sides = |at: &usize| reads.get(*at).is_some_and(|read| is_side(&read.stream));
        let (sides, mut order): (Vec<usize>, Vec<usize>) = (0..reads.len()).partition(reads_of_sides);
        let columns = |places: &[usize]| {
            let of_these: Vec<_> = places.iter().filter_map(|at| reads.get(*at)).collect();
            Columns::new(&of_these, partitions)
        };
        let (others, of_sides) = (columns(&order), columns(&sides));
        order.extend(sides);
        Self { order, others, sides: of_sides }
    }

    /// The statement that reads them, as of one moment.
    pub(super) fn sql(&self) -> &'static str {
        if self.sides.keys.is_empty() { READ } else { READ_ALL }
    }

    pub(super) fn parameters(&self) -> Vec<Parameter<'_>> {
        let sides = (!self.sides.keys.is_empty()).then(|| self.sides.parameters());
        self.others.parameters().into_iter().chain(sides.into_iter().flatten()).collect()
    }

    /// Which read a row is of.
    fn at(&self, row: &Row) -> Option<usize> {
        let place = usize::try_from(column::<i64>(row, 0).ok()?).ok()?;
        self.order.get(place.checked_sub(1)?).copied()
    }
}

impl Columns {
    fn new(reads: &[&StreamRead], partitions: PartitionCount) -> Self {
        let from = |read: &StreamRead| match read.from {
            ReadFrom::After(version) => (bound(version.get()), None),
            ReadFrom::SnapshotBefore(version) => (0, Some(bound(version.get()))),
        };
        let limit = |read: &StreamRead| i64::try_from(read.limit.min(limits::PAGE_RECORDS)).unwrap_or(0);
        let of = |read: &StreamRead| i32::from(partitions.of(read.stream.cardinal()).get());
        Self {
            partitions: reads.iter().map(|read| of(read)).collect(),
            keys: reads.iter().map(|read| StreamKey::of(&read.stream).to_vec()).collect(),
            after: reads.iter().map(|read| from(read).0).collect(),
            before: reads.iter().map(|read| from(read).1).collect(),
            limits: reads.iter().map(|read| limit(read)).collect(),
        }
    }

    fn parameters(&self) -> [Parameter<'_>; 5] {
        [
            (&self.partitions, Type::INT4_ARRAY),
            (&self.keys, Type::BYTEA_ARRAY),
            (&self.after, Type::INT8_ARRAY),
            (&self.before, Type::INT8_ARRAY),
            (&self.limits, Type::INT8_ARRAY),
        ]
    }
}

/// Whether a stream's records are found by the index of side streams.
fn is_side(stream: &StreamName) -> bool {
    stream_key::side_parts(stream).is_some()
}

/// Puts the pages together from rows: a sort in the server would be one more way for it to plan the reads.
pub(super) fn pages(reads: &[StreamRead], columns: &Reads, mut rows: Vec<Row>) -> Vec<Result<StreamPage>> {
    let mut pages: Vec<_> = reads.iter().map(|_| Ok(StreamPage::empty())).collect();
    let position = |row: &Row| column::<Option<i64>>(row, 5).ok().flatten();
    rows.sort_by_cached_key(|row| (columns.at(row), position(row)));
    for of_one in rows.chunk_by(|one, other| columns.at(one) == columns.at(other)) {
        let at = of_one.first().and_then(|row| columns.at(row));
        let Some((read, page)) = at.and_then(|at| reads.get(at).zip(pages.get_mut(at))) else { continue };
        *page = self::page(read, of_one).map_err(|error| error.in_stream(&read.stream));
    }
    pages
}

fn page(read: &StreamRead, rows: &[Row]) -> Result<StreamPage> {
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(StreamPage::empty()) };
    let floor = Version::new(number(column(first, 1)?));
    let (head, from_snapshot): (Option<i64>, bool) = (column(last, 2)?, column(first, 3)?);
    let wanted = if is_side(&read.stream) { Wanted::Side } else { Wanted::Own };
    let mut records: Vec<Record> = Vec::with_capacity(rows.len());
    for row in rows {
        take(&mut records, row, 4, wanted)?;
    }
    check(read, &records)?;
    // The first row may have a record too many in front, the last one behind.
    if let ReadFrom::After(after) = read.from {
        records.retain(|record| record.version > after);
    }
    let most = read.limit.min(limits::PAGE_RECORDS);
    records.truncate(most.saturating_add(usize::from(from_snapshot)));
    let reached = records.last().map_or(floor, |record| record.version);
    let head = head.map_or(reached, |head| Version::new(number(head)));
    let snapshot = (from_snapshot && !records.is_empty()).then(|| records.remove(0));
    Ok(StreamPage { floor, head, snapshot, records })
}

/// A hash stands for the name in the index: whoever follows it compares.
fn check(read: &StreamRead, records: &[Record]) -> Result<()> {
    if let Some(other) = records.iter().find(|record| record.stream != read.stream) {
        return Err(Error::corrupt("two streams have one key").expected(&read.stream, &other.stream));
    }
    let follows =
        |pair: &&[Record]| matches!(pair, [before, record] if record.version != before.version.next());
    match records.windows(2).find(follows) {
        Some([before, record]) => {
            Err(Error::corrupt("a record is missing").expected(before.version.next(), record.version))
        }
        _ => Ok(()),
    }
}

/// What pages rest on: by stream, its partition and how far it was seen. Of a stream that is there and of which no
/// record was read, nobody knows how far.
pub(super) fn seen(
    reads: &[StreamRead],
    pages: &[Result<StreamPage>],
    partitions: PartitionCount,
) -> Vec<(PartitionId, Position)> {
    let seen = reads.iter().zip(pages).filter_map(|(read, page)| {
        let page = page.as_ref().ok().filter(|page| page.head > Version::EMPTY)?;
        let last = page.records.last().or(page.snapshot.as_ref());
        let position = last.map_or(Position::new(u64::MAX), |record| record.position);
        Some((partitions.of(read.stream.cardinal()), position))
    });
    seen.collect()
}
