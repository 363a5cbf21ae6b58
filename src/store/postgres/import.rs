//! Parts of another store's log as columns, which one call of a function takes.

use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::event::{Record, RecordKind};
use crate::hash::{HashMap, HashSet};
use crate::id::{StepName, TransactionId};
use crate::partition::PartitionId;
use crate::store::postgres::session::Parameter;
use crate::store::postgres::types::stored;
use crate::store::stream_key::StreamKey;
use crate::store::transfer::{ImportPage, Run};
use crate::stream::StreamName;

/// A page as the parameters of `import.sql`.
pub(super) struct Columns<'p> {
    partition: i32,
    quorum: bool,
    after: i64,
    through: i64,
    at: i64,
    keys: Vec<Vec<u8>>,
    names: Vec<&'p str>,
    heads: Vec<i64>,
    by_name: HashMap<&'p StreamName, i32>,
    effects_of: HashSet<(&'p StreamName, TransactionId, &'p StepName)>,
    positions: Vec<i64>,
    times: Vec<i64>,
    of_stream: Vec<i32>,
    versions: Vec<i64>,
    numbers_1: Vec<i64>,
    numbers_2: Vec<i64>,
    checksums: Vec<i32>,
    kinds: Vec<i16>,
    schemas: Vec<i32>,
    effects: Vec<bool>,
    transactions: Vec<Option<Uuid>>,
    types: Vec<&'p str>,
    codecs: Vec<&'p str>,
    steps: Vec<Option<&'p str>>,
    fingerprints: Vec<Option<&'p [u8]>>,
    requesters: Vec<Option<&'p [u8]>>,
    payloads: Vec<&'p [u8]>,
}

impl<'p> Columns<'p> {
    pub(super) fn new(partition: PartitionId, quorum: bool, page: &'p ImportPage, runs: &[Run<'p>]) -> Self {
        let mut columns = Self::empty(partition, quorum, page);
        for (run, place) in runs.iter().zip(1_i32..) {
            columns.by_name.insert(run.stream, place);
            columns.keys.push(StreamKey::of(run.stream).to_vec());
            columns.names.push(run.stream.as_str());
            columns.heads.push(stored(run.before.get()));
        }
        page.records.iter().for_each(|record| columns.add(record));
        columns
    }

    fn empty(partition: PartitionId, quorum: bool, page: &ImportPage) -> Self {
        Self {
            partition: i32::from(partition.get()),
            quorum,
            after: stored(page.after.get()),
            through: stored(page.through.get()),
            at: page.recorded_to.as_micros(),
            keys: Vec::new(),
            names: Vec::new(),
            heads: Vec::new(),
            by_name: HashMap::default(),
            effects_of: HashSet::default(),
            positions: Vec::new(),
            times: Vec::new(),
            of_stream: Vec::new(),
            versions: Vec::new(),
            numbers_1: Vec::new(),
            numbers_2: Vec::new(),
            checksums: Vec::new(),
            kinds: Vec::new(),
            schemas: Vec::new(),
            effects: Vec::new(),
            transactions: Vec::new(),
            types: Vec::new(),
            codecs: Vec::new(),
            steps: Vec::new(),
            fingerprints: Vec::new(),
            requesters: Vec::new(),
            payloads: Vec::new(),
        }
    }

    fn add(&mut self, record: &'p Record) {
        let Record { stream, data, .. } = record;
        let (first, second) = data.kind.numbers();
        let cause = data.cause.as_ref();
        self.positions.push(stored(record.position.get()));
        self.times.push(record.recorded_at.as_micros());
        self.of_stream.push(self.by_name.get(stream).copied().unwrap_or(0));
        self.versions.push(stored(record.version.get()));
        self.numbers_1.push(stored(first));
        self.numbers_2.push(stored(second));
        self.checksums.push(record.checksum.0.cast_signed());
        self.kinds.push(i16::from(data.kind.code()));
        self.schemas.push(i32::from(data.schema));
        let is_effect = self.is_effect(record);
        self.effects.push(is_effect);
        self.transactions.push(cause.map(|cause| cause.transaction.as_uuid()));
        self.types.push(data.event_type.as_str());
        self.codecs.push(data.codec.as_str());
        self.steps.push(cause.map(|cause| cause.step.as_str()));
        self.fingerprints.push(cause.map(|cause| cause.fingerprint.as_bytes().as_slice()));
        self.requesters.push(data.requester.as_deref().map(str::as_bytes));
        self.payloads.push(&data.payload);
    }

    /// Whether a record is the first that a step leaves in a stream.
    fn is_effect(&mut self, record: &'p Record) -> bool {
        let affects = matches!(record.data.kind, RecordKind::Event | RecordKind::Marker | RecordKind::Fence);
        let cause = record.data.cause.as_ref().filter(|_| affects);
        cause.is_some_and(|cause| self.effects_of.insert((&record.stream, cause.transaction, &cause.step)))
    }

    pub(super) fn parameters(&self) -> Vec<Parameter<'_>> {
        vec![
            (&self.partition, Type::INT4),
            (&self.quorum, Type::BOOL),
            (&self.after, Type::INT8),
            (&self.through, Type::INT8),
            (&self.at, Type::INT8),
            (&self.keys, Type::BYTEA_ARRAY),
            (&self.names, Type::TEXT_ARRAY),
            (&self.heads, Type::INT8_ARRAY),
            (&self.positions, Type::INT8_ARRAY),
            (&self.times, Type::INT8_ARRAY),
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
