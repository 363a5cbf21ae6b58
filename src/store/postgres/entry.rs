//! A record and where it goes.

use crate::clock::Timestamp;
use crate::event::{Checksum, NewRecord, RecordKind};
use crate::id::{StepName, TransactionId};
use crate::stream::{StreamName, Version};

/// A record on its way into the log.
pub(super) struct Entry<'r> {
    pub(super) stream: &'r StreamName,
    /// The place of its stream among those of the call, from 1.
    pub(super) of_stream: i32,
    /// Its position, or how far behind the partition's last one it is to be: as the function takes it.
    pub(super) place: i64,
    pub(super) version: Version,
    pub(super) checksum: Checksum,
    /// When it was recorded, where that is known.
    pub(super) recorded_at: Option<Timestamp>,
    /// Whether it is the first that its step leaves in its stream.
    pub(super) is_effect: bool,
    pub(super) data: &'r NewRecord,
}

/// The step that a record belongs to, where it is one of those that take effect or fence: the first of a step in a
/// stream is its effect.
pub(super) fn affecting(data: &NewRecord) -> Option<(TransactionId, &StepName)> {
    let affects = matches!(data.kind, RecordKind::Event | RecordKind::Marker | RecordKind::Fence);
    data.cause.as_ref().filter(|_| affects).map(|cause| (cause.transaction, &cause.step))
}
