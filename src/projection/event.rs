//! What a handler is given.

use crate::clock::Timestamp;
use crate::codec::{Codecs, Encoded};
use crate::decider::{Decider, decode_event};
use crate::error::{Error, Result};
use crate::event::{EventType, Record};
use crate::id::Cause;
use crate::partition::PartitionId;
use crate::stream::{Position, StreamName, Version};

/// One event, with all that is known of it. Decoded only when it is asked to be.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    record: &'a Record,
    codecs: &'a Codecs,
    is_replay: bool,
}

impl<'a> Event<'a> {
    pub(crate) fn new(record: &'a Record, codecs: &'a Codecs, is_replay: bool) -> Self {
        Self { record, codecs, is_replay }
    }

    /// Whether the view's live generation has applied it before: it is applied again to build another one. A handler that
    /// does something besides its rows does not do that again. A call that repeats one whose transaction was rolled back
    /// is no replay.
    #[must_use]
    pub fn is_replay(&self) -> bool {
        self.is_replay
    }

    /// Its stream.
    #[must_use]
    pub fn stream(&self) -> &'a StreamName {
        &self.record.stream
    }

    /// The id of its aggregate: what stands behind the category in the stream's name.
    #[must_use]
    pub fn aggregate_id(&self) -> &'a str {
        self.record.stream.id()
    }

    /// Its place in its stream.
    #[must_use]
    pub fn version(&self) -> Version {
        self.record.version
    }

    /// The partition that its position is one of. With the position it is unique: what a view elsewhere keeps beside its
    /// rows, to know an event again.
    #[must_use]
    pub fn partition(&self) -> PartitionId {
        self.record.partition
    }

    /// Its place in the partition's log.
    #[must_use]
    pub fn position(&self) -> Position {
        self.record.position
    }

    /// When the store took it, by the store's clock.
    #[must_use]
    pub fn recorded_at(&self) -> Timestamp {
        self.record.recorded_at
    }

    /// Its durable type.
    #[must_use]
    pub fn event_type(&self) -> &'a EventType {
        &self.record.data.event_type
    }

    /// The transaction and step that it came from.
    #[must_use]
    pub fn cause(&self) -> Option<&'a Cause> {
        self.record.data.cause.as_ref()
    }

    /// The record as it is stored.
    #[must_use]
    pub fn record(&self) -> &'a Record {
        self.record
    }

    /// Its content as it is stored, for a handler that knows no decider.
    #[must_use]
    pub fn content(&self) -> Encoded<'a> {
        self.codecs.open(&self.record.data)
    }

    /// The event as its decider reads it, through codecs and upcasters.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when it is of another category;
    /// [`Corrupt`](crate::ErrorKind::Corrupt) when its schema version or codec is unknown, or its content is another
    /// event's. Handed on by a handler it is a failure as any other.
    pub fn decode<D: Decider>(&self) -> Result<D::Event> {
        if self.record.stream.category() == D::CATEGORY.as_str() {
            return decode_event::<D>(self.record, self.codecs);
        }
        Err(Error::invalid("an event was decoded by the rules of another category")
            .in_stream(&self.record.stream)
            .expected(D::CATEGORY, self.record.stream.category())
            .advice("narrow the projection's selection, or look at the stream's category first"))
    }
}
