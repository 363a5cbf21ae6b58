//! In-band snapshots: when one is due, how large it may be, which ones are usable.
//!
//! A snapshot is a record of the aggregate's own stream, written in the same unit as the events that
//! made it due. It holds the state that everything before it folds to, so a load reads one snapshot
//! and what follows it, whatever the aggregate's age.

use serde::{Deserialize, Serialize};

use crate::codec::Codecs;
use crate::decider::{Decider, guarded};
use crate::error::Result;
use crate::event::{NewRecord, Record, RecordKind};

/// When snapshots are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SnapshotPolicy {
    /// A snapshot is due once so many records follow the last one. 0 writes none.
    pub every: u64,
}

impl SnapshotPolicy {
    /// Whether one is due when `since` records follow the last one.
    #[must_use]
    pub const fn is_due(&self, since: u64) -> bool {
        self.every > 0 && since >= self.every
    }
}

impl Default for SnapshotPolicy {
    fn default() -> Self {
        Self { every: 100 }
    }
}

/// Writes a state as a snapshot record; `None` when it has more than `most` bytes.
///
/// # Errors
/// [`Invalid`](crate::ErrorKind::Invalid) when the codec cannot express the state.
pub fn write<D: Decider>(state: &D::State, codecs: &Codecs, most: usize) -> Result<Option<NewRecord>> {
    let (codec, payload) = codecs.encode(state)?;
    let kind = RecordKind::Snapshot;
    let Some(event_type) = kind.framework_type() else { return Ok(None) };
    let record = NewRecord {
        kind,
        event_type,
        schema: D::SCHEMAS.snapshot,
        codec,
        cause: None,
        requester: None,
        payload,
    };
    Ok((record.payload.len() <= most).then_some(record))
}

/// Reads a snapshot.
///
/// # Errors
/// [`Corrupt`](crate::ErrorKind::Corrupt) when it was altered, has another schema version, or cannot be
/// decoded. The reader then goes on to an older one, and never believes any of this one.
pub fn read<D: Decider>(record: &Record, codecs: &Codecs) -> Result<D::State> {
    record.verify()?;
    let encoded = codecs.open(&record.data);
    let current = encoded.schema() == D::SCHEMAS.snapshot;
    let state =
        guarded("upcast_snapshot", || if current { encoded.decode() } else { D::upcast_snapshot(&encoded) });
    state.and_then(|state| state).map_err(|error| error.in_stream(&record.stream))
}
