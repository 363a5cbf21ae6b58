//! Units of one partition or more as columns, which one call of a function takes.

use tokio_postgres::types::Type;

use crate::hash::{HashMap, HashSet};
use crate::partition::PartitionId;
use crate::store::postgres::entry::{Entry, affecting};
use crate::store::postgres::plan::{Admitted, Plan};
use crate::store::postgres::record_columns::RecordColumns;
use crate::store::postgres::session::Parameter;
use crate::store::postgres::steps::Steps;
use crate::store::postgres::types::stored;
use crate::store::stream_key::StreamKey;
use crate::stream::{ExpectedVersion, StreamName, Version};

/// What is demanded of streams, and the records that are appended to them.
#[derive(Default)]
pub(super) struct Batch<'l> {
    partitions: Vec<i32>,
    /// By partition: its records.
    counts: Vec<i64>,
    /// The last record's place in its partition.
    place: i64,
    by_name: HashMap<&'l StreamName, i32>,
    of_partition: Vec<i32>,
    keys: Vec<Vec<u8>>,
    names: Vec<&'l str>,
    heads: Vec<i64>,
    /// The places of the streams that have to be looked up: those that are to get their first record are not.
    known: Vec<i32>,
    streams: Vec<&'l StreamName>,
    records: RecordColumns<'l>,
    pub(super) open_steps: Steps<'l>,
}

impl<'l> Batch<'l> {
    /// What is planned for some partitions, given in their order.
    pub(super) fn new<'p>(parts: impl IntoIterator<Item = (PartitionId, &'p Plan<'l>)>) -> Self
    where
        'l: 'p,
    {
        let mut batch = Self::default();
        for (partition, plan) in parts {
            batch.partitions.push(i32::from(partition.get()));
            batch.place = 0;
            plan.admitted.iter().for_each(|admitted| batch.add(admitted));
            batch.counts.push(batch.place);
        }
        batch
    }

    fn add(&mut self, Admitted { unit, heads, .. }: &Admitted<'l>) {
        let mut entries = Vec::with_capacity(unit.len());
        for (append, head) in unit.appends.iter().zip(heads) {
            // A guess is looked up, and so is a bare check.
            let is_looked_up = append.expected == ExpectedVersion::Any || append.records.is_empty();
            let of_stream = self.stream(&append.stream, *head, is_looked_up);
            let mut done = HashSet::default();
            let mut version = *head;
            for data in &append.records {
                version = version.next();
                self.place = self.place.saturating_add(1);
                entries.push(Entry {
                    stream: &append.stream,
                    of_stream,
                    place: self.place,
                    version,
                    checksum: data.checksum(&append.stream, version),
                    recorded_at: None,
                    is_effect: affecting(data).is_some_and(|step| done.insert(step)),
                    data,
                });
            }
            if append.stream.is_side() {
                self.open_steps.note(append, *head);
            }
        }
        self.records.add(&entries);
    }

    /// The place of a stream, from 1. What is demanded of it is where it is before the first append of all.
    fn stream(&mut self, name: &'l StreamName, head: Version, is_looked_up: bool) -> i32 {
        let next = i32::try_from(self.keys.len()).unwrap_or(i32::MAX).saturating_add(1);
        let place = *self.by_name.entry(name).or_insert(next);
        if place == next {
            self.of_partition.push(i32::try_from(self.partitions.len()).unwrap_or(i32::MAX));
            self.keys.push(StreamKey::of(name).to_vec());
            self.names.push(name.as_str());
            self.streams.push(name);
            self.heads.push(stored(head.get()));
            if head > Version::EMPTY || is_looked_up {
                self.known.push(place);
            }
        }
        place
    }

    /// Has every stream looked up.
    pub(super) fn look_all_up(&mut self) {
        self.known = (1..=i32::try_from(self.keys.len()).unwrap_or(i32::MAX)).collect();
    }

    /// The stream at a place.
    pub(super) fn stream_at(&self, place: i32) -> Option<&'l StreamName> {
        let at = usize::try_from(place).ok()?.checked_sub(1)?;
        self.streams.get(at).copied()
    }

    /// The parameters of `append.sql`.
    pub(super) fn parameters<'b>(&'b self, quorum: &'b bool) -> Vec<Parameter<'b>> {
        let mut all: Vec<Parameter<'_>> = vec![
            (&self.partitions, Type::INT4_ARRAY),
            (&self.counts, Type::INT8_ARRAY),
            (quorum, Type::BOOL),
            (&self.of_partition, Type::INT4_ARRAY),
            (&self.keys, Type::BYTEA_ARRAY),
            (&self.names, Type::TEXT_ARRAY),
            (&self.heads, Type::INT8_ARRAY),
            (&self.known, Type::INT4_ARRAY),
        ];
        all.extend(self.records.parameters());
        all
    }
}
