//! Another store's open steps as columns.

use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::partition::PartitionCount;
use crate::store::OpenStep;
use crate::store::postgres::session::Parameter;
use crate::store::postgres::types::stored;
use crate::store::stream_key::StreamKey;

/// Open steps as the parameters of `import_steps.sql`.
#[derive(Default)]
pub(super) struct StepColumns<'s> {
    quorum: bool,
    is_first: bool,
    partitions: Vec<i32>,
    keys: Vec<Vec<u8>>,
    streams: Vec<&'s str>,
    categories: Vec<&'s str>,
    transactions: Vec<Uuid>,
    steps: Vec<&'s str>,
    fingerprints: Vec<&'s [u8]>,
    versions: Vec<i64>,
    scanned: Vec<i64>,
    resumed: Vec<i32>,
    requested: Vec<i64>,
    touched: Vec<i64>,
}

impl<'s> StepColumns<'s> {
    pub(super) fn new(
        quorum: bool,
        is_first: bool,
        steps: &'s [OpenStep],
        partitions: PartitionCount,
    ) -> Self {
        let mut columns = Self { quorum, is_first, ..Self::default() };
        steps.iter().for_each(|step| columns.add(step, partitions));
        columns
    }

    fn add(&mut self, step: &'s OpenStep, partitions: PartitionCount) {
        self.partitions.push(i32::from(partitions.of(step.stream.cardinal()).get()));
        self.keys.push(StreamKey::of(&step.stream).to_vec());
        self.streams.push(step.stream.as_str());
        self.categories.push(step.stream.category());
        self.transactions.push(step.cause.transaction.as_uuid());
        self.steps.push(step.cause.step.as_str());
        self.fingerprints.push(step.cause.fingerprint.as_bytes());
        self.versions.push(stored(step.aggregate_version.get()));
        self.scanned.push(stored(step.scanned_to.get()));
        self.resumed.push(i32::try_from(step.resumed).unwrap_or(i32::MAX));
        self.requested.push(step.requested_at.as_micros());
        self.touched.push(step.touched_at.as_micros());
    }

    pub(super) fn parameters(&self) -> Vec<Parameter<'_>> {
        vec![
            (&self.quorum, Type::BOOL),
            (&self.is_first, Type::BOOL),
            (&self.partitions, Type::INT4_ARRAY),
            (&self.keys, Type::BYTEA_ARRAY),
            (&self.streams, Type::TEXT_ARRAY),
            (&self.categories, Type::TEXT_ARRAY),
            (&self.transactions, Type::UUID_ARRAY),
            (&self.steps, Type::TEXT_ARRAY),
            (&self.fingerprints, Type::BYTEA_ARRAY),
            (&self.versions, Type::INT8_ARRAY),
            (&self.scanned, Type::INT8_ARRAY),
            (&self.resumed, Type::INT4_ARRAY),
            (&self.requested, Type::INT8_ARRAY),
            (&self.touched, Type::INT8_ARRAY),
        ]
    }
}
