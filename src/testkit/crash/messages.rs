//! What must be true of messages: each step's are recorded once, whole and in order, and only where it took effect.

use std::collections::{BTreeMap, HashSet};

use crate::event::{Record, RecordKind};
use crate::message::RecordedMessage;
use crate::stream::StreamName;

/// Reads a stream of messages: those of a step lie next to each other and are numbered from 0.
pub(super) fn read(records: &[Record]) -> Result<Vec<RecordedMessage>, String> {
    let mut expected = 0;
    for (at, record) in records.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|before| records.get(before));
        if before.is_none_or(|before| before.data.cause != record.data.cause) {
            expected = 0;
        }
        if record.data.kind != (RecordKind::Message { index: expected }) {
            return Err(format!("expected message {expected} of a step, found {record:?}"));
        }
        expected += 1;
    }
    records.iter().map(|record| RecordedMessage::read(record).map_err(|error| error.to_string())).collect()
}

/// No id occurs twice, and each message's step has an event or a marker in the aggregate's stream.
pub(super) fn belong_to_what_happened(
    messages: &[RecordedMessage],
    streams: &BTreeMap<StreamName, Vec<Record>>,
) -> Result<(), String> {
    let mut seen = HashSet::new();
    for message in messages {
        if !seen.insert(message.id) {
            return Err(format!("recorded twice: {message:?}"));
        }
        let of = streams.iter().find(|(name, _)| message.stream.is_message_stream_of(name));
        let happened = of.is_some_and(|(_, records)| {
            records.iter().any(|record| {
                matches!(record.data.kind, RecordKind::Event | RecordKind::Marker)
                    && record.data.cause.as_ref() == Some(&message.cause)
            })
        });
        if !happened {
            return Err(format!("told, and never happened: {message:?}"));
        }
    }
    Ok(())
}
