//! Records as columns: how the functions that insert them take them, whoever made them.

use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::store::postgres::entry::Entry;
use crate::store::postgres::session::Parameter;
use crate::store::postgres::settlement::Settlement;
use crate::store::postgres::types::stored;
use crate::store::stream_key;

/// The columns of rows, and of the requests and outcomes that stand in some of them.
#[derive(Default)]
pub(super) struct RecordColumns<'r> {
    /// Of rows of which it is known.
    times: Vec<i64>,
    of_stream: Vec<i32>,
    places: Vec<i64>,
    versions: Vec<i64>,
    side_of: Vec<i32>,
    side_versions: Vec<Option<i64>>,
    pairs: Vec<i32>,
    numbers_1: Vec<i64>,
    numbers_2: Vec<i64>,
    checksums: Vec<i32>,
    kinds: Vec<i16>,
    schemas: Vec<i32>,
    effects: Vec<bool>,
    transactions: Vec<Option<Uuid>>,
    types: Vec<&'r str>,
    codecs: Vec<&'r str>,
    steps: Vec<Option<&'r str>>,
    fingerprints: Vec<Option<&'r [u8]>>,
    requesters: Vec<Option<&'r [u8]>>,
    payloads: Vec<&'r [u8]>,
    request_numbers: Vec<i64>,
    requests: ContentColumns<'r>,
    outcomes: ContentColumns<'r>,
}

/// What records of side streams have of their own, in rows of others.
#[derive(Default)]
struct ContentColumns<'r> {
    checksums: Vec<i32>,
    schemas: Vec<i32>,
    codecs: Vec<&'r str>,
    payloads: Vec<&'r [u8]>,
}

impl<'r> ContentColumns<'r> {
    fn add(&mut self, record: &Entry<'r>) {
        self.checksums.push(record.checksum.0.cast_signed());
        self.schemas.push(i32::from(record.data.schema));
        self.codecs.push(record.data.codec.as_str());
        self.payloads.push(&record.data.payload);
    }

    fn parameters(&self) -> [Parameter<'_>; 4] {
        [
            (&self.checksums, Type::INT4_ARRAY),
            (&self.schemas, Type::INT4_ARRAY),
            (&self.codecs, Type::TEXT_ARRAY),
            (&self.payloads, Type::BYTEA_ARRAY),
        ]
    }
}

impl<'r> RecordColumns<'r> {
    /// Adds records, in the order of the log.
    pub(super) fn add(&mut self, mut records: &[Entry<'r>]) {
        while let [record, following @ ..] = records {
            let settlement = Settlement::behind(record, following);
            records = following.get(if settlement.is_some() { 2 } else { 0 }..).unwrap_or_default();
            self.add_row(record);
            self.add_side(record, settlement.as_ref());
        }
    }

    fn add_row(&mut self, record: &Entry<'r>) {
        let Entry { data, .. } = record;
        let (first, second) = data.kind.numbers();
        let cause = data.cause.as_ref();
        self.times.extend(record.recorded_at.map(Timestamp::as_micros));
        self.of_stream.push(record.of_stream);
        self.places.push(record.place);
        self.versions.push(stored(record.version.get()));
        self.numbers_1.push(stored(first));
        self.numbers_2.push(stored(second));
        self.checksums.push(record.checksum.0.cast_signed());
        self.kinds.push(i16::from(data.kind.code()));
        self.schemas.push(i32::from(data.schema));
        self.effects.push(record.is_effect);
        self.transactions.push(cause.map(|cause| cause.transaction.as_uuid()));
        self.types.push(data.event_type.as_str());
        self.codecs.push(data.codec.as_str());
        self.steps.push(cause.map(|cause| cause.step.as_str()));
        self.fingerprints.push(cause.map(|cause| cause.fingerprint.as_bytes().as_slice()));
        self.payloads.push(&data.payload);
    }

    /// The side stream that the row has records of, if any: the record's own, or that of a settlement.
    fn add_side(&mut self, record: &Entry<'r>, settlement: Option<&Settlement<'r, '_>>) {
        let first = match settlement {
            Some(settlement) => Some(settlement.request),
            None => stream_key::side_parts(record.stream).map(|_| record),
        };
        self.side_of.push(first.map_or(0, |first| first.of_stream));
        self.side_versions.push(first.map(|first| stored(first.version.get())));
        let asking = settlement.map_or(record, |settlement| settlement.request);
        self.requesters.push(asking.data.requester.as_deref().map(str::as_bytes));
        let Some(settlement) = settlement else { return self.pairs.push(0) };
        self.request_numbers.push(stored(settlement.aggregate_version.get()));
        self.requests.add(settlement.request);
        self.outcomes.add(settlement.outcome);
        self.pairs.push(i32::try_from(self.request_numbers.len()).unwrap_or(i32::MAX));
    }

    /// When the records of the rows were recorded.
    pub(super) fn times(&self) -> Parameter<'_> {
        (&self.times, Type::INT8_ARRAY)
    }

    /// The columns that every function takes last.
    pub(super) fn parameters(&self) -> impl Iterator<Item = Parameter<'_>> {
        let rows: [Parameter<'_>; 20] = [
            (&self.of_stream, Type::INT4_ARRAY),
            (&self.places, Type::INT8_ARRAY),
            (&self.versions, Type::INT8_ARRAY),
            (&self.side_of, Type::INT4_ARRAY),
            (&self.side_versions, Type::INT8_ARRAY),
            (&self.pairs, Type::INT4_ARRAY),
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
            (&self.request_numbers, Type::INT8_ARRAY),
        ];
        rows.into_iter().chain(self.requests.parameters()).chain(self.outcomes.parameters())
    }
}
