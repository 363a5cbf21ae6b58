//! Records as columns: how the functions that insert them take them, whoever made them.

use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::event::{Checksum, NewRecord, RecordKind};
use crate::id::{StepName, TransactionId};
use crate::store::postgres::session::Parameter;
use crate::store::postgres::types::stored;
use crate::stream::Version;

/// The columns that every function takes last.
#[derive(Default)]
pub(super) struct RecordColumns<'r> {
    of_stream: Vec<i32>,
    versions: Vec<i64>,
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
}

impl<'r> RecordColumns<'r> {
    /// How many records there are.
    pub(super) fn len(&self) -> usize {
        self.of_stream.len()
    }

    /// Adds a record of the stream at a place. `is_effect` says whether it is the first that its step leaves there.
    pub(super) fn add(
        &mut self,
        place: i32,
        (version, checksum): (Version, Checksum),
        data: &'r NewRecord,
        is_effect: bool,
    ) {
        let (first, second) = data.kind.numbers();
        let cause = data.cause.as_ref();
        self.of_stream.push(place);
        self.versions.push(stored(version.get()));
        self.numbers_1.push(stored(first));
        self.numbers_2.push(stored(second));
        self.checksums.push(checksum.0.cast_signed());
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

    pub(super) fn parameters(&self) -> [Parameter<'_>; 15] {
        [
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

/// The step that a record belongs to, where it is one of those that take effect or fence: the first of a step in a
/// stream is its effect.
pub(super) fn affecting(data: &NewRecord) -> Option<(TransactionId, &StepName)> {
    let affects = matches!(data.kind, RecordKind::Event | RecordKind::Marker | RecordKind::Fence);
    data.cause.as_ref().filter(|_| affects).map(|cause| (cause.transaction, &cause.step))
}
