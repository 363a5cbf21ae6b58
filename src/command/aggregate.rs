//! An aggregate's state in memory, folded from its stream.

use crate::codec::Codecs;
use crate::decider::{Decider, decode_event, guarded};
use crate::error::{Error, Result};
use crate::event::{Record, RecordKind};
use crate::stream::Version;

/// A state, and the version that it is the state of.
pub(super) struct Aggregate<D: Decider> {
    pub(super) state: D::State,
    /// The version of the state.
    pub(super) version: Version,
    /// The part of it that is known to be durable. Below `version` only while a list is put together.
    pub(super) committed: Version,
    /// Records since the last snapshot.
    pub(super) since_snapshot: u64,
    /// Read from the store in this round.
    pub(super) fresh: bool,
}

impl<D: Decider> Aggregate<D> {
    /// The aggregate without a history.
    pub(super) fn new() -> Self {
        Self::at(D::State::default(), Version::EMPTY)
    }

    /// A state as a snapshot at `version` gives it.
    pub(super) fn at(state: D::State, version: Version) -> Self {
        Self { state, version, committed: version, since_snapshot: 0, fresh: true }
    }

    /// Applies the next record of the stream.
    pub(super) fn apply(&mut self, record: &Record, codecs: &Codecs) -> Result<()> {
        record.verify()?;
        if record.version != self.version.next() {
            return Err(Error::corrupt("a record is missing")
                .in_stream(&record.stream)
                .expected(format!("version {}", self.version.next()), record.version));
        }
        if record.data.kind == RecordKind::Event {
            let event =
                guarded("upcast_event", || decode_event::<D>(record, codecs)).and_then(|event| event)?;
            guarded("evolve", || D::evolve(&mut self.state, &event))
                .map_err(|error| error.in_stream(&record.stream))?;
        }
        let snapshot = record.data.kind == RecordKind::Snapshot;
        self.since_snapshot = if snapshot { 0 } else { self.since_snapshot.saturating_add(1) };
        (self.version, self.committed) = (record.version, record.version);
        Ok(())
    }
}
