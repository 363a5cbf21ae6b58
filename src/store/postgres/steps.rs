//! Open steps: what appends do to them, as columns, and their pages.

use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::event::RecordKind;
use crate::hash::HashMap;
use crate::id::{Cause, StepName, TransactionId};
use crate::limits;
use crate::store::postgres::session::Parameter;
use crate::store::postgres::types::{column, fingerprint, number, stored};
use crate::store::stream_key::StreamKey;
use crate::store::{OpenStep, OpenStepsRead, StreamAppend};
use crate::stream::{StreamName, Version};

/// What some appends do to open steps, in the end. A step that is requested and settled among them leaves no trace:
/// that is the common case, and it costs nothing.
#[derive(Default)]
pub(super) struct Steps<'l> {
    changes: HashMap<&'l StreamName, Change<'l>>,
}

struct Change<'l> {
    /// The stream had records before: it may have an open step.
    is_known: bool,
    settled: bool,
    open: Option<Open<'l>>,
    resumed: Option<Resumed>,
}

struct Open<'l> {
    cause: &'l Cause,
    aggregate_version: Version,
    resumed: Resumed,
}

#[derive(Clone, Copy)]
struct Resumed {
    scanned_to: Version,
    times: i32,
}

impl Resumed {
    fn add(&mut self, to: Version) {
        self.scanned_to = self.scanned_to.max(to);
        self.times = self.times.saturating_add(1);
    }
}

impl<'l> Steps<'l> {
    /// Takes in an append to a side stream that was at `head`.
    pub(super) fn note(&mut self, append: &'l StreamAppend, head: Version) {
        for record in &append.records {
            let change = self.changes.entry(&append.stream).or_insert(Change {
                is_known: head > Version::EMPTY,
                settled: false,
                open: None,
                resumed: None,
            });
            match (record.kind, &record.cause) {
                (RecordKind::Requested { aggregate_version }, Some(cause)) => {
                    let resumed = Resumed { scanned_to: aggregate_version, times: 0 };
                    change.open = Some(Open { cause, aggregate_version, resumed });
                }
                (RecordKind::Resumed { scanned_to }, _) => match &mut change.open {
                    Some(open) => open.resumed.add(scanned_to),
                    None if change.settled => {}
                    None => change
                        .resumed
                        .get_or_insert(Resumed { scanned_to: Version::EMPTY, times: 0 })
                        .add(scanned_to),
                },
                (RecordKind::Accepted { .. } | RecordKind::Rejected, _) => {
                    (change.settled, change.open, change.resumed) = (true, None, None);
                }
                _ => {}
            }
        }
    }

    /// The changes that the table has to hear of, as columns; none as a rule.
    pub(super) fn columns(&self) -> Option<Columns<'l>> {
        let mut columns = Columns::default();
        for (stream, change) in &self.changes {
            columns.add(stream, change);
        }
        let nothing = columns.open.is_empty() && columns.resumed.is_empty() && columns.settled.is_empty();
        (!nothing).then_some(columns)
    }
}

/// The last parameters of `append_tracked.sql`.
#[derive(Default)]
pub(super) struct Columns<'l> {
    open: Vec<Vec<u8>>,
    streams: Vec<&'l str>,
    categories: Vec<&'l str>,
    transactions: Vec<Uuid>,
    steps: Vec<&'l str>,
    fingerprints: Vec<&'l [u8]>,
    versions: Vec<i64>,
    scanned: Vec<i64>,
    times: Vec<i32>,
    resumed: Vec<Vec<u8>>,
    resumed_scanned: Vec<i64>,
    resumed_times: Vec<i32>,
    settled: Vec<Vec<u8>>,
}

impl<'l> Columns<'l> {
    fn add(&mut self, stream: &'l StreamName, change: &Change<'l>) {
        let key = StreamKey::of(stream).to_vec();
        if let Some(open) = &change.open {
            self.open.push(key);
            self.streams.push(stream.as_str());
            self.categories.push(stream.category());
            self.transactions.push(open.cause.transaction.as_uuid());
            self.steps.push(open.cause.step.as_str());
            self.fingerprints.push(open.cause.fingerprint.as_bytes());
            self.versions.push(stored(open.aggregate_version.get()));
            self.scanned.push(stored(open.resumed.scanned_to.get()));
            self.times.push(open.resumed.times);
        } else if let Some(resumed) = &change.resumed {
            self.resumed.push(key);
            self.resumed_scanned.push(stored(resumed.scanned_to.get()));
            self.resumed_times.push(resumed.times);
        } else if change.settled && change.is_known {
            self.settled.push(key);
        }
    }

    pub(super) fn parameters(&self) -> Vec<Parameter<'_>> {
        vec![
            (&self.open, Type::BYTEA_ARRAY),
            (&self.streams, Type::TEXT_ARRAY),
            (&self.categories, Type::TEXT_ARRAY),
            (&self.transactions, Type::UUID_ARRAY),
            (&self.steps, Type::TEXT_ARRAY),
            (&self.fingerprints, Type::BYTEA_ARRAY),
            (&self.versions, Type::INT8_ARRAY),
            (&self.scanned, Type::INT8_ARRAY),
            (&self.times, Type::INT4_ARRAY),
            (&self.resumed, Type::BYTEA_ARRAY),
            (&self.resumed_scanned, Type::INT8_ARRAY),
            (&self.resumed_times, Type::INT4_ARRAY),
            (&self.settled, Type::BYTEA_ARRAY),
        ]
    }
}

/// What a page of open steps is asked for with.
pub(super) struct PageParameters<'r> {
    partition: i32,
    category: &'r str,
    age: i64,
    after_at: i64,
    after_stream: &'r str,
    limit: i64,
}

impl<'r> PageParameters<'r> {
    pub(super) fn new(read: &'r OpenStepsRead) -> Self {
        let (at, stream) =
            read.after.as_ref().map_or((Timestamp::MIN, ""), |(at, stream)| (*at, stream.as_str()));
        Self {
            partition: i32::from(read.partition.get()),
            category: &read.category,
            age: i64::try_from(read.older_than.as_micros()).unwrap_or(i64::MAX),
            after_at: at.as_micros(),
            after_stream: stream,
            limit: i64::try_from(read.limit.min(limits::PAGE_RECORDS)).unwrap_or(0),
        }
    }

    pub(super) fn all(&self) -> [Parameter<'_>; 6] {
        [
            (&self.partition, Type::INT4),
            (&self.category, Type::TEXT),
            (&self.age, Type::INT8),
            (&self.after_at, Type::INT8),
            (&self.after_stream, Type::TEXT),
            (&self.limit, Type::INT8),
        ]
    }
}

/// A row of `open_steps.sql`.
pub(super) fn parse(row: &Row) -> Result<OpenStep> {
    let name: String = column(row, 0)?;
    let read = || -> Result<OpenStep> {
        let version = |at| column::<i64>(row, at).map(|version| Version::new(number(version)));
        let time = |at| column::<i64>(row, at).map(Timestamp::from_micros);
        Ok(OpenStep {
            stream: StreamName::parse(&name)?,
            cause: Cause {
                transaction: TransactionId::new(column(row, 1)?),
                step: StepName::parse(column(row, 2)?)?,
                fingerprint: fingerprint(column(row, 3)?)?,
            },
            aggregate_version: version(4)?,
            scanned_to: version(5)?,
            resumed: u32::try_from(column::<i32>(row, 6)?).unwrap_or(0),
            requested_at: time(7)?,
            touched_at: time(8)?,
        })
    };
    read().map_err(|source| Error::corrupt("an open step cannot be read").in_stream(&name).caused_by(source))
}
