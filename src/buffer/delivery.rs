//! A message on its way, and its envelope.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::ser::{Error as _, SerializeMap};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::message::RecordedMessage;

/// The media type of [`Delivery::cloud_event`].
pub const CLOUD_EVENT: &str = "application/cloudevents+json";

/// One try to send a message.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The message.
    pub message: Arc<RecordedMessage>,
    /// Who sends, as an URI reference: [`Destination::source`](crate::buffer::Destination::source).
    pub source: Arc<str>,
    /// How often it was refused before, in this run.
    pub refusals: u32,
}

impl Delivery {
    /// The message as a CloudEvents 1.0 envelope, in its JSON format: the same bytes each time. `id` is the message's,
    /// `type` its topic, `subject` the aggregate's stream, `time` when it was recorded; its key is `partitionkey`, and
    /// `sequence` its place among the messages of its aggregate, twenty digits, as the extensions of those names say.
    /// Headers are extension attributes.
    ///
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt) when data that is said to be JSON is not.
    pub fn cloud_event(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(&Envelope(self)).map_err(|error| {
            Error::corrupt("a message has no envelope").in_stream(&self.message.stream).caused_by(error)
        })
    }
}

struct Envelope<'a>(&'a Delivery);

impl Serialize for Envelope<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let message = &self.0.message;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("specversion", "1.0")?;
        map.serialize_entry("id", &message.id)?;
        map.serialize_entry("source", &*self.0.source)?;
        map.serialize_entry("type", &message.topic)?;
        map.serialize_entry("subject", message.subject().as_str())?;
        map.serialize_entry("time", &rfc_3339(message.recorded_at))?;
        map.serialize_entry("partitionkey", &message.key)?;
        map.serialize_entry("sequence", &format!("{:020}", message.version.get()))?;
        for (name, value) in &message.headers {
            map.serialize_entry(name, value)?;
        }
        map.serialize_entry("datacontenttype", &message.content_type)?;
        if message.is_json() {
            let data: &RawValue = serde_json::from_slice(&message.data).map_err(S::Error::custom)?;
            map.serialize_entry("data", data)?;
        } else {
            map.serialize_entry("data_base64", &STANDARD.encode(&message.data))?;
        }
        map.end()
    }
}

/// Recorded times before 1970 are 1970: a store's clock stood there.
fn rfc_3339(time: Timestamp) -> String {
    let since = Duration::from_micros(u64::try_from(time.as_micros()).unwrap_or(0));
    humantime::format_rfc3339_micros(UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH)).to_string()
}

#[cfg(test)]
mod tests;
