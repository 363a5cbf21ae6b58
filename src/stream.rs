//! Streams and places in them: categories, ids, names, versions, partitions and positions.
//!
//! The naming follows Message DB: a stream is `category-id`, and a compound id `cardinal+rest` shares
//! the partition of its cardinal id. That is what keeps an account and its side streams together.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::id::TransactionId;
use crate::limits;

/// What a side stream's category ends with.
const SIDE_SUFFIX: &str = "Transaction";
/// What the category of a stream of messages ends with.
const MESSAGE_SUFFIX: &str = "Message";
/// What the framework's own categories begin with. No category of a user can.
const RESERVED_PREFIX: &str = "$";

/// The durable name of a kind of aggregate: letters, digits, `_`, `.` and `:`, at most 64 bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Category(Cow<'static, str>);

impl Category {
    /// A category known when the program is compiled; a bad name does not compile.
    ///
    /// # Panics
    /// In a `const`, at compile time, when the name is empty, too long, has another character than
    /// letters, digits, `_`, `.` and `:`, or ends with `Transaction` or `Message`, as the categories of side streams
    /// and of streams of messages do.
    ///
    /// ```
    /// use sidestream::Category;
    /// const ACCOUNT: Category = Category::new("account");
    /// assert_eq!(ACCOUNT.as_str(), "account");
    /// ```
    #[must_use]
    #[allow(clippy::panic, reason = "a const evaluated at compile time")]
    pub const fn new(name: &'static str) -> Self {
        assert!(is_category(name.as_bytes()), "a category is 1 to 64 letters, digits, '_', '.' or ':'");
        assert!(!ends_with(name.as_bytes(), SIDE_SUFFIX.as_bytes()), "'...Transaction' names side streams");
        assert!(
            !ends_with(name.as_bytes(), MESSAGE_SUFFIX.as_bytes()),
            "'...Message' names streams of messages"
        );
        Self(Cow::Borrowed(name))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The stream of the aggregate `id`.
    #[must_use]
    pub fn stream(&self, id: &AggregateId) -> StreamName {
        StreamName::join(self, id.as_str())
    }

    /// The side stream of `transaction` on the aggregate `id`.
    #[must_use]
    pub fn side_stream(&self, id: &AggregateId, transaction: TransactionId) -> StreamName {
        StreamName::join(&self.side(), &format!("{id}+{transaction}"))
    }

    /// The stream of the messages that the aggregate `id` sends.
    #[must_use]
    pub fn message_stream(&self, id: &AggregateId) -> StreamName {
        StreamName::join(&self.messages(), id.as_str())
    }

    /// A category of the framework's own streams, `$name`, which no user can name. Only stores write to them.
    pub(crate) fn reserved(name: &str) -> Self {
        Self(Cow::Owned(format!("{RESERVED_PREFIX}{name}")))
    }

    /// The category of this category's side streams.
    #[must_use]
    pub fn side(&self) -> Self {
        Self(Cow::Owned(format!("{}{SIDE_SUFFIX}", self.0)))
    }

    /// The category of the streams of messages that this category's aggregates send.
    #[must_use]
    pub fn messages(&self) -> Self {
        Self(Cow::Owned(format!("{}{MESSAGE_SUFFIX}", self.0)))
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const fn is_category(name: &[u8]) -> bool {
    let mut at = 0;
    #[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "const fn, at < len")]
    while at < name.len() {
        if !matches!(name[at], b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b':') {
            return false;
        }
        at += 1;
    }
    !name.is_empty() && name.len() <= limits::CATEGORY_BYTES
}

#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "const fn, bounds checked")]
const fn ends_with(name: &[u8], suffix: &[u8]) -> bool {
    if name.len() < suffix.len() {
        return false;
    }
    let (mut at, skip) = (0, name.len() - suffix.len());
    while at < suffix.len() {
        if name[skip + at] != suffix[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// The id of one aggregate: 1 to 200 bytes without control characters. What stands before the first
/// `+` is the cardinal id, which chooses the partition. Keep personal data out of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AggregateId(Arc<str>);

impl AggregateId {
    /// Checks and takes an id.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when it is empty, too long, starts with `+`, or holds a control
    /// character.
    pub fn new(id: impl AsRef<str>) -> Result<Self> {
        let id = id.as_ref();
        check_id("aggregate id", id, limits::AGGREGATE_ID_BYTES)?;
        Ok(Self(Arc::from(id)))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part that chooses the partition.
    #[must_use]
    pub fn cardinal(&self) -> &str {
        cardinal(&self.0)
    }
}

impl fmt::Display for AggregateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for AggregateId {
    type Err = Error;

    fn from_str(id: &str) -> Result<Self> {
        Self::new(id)
    }
}

/// The name of a stream, `category-id`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamName(Arc<str>);

impl StreamName {
    /// What a side stream's category has behind its aggregate's.
    pub const SIDE_SUFFIX: &'static str = SIDE_SUFFIX;

    /// Reads a name, as a store or a person gives it.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when it has no `-`, a bad category, or a bad id.
    pub fn parse(name: &str) -> Result<Self> {
        let Some((category, id)) = name.split_once('-') else {
            return Err(Error::invalid(format!("stream name {name:?} has no '-' between category and id")));
        };
        let bytes = category.as_bytes();
        let base = match bytes.strip_prefix(RESERVED_PREFIX.as_bytes()) {
            Some(reserved) => reserved,
            None => bytes.strip_suffix(SIDE_SUFFIX.as_bytes()).unwrap_or(bytes),
        };
        if !is_category(base) {
            return Err(Error::invalid(format!("stream name {name:?} has a bad category")));
        }
        check_id("stream name", id, limits::STREAM_NAME_BYTES)?;
        Ok(Self(Arc::from(name)))
    }

    fn join(category: &Category, id: &str) -> Self {
        Self(Arc::from(format!("{category}-{id}")))
    }

    /// The whole name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands before the first `-`.
    #[must_use]
    pub fn category(&self) -> &str {
        self.0.split_once('-').map_or("", |(category, _)| category)
    }

    /// What stands after the first `-`.
    #[must_use]
    pub fn id(&self) -> &str {
        self.0.split_once('-').map_or("", |(_, id)| id)
    }

    /// The part of the id that chooses the partition.
    #[must_use]
    pub fn cardinal(&self) -> &str {
        cardinal(self.id())
    }

    /// Whether its category is one of side streams.
    #[must_use]
    pub fn is_side(&self) -> bool {
        self.category().ends_with(SIDE_SUFFIX)
    }

    /// Whether it is the stream of the messages that the aggregate of `stream` sends.
    #[must_use]
    pub fn is_message_stream_of(&self, stream: &Self) -> bool {
        self.category().strip_suffix(MESSAGE_SUFFIX) == Some(stream.category()) && self.id() == stream.id()
    }

    /// The aggregate's stream, of the stream of its messages; `None` for any other stream.
    #[must_use]
    pub fn told_by(&self) -> Option<Self> {
        let (category, id) = self.0.split_once('-')?;
        let category = category.strip_suffix(MESSAGE_SUFFIX).filter(|category| !category.is_empty())?;
        Some(Self(Arc::from(format!("{category}-{id}"))))
    }

    /// Whether it is one of the framework's own streams, which hold nobody's events.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        self.0.starts_with(RESERVED_PREFIX)
    }

    /// The aggregate and the transaction of a side stream; `None` for any other stream.
    #[must_use]
    pub fn side_parts(&self) -> Option<(AggregateId, TransactionId)> {
        let (category, id) = self.0.split_once('-')?;
        category.strip_suffix(SIDE_SUFFIX)?;
        let (aggregate, transaction) = id.rsplit_once('+')?;
        Some((AggregateId::new(aggregate).ok()?, transaction.parse().ok()?))
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn cardinal(id: &str) -> &str {
    id.split_once('+').map_or(id, |(cardinal, _)| cardinal)
}

fn check_id(what: &str, id: &str, most: usize) -> Result<()> {
    let problem = if id.is_empty() {
        "is empty".to_owned()
    } else if id.len() > most {
        format!("has {} bytes, at most {most} are allowed", id.len())
    } else if id.starts_with('+') {
        "starts with '+', so its cardinal id is empty".to_owned()
    } else if id.chars().any(char::is_control) {
        "holds a control character".to_owned()
    } else {
        return Ok(());
    };
    let shown: String = id.chars().take(64).collect();
    Err(Error::invalid(format!("{what} {shown:?} {problem}")))
}

/// A place in a stream, from 1. Zero is the empty stream's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(u64);

impl Version {
    /// The version of a stream without records.
    pub const EMPTY: Self = Self(0);
    /// Above every version there can be.
    pub const MAX: Self = Self(u64::MAX >> 1);

    /// A version from its number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The next version.
    #[must_use]
    pub const fn next(self) -> Self {
        self.plus(1)
    }

    /// The version `records` further on.
    #[must_use]
    pub const fn plus(self, records: u64) -> Self {
        Self(self.0.saturating_add(records))
    }

    /// How many records lie after `earlier`, up to this version.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What an append demands of its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExpectedVersion {
    /// The stream has no records.
    NoStream,
    /// The stream's last record has this version.
    Exact(Version),
    /// Nothing. The protocol never uses it.
    Any,
}

impl ExpectedVersion {
    /// Whether a stream at `head` meets the demand.
    #[must_use]
    pub fn allows(self, head: Version) -> bool {
        match self {
            Self::NoStream => head == Version::EMPTY,
            Self::Exact(version) => head == version,
            Self::Any => true,
        }
    }
}

impl From<Version> for ExpectedVersion {
    fn from(version: Version) -> Self {
        if version == Version::EMPTY { Self::NoStream } else { Self::Exact(version) }
    }
}

impl fmt::Display for ExpectedVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoStream => f.write_str("no stream"),
            Self::Exact(version) => write!(f, "version {version}"),
            Self::Any => f.write_str("any version"),
        }
    }
}

/// A place in one partition's log, from 1, without gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(u64);

impl Position {
    /// Before the first record.
    pub const START: Self = Self(0);

    /// A position from its number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The next position.
    #[must_use]
    pub const fn next(self) -> Self {
        self.plus(1)
    }

    /// The position `records` further on.
    #[must_use]
    pub const fn plus(self, records: u64) -> Self {
        Self(self.0.saturating_add(records))
    }

    /// The position `records` back, or the start.
    #[must_use]
    pub const fn minus(self, records: u64) -> Self {
        Self(self.0.saturating_sub(records))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_side_stream_shares_the_cardinal_id_of_its_aggregate() {
        let id = AggregateId::new("acme+checking").expect("valid");
        let transaction = TransactionId::derive("test", "1");
        let side = Category::new("account").side_stream(&id, transaction);
        assert_eq!(side.cardinal(), "acme");
        assert_eq!(side.side_parts(), Some((id, transaction)));
        assert_eq!(StreamName::parse(side.as_str()).expect("valid"), side);
    }

    #[test]
    fn an_aggregate_stream_is_no_side_stream() {
        let id = AggregateId::new("7").expect("valid");
        assert_eq!(Category::new("account").stream(&id).side_parts(), None);
    }

    #[test]
    fn a_reserved_stream_is_nobodys() {
        let id = AggregateId::new("3").expect("valid");
        let anchors = Category::reserved("anchor").stream(&id);
        assert_eq!(StreamName::parse("$anchor-3").expect("valid"), anchors);
        assert!(anchors.is_reserved() && !anchors.is_side());
        assert!(!Category::new("account").stream(&id).is_reserved());
        assert!(std::panic::catch_unwind(|| Category::new("$anchor")).is_err());
        assert!(StreamName::parse("$-3").is_err() && StreamName::parse("$$anchor-3").is_err());
    }

    #[test]
    fn bad_ids_are_refused_with_the_reason() {
        for (id, why) in
            [("", "empty"), ("+x", "cardinal"), ("a\nb", "control"), (&"x".repeat(201), "201 bytes")]
        {
            let error = AggregateId::new(id).expect_err(id);
            assert!(error.to_string().contains(why), "{error}");
        }
        for name in ["account", "-7", "acc ount-7", "account-"] {
            assert!(StreamName::parse(name).is_err(), "{name}");
        }
    }
}
