//! Units of one partition or more as columns, which one call of a function takes.

use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::event::{NewRecord, RecordKind};
use crate::hash::{HashMap, HashSet};
use crate::id::{StepName, TransactionId};
use crate::partition::PartitionId;
use crate::store::postgres::plan::{Admitted, Plan};
use crate::store::postgres::session::Parameter;
use crate::store::postgres::steps::Steps;
use crate::store::postgres::types::stored;
use crate::store::stream_key::StreamKey;
use crate::stream::{StreamName, Version};

/// What is demanded of streams, and the records that are appended to them.
#[derive(Default)]
pub(super) struct Batch<'l> {
    partitions: Vec<i32>,
    /// By partition: its records.
    counts: Vec<i64>,
    by_name: HashMap<&'l StreamName, i32>,
    of_partition: Vec<i32>,
    keys: Vec<Vec<u8>>,
    names: Vec<&'l str>,
    heads: Vec<i64>,
    /// The places of the streams that have to be looked up: those that are to get their first record are not.
    known: Vec<i32>,
    streams: Vec<&'l StreamName>,
    of_stream: Vec<i32>,
    versions: Vec<i64>,
    numbers_1: Vec<i64>,
    numbers_2: Vec<i64>,
    checksums: Vec<i32>,
    kinds: Vec<i16>,
    schemas: Vec<i32>,
    effects: Vec<bool>,
    transactions: Vec<Option<Uuid>>,
    types: Vec<&'l str>,
    codecs: Vec<&'l str>,
    steps: Vec<Option<&'l str>>,
    fingerprints: Vec<Option<&'l [u8]>>,
    requesters: Vec<Option<&'l [u8]>>,
    payloads: Vec<&'l [u8]>,
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
            let before = batch.of_stream.len();
            plan.admitted.iter().for_each(|admitted| batch.add(admitted));
            let records = batch.of_stream.len().saturating_sub(before);
            batch.counts.push(i64::try_from(records).unwrap_or(i64::MAX));
        }
        batch
    }

    fn add(&mut self, Admitted { unit, heads, .. }: &Admitted<'l>) {
        for (append, head) in unit.appends.iter().zip(heads) {
            let stream = self.stream(&append.stream, *head, !append.records.is_empty());
            let mut done = HashSet::default();
            let mut version = *head;
            for record in &append.records {
                version = version.next();
                let is_effect = is_effect(record, &mut done);
                self.record(stream, &append.stream, version, record, is_effect);
            }
            if append.stream.is_side() {
                self.open_steps.note(append, *head);
            }
        }
    }

    /// The place of a stream, from 1. What is demanded of it is where it is before the first append of all.
    fn stream(&mut self, name: &'l StreamName, head: Version, has_records: bool) -> i32 {
        let next = i32::try_from(self.keys.len()).unwrap_or(i32::MAX).saturating_add(1);
        let place = *self.by_name.entry(name).or_insert(next);
        if place == next {
            self.of_partition.push(i32::try_from(self.partitions.len()).unwrap_or(i32::MAX));
            self.keys.push(StreamKey::of(name).to_vec());
            self.names.push(name.as_str());
            self.streams.push(name);
            self.heads.push(stored(head.get()));
            if head > Version::EMPTY || !has_records {
                self.known.push(place);
            }
        }
        place
    }

    fn record(
        &mut self,
        place: i32,
        name: &StreamName,
        version: Version,
        data: &'l NewRecord,
        is_effect: bool,
    ) {
        let (first, second) = data.kind.numbers();
        let cause = data.cause.as_ref();
        self.of_stream.push(place);
        self.versions.push(stored(version.get()));
        self.numbers_1.push(stored(first));
        self.numbers_2.push(stored(second));
        self.checksums.push(data.checksum(name, version).0.cast_signed());
        self.kinds.push(i16::from(data.kind.code()));
        self.schemas.push(i32::from(data.schema));
        self.effects.push(is_effect);
        self.transactions.push(cause.map(|cause| cause.transaction.as_uuid()));
        self.types.push(data.event_type.as_str());
        self.codecs.push(data.codec.as_str());
        self.steps.push(cause.map(|cause| cause.step.as_str()));
        self.fingerprints.push(cause.map(|cause| cause.fingerprint.as_bytes().as_slice()));
        self.requesters.push(data.requester.as_deref().map(str::as_bytes));
        self.payloads.push(&data.payload);
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
        vec![
            (&self.partitions, Type::INT4_ARRAY),
            (&self.counts, Type::INT8_ARRAY),
            (quorum, Type::BOOL),
            (&self.of_partition, Type::INT4_ARRAY),
            (&self.keys, Type::BYTEA_ARRAY),
            (&self.names, Type::TEXT_ARRAY),
            (&self.heads, Type::INT8_ARRAY),
            (&self.known, Type::INT4_ARRAY),
            (&self.of_stream, Type::INT4_ARRAY),
            (&self.versions, Type::INT8_ARRAY),
            (&self.numbers_1, Type::INT8_ARRAY),
            (&self.numbers_2, Type::INT8_ARRAY),
            (&self.checksums, Type::INT4_ARRAY),
            (&self.kinds, Type::INT2_ARRAY),
            (&self.schemas, Type::INT4_ARRAY),
            (&self.effects, Type::BOOL_ARRAY),
            (&self.transactions, Type::UUID_ARRAY),
            (&self.types, Type::TEXT_ARRAY),
            (&self.codecs, Type::TEXT_ARRAY),
            (&self.steps, Type::TEXT_ARRAY),
            (&self.fingerprints, Type::BYTEA_ARRAY),
            (&self.requesters, Type::BYTEA_ARRAY),
            (&self.payloads, Type::BYTEA_ARRAY),
        ]
    }
}

/// Whether a record is the first that a step leaves in an aggregate: there is never a second append of one.
fn is_effect<'l>(record: &'l NewRecord, done: &mut HashSet<(TransactionId, &'l StepName)>) -> bool {
    let affects = matches!(record.kind, RecordKind::Event | RecordKind::Marker | RecordKind::Fence);
    let cause = record.cause.as_ref().filter(|_| affects);
    cause.is_some_and(|cause| done.insert((cause.transaction, &cause.step)))
}
