//! What a process asks for, on its way: as a message of the framework's own.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::limits;
use crate::message::{Message, RecordedMessage, Topic};
use crate::process::manager::{Asked, ProcessManager};

/// The topic of everything that processes ask for.
pub(super) const ASKED: Topic = Topic::reserved("sidestream.asked");

#[derive(Serialize, Deserialize)]
struct Stored<T> {
    schema: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after_ms: Option<u64>,
    /// A command, or the input of a deadline.
    asked: T,
}

/// The message that asks for it. What is too large is refused when it is to be recorded.
pub(super) fn message<P: ProcessManager>(asked: &Asked<P>) -> Message {
    match asked {
        Asked::Command(command) => {
            Message::json(ASKED, &Stored { schema: P::SCHEMA, after_ms: None, asked: command })
        }
        Asked::Deadline(after, input) => {
            let after_ms = Some(u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
            // It waits in a row.
            match serde_json::to_vec(input) {
                Ok(bytes) if bytes.len() <= limits::DEADLINE_BYTES => {
                    Message::json(ASKED, &Stored { schema: P::SCHEMA, after_ms, asked: input })
                }
                Ok(bytes) => {
                    let (found, most) = (bytes.len(), limits::DEADLINE_BYTES);
                    Message::wrong(
                        ASKED,
                        format!("the input of a deadline has {found} bytes, at most {most} may be"),
                    )
                }
                Err(error) => Message::wrong(ASKED, error.to_string()),
            }
        }
    }
}

/// What a message asks for.
///
/// # Errors
/// [`Corrupt`](crate::ErrorKind::Corrupt) when it cannot be read; those of `upcast_asked`.
pub(super) fn read<P: ProcessManager>(message: &RecordedMessage) -> Result<Asked<P>> {
    let unreadable = |error: serde_json::Error| {
        Error::corrupt(format!("what was asked for at version {} cannot be read", message.version))
            .in_stream(&message.stream)
            .caused_by(error)
    };
    let Stored { schema, after_ms, asked } =
        serde_json::from_slice::<Stored<serde_json::Value>>(&message.data).map_err(unreadable)?;
    match after_ms {
        _ if schema != P::SCHEMA => P::upcast_asked(schema, asked),
        Some(after) => {
            let input = serde_json::from_value(asked).map_err(unreadable)?;
            Ok(Asked::Deadline(Duration::from_millis(after), input))
        }
        None => serde_json::from_value(asked).map(Asked::Command).map_err(unreadable),
    }
}
