//! Messages: what a decision tells others.
//!
//! A decision carries messages beside its events ([`Events::with_message`](crate::Events::with_message)). They are
//! committed in the command's own unit, in a stream of their own beside the aggregate's, and sent from there: the
//! *transactional outbox*, as Chris Richardson names it (*Microservices Patterns*, 2018). So a message is sent for
//! what happened, and for nothing else.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::event::{CodecName, EventType, Record, RecordKind};
use crate::id::{Cause, TransactionId};
use crate::limits;
use crate::partition::PartitionId;
use crate::stream::{Position, StreamName, Version};

/// The layout of a stored message.
const SCHEMA: u16 = 1;
/// What the framework's own topics begin with.
const RESERVED: &[u8] = b"sidestream.";
/// What JSON data is called where nothing else is said.
const JSON: &str = "application/json";
/// What a CloudEvents envelope uses itself: no header may be called so.
pub(crate) const ENVELOPE: [&str; 12] = [
    "specversion",
    "id",
    "source",
    "type",
    "subject",
    "time",
    "datacontenttype",
    "dataschema",
    "data",
    "database64",
    "partitionkey",
    "sequence",
];
/// The scope of ids that are derived for messages. It never changes: the ids would.
const ID_SCOPE: &str = "sidestream.message";

/// The durable name of a kind of message: letters, digits, `_`, `.` and `-`, at most 64 bytes. Destinations choose
/// messages by it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Topic(Cow<'static, str>);

impl Topic {
    /// A topic known when the program is compiled; a bad name does not compile.
    ///
    /// # Panics
    /// In a `const`, at compile time, when the name is empty, too long, has another character, or begins with
    /// `sidestream.`, as the framework's own do.
    ///
    /// ```
    /// use sidestream::Topic;
    /// const CAPTURED: Topic = Topic::new("payments.captured");
    /// ```
    #[must_use]
    #[allow(clippy::panic, reason = "a const evaluated at compile time")]
    pub const fn new(name: &'static str) -> Self {
        assert!(is_topic(name.as_bytes()), "a topic is 1 to 64 letters, digits, '_', '.' or '-'");
        assert!(!is_reserved(name.as_bytes()), "'sidestream...' names the framework's own topics");
        Self(Cow::Borrowed(name))
    }

    /// A topic of the framework's own; no decider has to name it.
    pub(crate) const fn reserved(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }

    /// Whether it is one of the framework's own.
    pub(crate) fn is_reserved(&self) -> bool {
        is_reserved(self.0.as_bytes())
    }

    /// Reads a name, as a configuration or a person gives it.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when it cannot be a topic's.
    pub fn parse(name: &str) -> Result<Self> {
        if is_topic(name.as_bytes()) {
            return Ok(Self(Cow::Owned(name.to_owned())));
        }
        let shown: String = name.chars().take(64).collect();
        Err(Error::invalid(format!("topic {shown:?} is not 1 to 64 letters, digits, '_', '.' or '-'")))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Topic {
    type Error = Error;

    fn try_from(name: String) -> Result<Self> {
        Self::parse(&name)
    }
}

impl From<Topic> for String {
    fn from(topic: Topic) -> Self {
        topic.0.into_owned()
    }
}

const fn is_reserved(name: &[u8]) -> bool {
    let mut at = 0;
    #[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "const fn, at < len of both")]
    while at < RESERVED.len() {
        if at >= name.len() || name[at] != RESERVED[at] {
            return false;
        }
        at += 1;
    }
    true
}

const fn is_topic(name: &[u8]) -> bool {
    let mut at = 0;
    #[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "const fn, at < len")]
    while at < name.len() {
        if !matches!(name[at], b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'-') {
            return false;
        }
        at += 1;
    }
    !name.is_empty() && name.len() <= limits::EVENT_TYPE_BYTES
}

/// A message, as a decision makes it. Making one never fails: what is wrong with it is said when the decision is taken,
/// as [`Invalid`](crate::ErrorKind::Invalid), before anything is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    topic: Topic,
    key: Option<String>,
    content_type: Cow<'static, str>,
    headers: BTreeMap<String, String>,
    data: Result<Data, String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Data {
    Json(String),
    Bytes(Bytes),
}

impl Message {
    /// A message whose data is a value as JSON.
    #[must_use]
    pub fn json(topic: Topic, data: &impl Serialize) -> Self {
        let data = serde_json::to_string(data).map(Data::Json);
        Self::of(topic, JSON, data.map_err(|error| error.to_string()))
    }

    /// A message whose data is bytes, of a media type.
    #[must_use]
    pub fn bytes(topic: Topic, content_type: impl Into<Cow<'static, str>>, data: impl Into<Bytes>) -> Self {
        Self::of(topic, content_type, Ok(Data::Bytes(data.into())))
    }

    /// A message that is refused for this reason when it is to be recorded.
    pub(crate) fn wrong(topic: Topic, why: String) -> Self {
        Self::of(topic, JSON, Err(why))
    }

    fn of(topic: Topic, content_type: impl Into<Cow<'static, str>>, data: Result<Data, String>) -> Self {
        Self { topic, key: None, content_type: content_type.into(), headers: BTreeMap::new(), data }
    }

    /// What it is ordered by: messages of one key are sent one after the other, as they were recorded, as far as they
    /// come from one partition. The aggregate's id, if nothing is said.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// A header for the receiver, which becomes an extension attribute of its CloudEvents envelope: a name of 1 to 20
    /// small letters and digits, such as `traceparent`, that the envelope does not use itself; a value of visible ASCII
    /// and spaces.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.insert(name.into(), value.into());
        self
    }

    /// What it is about.
    #[must_use]
    pub fn topic(&self) -> &Topic {
        &self.topic
    }

    /// The content as it is stored: JSON, so that people can read it with SQL.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid), naming what is wrong with the message.
    pub(crate) fn encode(&self) -> Result<EncodedMessage> {
        self.check().map_err(|error| error.advice("mend the decision that sends it; nothing was written"))?;
        let mut stored = Stored {
            key: self.key.clone(),
            headers: self.headers.clone(),
            content_type: (self.content_type != JSON).then(|| self.content_type.to_string()),
            data: None,
            data_base64: None,
        };
        match &self.data {
            Ok(Data::Json(json)) => {
                stored.data = Some(RawValue::from_string(json.clone()).map_err(unwritable)?)
            }
            Ok(Data::Bytes(bytes)) => stored.data_base64 = Some(STANDARD.encode(bytes)),
            Err(problem) => return Err(Error::invalid(format!("a message's data: {problem}"))),
        }
        let payload = Bytes::from(serde_json::to_vec(&stored).map_err(unwritable)?);
        at_most("a message", payload.len(), limits::MESSAGE_BYTES)?;
        let event_type = EventType::new(self.topic.0.clone())?;
        Ok(EncodedMessage { event_type, schema: SCHEMA, codec: CodecName::builtin("json"), payload })
    }

    fn check(&self) -> Result<()> {
        at_most("headers of a message", self.headers.len(), limits::MESSAGE_HEADERS)?;
        self.key.as_deref().map_or(Ok(()), check_key)?;
        if !is_visible(&self.content_type, limits::HEADER_VALUE_BYTES) || self.content_type.is_empty() {
            return Err(Error::invalid(format!("content type {:?} is not visible ASCII", self.content_type)));
        }
        self.headers.iter().try_for_each(|(name, value)| check_header(name, value))
    }
}

fn check_key(key: &str) -> Result<()> {
    if (1..=limits::MESSAGE_KEY_BYTES).contains(&key.len()) && !key.chars().any(char::is_control) {
        return Ok(());
    }
    let bound = format!("1 to {} bytes without control characters", limits::MESSAGE_KEY_BYTES);
    Err(Error::invalid("a message's key breaks its bound").expected(bound, format!("{} bytes", key.len())))
}

fn check_header(name: &str, value: &str) -> Result<()> {
    let small = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let named = (1..=limits::HEADER_NAME_BYTES).contains(&name.len()) && name.bytes().all(small);
    if named && !ENVELOPE.contains(&name) && is_visible(value, limits::HEADER_VALUE_BYTES) {
        return Ok(());
    }
    let shown: String = name.chars().take(64).collect();
    Err(Error::invalid(format!("header {shown:?} of a message is not allowed")).expected(
        format!(
            "a name of 1 to {} small letters and digits, none of {ENVELOPE:?}, a value of at most {} visible ASCII \
             characters",
            limits::HEADER_NAME_BYTES,
            limits::HEADER_VALUE_BYTES
        ),
        format!("a value of {} bytes", value.len()),
    ))
}

fn is_visible(text: &str, most: usize) -> bool {
    text.len() <= most && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

fn at_most(what: &str, found: usize, most: usize) -> Result<()> {
    if found <= most {
        return Ok(());
    }
    Err(Error::invalid(format!("{what}: more than is allowed")).expected(format!("at most {most}"), found))
}

fn unwritable(error: serde_json::Error) -> Error {
    Error::invalid("a message cannot be written as JSON").caused_by(error)
}

/// A message, ready to be recorded.
pub(crate) struct EncodedMessage {
    pub(crate) event_type: EventType,
    pub(crate) schema: u16,
    pub(crate) codec: CodecName,
    pub(crate) payload: Bytes,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data_base64: Option<String>,
}

/// The id of a message: the same for as long as the store exists, however often it is sent. Receivers know a message
/// by it that they have seen before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageId(Uuid);

impl MessageId {
    /// Derived from where it comes from: the stream, the transaction, the step, and its number in the step.
    #[must_use]
    pub fn derive(stream: &StreamName, cause: &Cause, index: u32) -> Self {
        let name = format!("{index}:{}:{}:{stream}", cause.transaction, cause.step);
        Self(TransactionId::derive(ID_SCOPE, &name).as_uuid())
    }

    /// The id as a UUID.
    #[must_use]
    pub const fn as_uuid(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A message as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedMessage {
    /// Its id.
    pub id: MessageId,
    /// What it is about.
    pub topic: Topic,
    /// What it is ordered by.
    pub key: String,
    /// The stream of messages that it stands in.
    pub stream: StreamName,
    /// Its place in that stream.
    pub version: Version,
    /// The partition of the stream.
    pub partition: PartitionId,
    /// Its place in the partition's log.
    pub position: Position,
    /// The transaction and step that sent it.
    pub cause: Cause,
    /// When it was recorded, by the store's clock.
    pub recorded_at: Timestamp,
    /// The media type of its data.
    pub content_type: String,
    /// Headers for the receiver.
    pub headers: BTreeMap<String, String>,
    /// The data: JSON text, or whatever the content type says.
    pub data: Bytes,
}

impl RecordedMessage {
    /// Reads a record of a stream of messages.
    ///
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt) when it is no message, or cannot be read.
    pub fn read(record: &Record) -> Result<Self> {
        record.verify()?;
        let RecordKind::Message { index } = record.data.kind else {
            let found = format!("{:?}", record.data.kind);
            return Err(unreadable(record, "is no message").expected("a message", found));
        };
        if record.data.schema != SCHEMA {
            return Err(unreadable(record, "has another layout").expected(SCHEMA, record.data.schema));
        }
        let stored: Stored = serde_json::from_slice(&record.data.payload)
            .map_err(|error| unreadable(record, "cannot be read").caused_by(error))?;
        let cause = record.data.cause.clone().ok_or_else(|| unreadable(record, "has no cause"))?;
        Ok(Self {
            id: MessageId::derive(&record.stream, &cause, index),
            topic: Topic::parse(record.data.event_type.as_str())?,
            key: stored.key.unwrap_or_else(|| record.stream.id().to_owned()),
            stream: record.stream.clone(),
            version: record.version,
            partition: record.partition,
            position: record.position,
            cause,
            recorded_at: record.recorded_at,
            content_type: stored.content_type.unwrap_or_else(|| JSON.to_owned()),
            headers: stored.headers,
            data: match (stored.data, stored.data_base64) {
                (Some(json), None) => Bytes::copy_from_slice(json.get().as_bytes()),
                (None, Some(text)) => STANDARD
                    .decode(text)
                    .map(Bytes::from)
                    .map_err(|error| unreadable(record, "has data that is no base64").caused_by(error))?,
                // As `null` is read.
                (None, None) => Bytes::from_static(b"null"),
                (Some(_), Some(_)) => return Err(unreadable(record, "has two kinds of data")),
            },
        })
    }

    /// The stream of the aggregate that sent it.
    #[must_use]
    pub fn subject(&self) -> StreamName {
        self.stream.told_by().unwrap_or_else(|| self.stream.clone())
    }

    /// Whether its data is JSON.
    #[must_use]
    pub fn is_json(&self) -> bool {
        let essence = self.content_type.split(';').next().unwrap_or_default().trim();
        essence == JSON || essence.ends_with("+json")
    }
}

fn unreadable(record: &Record, what: &str) -> Error {
    Error::corrupt(format!("the message at version {} {what}", record.version)).in_stream(&record.stream)
}
