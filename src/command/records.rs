//! The records that the command layer writes.

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::event::{CodecName, EventType, NewRecord, RecordKind};
use crate::id::Cause;
use crate::message::EncodedMessage;

/// Encoded content, with all that is needed to read it again.
#[derive(Debug, Clone)]
pub(super) struct Content {
    pub(super) schema: u16,
    pub(super) codec: CodecName,
    pub(super) payload: Bytes,
}

impl Content {
    /// Content that says nothing: the record's kind says it all.
    pub(super) fn none() -> Self {
        Self { schema: 1, codec: CodecName::builtin("none"), payload: Bytes::new() }
    }

    /// Plain text.
    pub(super) fn text(schema: u16, text: &str) -> Self {
        Self { schema, codec: CodecName::builtin("text"), payload: Bytes::copy_from_slice(text.as_bytes()) }
    }

    /// Demands that it has at most `most` bytes.
    pub(super) fn at_most(self, most: usize, what: &str) -> Result<Self> {
        if self.payload.len() <= most {
            return Ok(self);
        }
        Err(Error::invalid(format!("the {what} is too large"))
            .expected(format!("at most {most} bytes"), self.payload.len()))
    }

    /// The content of a record.
    pub(super) fn of(record: &NewRecord) -> Self {
        Self { schema: record.schema, codec: record.codec.clone(), payload: record.payload.clone() }
    }
}

/// A record of the framework.
pub(super) fn framework(kind: RecordKind, cause: &Cause, content: Content) -> Result<NewRecord> {
    let event_type = kind.framework_type();
    let event_type = event_type.ok_or_else(|| Error::invalid("an event brings its own type"))?;
    record(kind, event_type, cause, content)
}

/// A record of a user's event.
pub(super) fn event(name: &'static str, cause: &Cause, content: Content) -> Result<NewRecord> {
    record(RecordKind::Event, EventType::new(name)?, cause, content)
}

/// A record of a message.
pub(super) fn message(index: u32, cause: &Cause, message: EncodedMessage) -> Result<NewRecord> {
    let EncodedMessage { event_type, schema, codec, payload } = message;
    record(RecordKind::Message { index }, event_type, cause, Content { schema, codec, payload })
}

/// Checked here, where it can fail one command: in the store it would fail a unit, and every later one of
/// the list that shares a stream with it.
fn record(kind: RecordKind, event_type: EventType, cause: &Cause, content: Content) -> Result<NewRecord> {
    let record = NewRecord {
        kind,
        event_type,
        schema: content.schema,
        codec: content.codec,
        cause: Some(cause.clone()),
        requester: None,
        payload: content.payload,
    };
    record.check().map(|()| record)
}
