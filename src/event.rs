//! Records: what a stream consists of.
//!
//! A record is a user's event or one of the framework's own. Its `kind` and `cause` are plain data that a
//! store keeps beside the payload, so that scans, the index of open steps and people with SQL never need
//! to decode one.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::Cause;
use crate::limits;
use crate::partition::PartitionId;
use crate::stream::{Position, StreamName, Version};

/// The durable name of a kind of event. Names that start with `$` are the framework's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventType(Cow<'static, str>);

impl EventType {
    /// Checks and takes a user's name: 1 to 64 bytes, no control characters, no `$` in front.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when it breaks one of these.
    pub fn new(name: impl Into<Cow<'static, str>>) -> Result<Self> {
        let name = name.into();
        if name.starts_with('$') {
            return Err(Error::invalid(format!(
                "event type {name:?} starts with '$', as the framework's do"
            )));
        }
        Self::stored(name)
    }

    /// Takes a name that a store gives back, the framework's included.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when it is empty, too long, or holds a control character.
    pub fn stored(name: impl Into<Cow<'static, str>>) -> Result<Self> {
        let name = name.into();
        if name.is_empty() || name.len() > limits::EVENT_TYPE_BYTES || name.chars().any(char::is_control) {
            let shown: String = name.chars().take(64).collect();
            return Err(Error::invalid(format!(
                "event type {shown:?} is not 1 to {} bytes without control characters",
                limits::EVENT_TYPE_BYTES
            )));
        }
        Ok(Self(name))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The durable name of a codec, stored with each record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CodecName(Cow<'static, str>);

impl CodecName {
    /// Checks and takes a name: 1 to 16 bytes, no control characters.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when it breaks one of these.
    pub fn new(name: impl Into<Cow<'static, str>>) -> Result<Self> {
        let name = name.into();
        if name.is_empty() || name.len() > limits::CODEC_NAME_BYTES || name.chars().any(char::is_control) {
            return Err(Error::invalid(format!(
                "codec name {name:?} is not 1 to {} bytes without control characters",
                limits::CODEC_NAME_BYTES
            )));
        }
        Ok(Self(name))
    }

    pub(crate) const fn builtin(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CodecName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where the last aggregate record of an accepted step lies in its partition's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AcceptedAt {
    /// So many records before the `Accepted` record itself: written in one unit, before positions were
    /// known.
    Back(u32),
    /// At this position: written earlier, or in another store.
    At(Position),
}

/// What a record is. The framework's kinds carry the numbers that the protocol needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RecordKind {
    /// Aggregate stream: a user's event.
    Event,
    /// Aggregate stream: a step was accepted and its decision has no events.
    Marker,
    /// Aggregate stream: a step was refused; whoever was about to accept it finds this first.
    Fence,
    /// Aggregate stream: the state that the records before this one fold to.
    Snapshot,
    /// Side stream: a step was asked for; its payload is the command.
    Requested {
        /// The aggregate stream's version when it was asked. Everything the step did lies after it.
        aggregate_version: Version,
    },
    /// Side stream: an attempt took an open step over; older attempts can no longer settle it.
    Resumed {
        /// How far the aggregate stream is known to hold nothing of the step.
        scanned_to: Version,
    },
    /// Side stream: the step took effect; its payload is the transaction's new state.
    Accepted {
        /// The version of its last event or marker in the aggregate stream.
        version: Version,
        /// Where that record lies.
        at: AcceptedAt,
    },
    /// Side stream: the step was refused for good; its payload is the reason.
    Rejected,
    /// A reserved stream: what a store that works together with another one remembers of that one.
    Anchor,
    /// Stream of messages: what an accepted step tells others. Its event type is the topic.
    Message {
        /// Its number among the step's messages, from 0.
        index: u32,
    },
}

impl RecordKind {
    /// The event type of a framework record; `None` for a user's event or message, which brings its own.
    #[must_use]
    pub fn framework_type(&self) -> Option<EventType> {
        let name = match self {
            Self::Event | Self::Message { .. } => return None,
            Self::Marker => "$marker",
            Self::Fence => "$fence",
            Self::Snapshot => "$snapshot",
            Self::Requested { .. } => "$requested",
            Self::Resumed { .. } => "$resumed",
            Self::Accepted { .. } => "$accepted",
            Self::Rejected => "$rejected",
            Self::Anchor => "$anchor",
        };
        Some(EventType(Cow::Borrowed(name)))
    }

    /// Whether its records bring an event type of their own: users' events, and messages.
    #[must_use]
    pub const fn has_own_type(&self) -> bool {
        matches!(self, Self::Event | Self::Message { .. })
    }

    /// The kind's number in stores and checksums. It never changes.
    #[must_use]
    pub const fn code(&self) -> u8 {
        match self {
            Self::Event => 1,
            Self::Marker => 2,
            Self::Fence => 3,
            Self::Snapshot => 4,
            Self::Requested { .. } => 5,
            Self::Resumed { .. } => 6,
            Self::Accepted { at: AcceptedAt::Back(_), .. } => 7,
            Self::Accepted { at: AcceptedAt::At(_), .. } => 8,
            Self::Rejected => 9,
            Self::Anchor => 10,
            Self::Message { .. } => 11,
        }
    }

    /// The kind's numbers, as a store keeps them beside its code; zero where there is none.
    #[must_use]
    pub fn numbers(&self) -> (u64, u64) {
        match *self {
            Self::Requested { aggregate_version } => (aggregate_version.get(), 0),
            Self::Resumed { scanned_to } => (scanned_to.get(), 0),
            Self::Accepted { version, at: AcceptedAt::Back(records) } => (version.get(), u64::from(records)),
            Self::Accepted { version, at: AcceptedAt::At(position) } => (version.get(), position.get()),
            Self::Message { index } => (u64::from(index), 0),
            Self::Event | Self::Marker | Self::Fence | Self::Snapshot | Self::Rejected | Self::Anchor => {
                (0, 0)
            }
        }
    }

    /// The kind from its code and numbers.
    ///
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt) when there is no such kind.
    pub fn from_parts(code: u8, (first, second): (u64, u64)) -> Result<Self> {
        let version = Version::new(first);
        Ok(match code {
            1 => Self::Event,
            2 => Self::Marker,
            3 => Self::Fence,
            4 => Self::Snapshot,
            5 => Self::Requested { aggregate_version: version },
            6 => Self::Resumed { scanned_to: version },
            7 => Self::Accepted {
                version,
                at: AcceptedAt::Back(
                    u32::try_from(second).map_err(|_| Error::corrupt(format!("{second} records back")))?,
                ),
            },
            8 => Self::Accepted { version, at: AcceptedAt::At(Position::new(second)) },
            9 => Self::Rejected,
            10 => Self::Anchor,
            11 => Self::Message {
                index: u32::try_from(first)
                    .map_err(|_| Error::corrupt(format!("message number {first} of a step")))?,
            },
            _ => {
                return Err(Error::corrupt(format!("record kind {code} is unknown"))
                    .advice("read this store with the version of sidestream that wrote it, or a newer one"));
            }
        })
    }
}

/// A record before it is appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRecord {
    /// What it is.
    pub kind: RecordKind,
    /// The durable name of what its payload holds.
    pub event_type: EventType,
    /// The schema version of its payload.
    pub schema: u16,
    /// The codec that wrote its payload.
    pub codec: CodecName,
    /// The transaction and step that it belongs to; `None` on snapshots and on records of other origin.
    pub cause: Option<Cause>,
    /// Whom a reply is addressed to, on `Requested` records of submitted steps.
    pub requester: Option<String>,
    /// The content, at most 1 MiB.
    pub payload: Bytes,
}

impl NewRecord {
    /// The checksum that is stored with this record at `version` of `stream`: CRC-32 over the place and
    /// everything in it. What a store assigns (position, time) is not covered.
    #[must_use]
    pub fn checksum(&self, stream: &StreamName, version: Version) -> Checksum {
        let mut crc = Crc::default();
        let mut part = |bytes: &[u8]| {
            crc.update(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
            crc.update(bytes);
        };
        let (first, second) = self.kind.numbers();
        part(stream.as_str().as_bytes());
        part(&version.get().to_le_bytes());
        part(&[self.kind.code()]);
        part(&first.to_le_bytes());
        part(&second.to_le_bytes());
        part(self.event_type.as_str().as_bytes());
        part(&self.schema.to_le_bytes());
        part(self.codec.as_str().as_bytes());
        if let Some(cause) = &self.cause {
            part(cause.transaction.as_uuid().as_bytes());
            part(cause.step.as_str().as_bytes());
            part(cause.fingerprint.as_bytes());
        }
        if let Some(requester) = &self.requester {
            part(requester.as_bytes());
        }
        part(&self.payload);
        Checksum(crc.finalize())
    }

    /// Checks every bound that a store relies on.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) naming the bound.
    pub fn check(&self) -> Result<()> {
        let framework = self.kind.framework_type();
        let fits =
            framework.as_ref().map_or(!self.event_type.as_str().starts_with('$'), |t| *t == self.event_type);
        if !fits {
            let expected = framework.map_or("a name of the user's".to_owned(), |of_kind| of_kind.to_string());
            return Err(Error::invalid(format!(
                "a record of kind {:?} has another kind's event type",
                self.kind
            ))
            .expected(expected, &self.event_type));
        }
        if self.payload.len() > limits::PAYLOAD_BYTES {
            return Err(Error::invalid(format!("the payload of a {} record is too large", self.event_type))
                .expected(format!("at most {} bytes", limits::PAYLOAD_BYTES), self.payload.len()));
        }
        self.requester.as_deref().map_or(Ok(()), check_requester)?;
        self.cause.as_ref().map_or(Ok(()), |cause| cause.step.check())
    }
}

pub(crate) fn check_requester(address: &str) -> Result<()> {
    if (1..=limits::REQUESTER_BYTES).contains(&address.len()) {
        return Ok(());
    }
    Err(Error::invalid("the requester's address is empty or too long")
        .expected(format!("1 to {} bytes", limits::REQUESTER_BYTES), address.len()))
}

/// A CRC-32 over many short parts, which are gathered first: it is fast on long ones only.
struct Crc {
    hasher: crc32fast::Hasher,
    gathered: [u8; 256],
    count: usize,
}

impl Default for Crc {
    fn default() -> Self {
        Self { hasher: crc32fast::Hasher::new(), gathered: [0; 256], count: 0 }
    }
}

impl Crc {
    fn update(&mut self, bytes: &[u8]) {
        let end = self.count.saturating_add(bytes.len());
        if let Some(room) = self.gathered.get_mut(self.count..end) {
            room.copy_from_slice(bytes);
            self.count = end;
            return;
        }
        self.flush();
        match self.gathered.get_mut(..bytes.len()) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.count = bytes.len();
            }
            None => self.hasher.update(bytes),
        }
    }

    fn flush(&mut self) {
        self.hasher.update(self.gathered.get(..self.count).unwrap_or_default());
        self.count = 0;
    }

    fn finalize(mut self) -> u32 {
        self.flush();
        self.hasher.finalize()
    }
}

/// A record's checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Checksum(pub u32);

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// A record as it stands in a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its stream.
    pub stream: StreamName,
    /// Its place in the stream.
    pub version: Version,
    /// The partition of its stream.
    pub partition: PartitionId,
    /// Its place in the partition's log.
    pub position: Position,
    /// When the store took it, by the store's clock; never going back within a partition.
    pub recorded_at: Timestamp,
    /// What was appended.
    pub data: NewRecord,
    /// The checksum as stored.
    pub checksum: Checksum,
}

impl Record {
    /// Whether it still is what was appended.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        self.data.checksum(&self.stream, self.version) == self.checksum
    }

    /// Demands that it still is what was appended.
    ///
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt), naming the stream and the version.
    pub fn verify(&self) -> Result<()> {
        if self.is_intact() {
            return Ok(());
        }
        let found = self.data.checksum(&self.stream, self.version);
        Err(Error::corrupt(format!("record {} was altered after it was written", self.version))
            .in_stream(&self.stream)
            .expected(format!("checksum {}", self.checksum), found))
    }
}
