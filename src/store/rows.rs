//! Guarded rows: small values beside the log, each written only where it is as its writer expects.
//!
//! Checkpoints, leases and marks are rows. What they mean is the business of whoever writes them; here is what a
//! row is, when a write of it may be committed, and what it becomes, pure and shared by every store.
//!
//! Two numbers guard a row. Its *revision* grows with every change, so "as I read it" can be expected. Its *epoch*
//! grows only when the row is claimed, so "still mine" can be expected, whoever else changed it: a fencing token, as
//! in Kleppmann's *How to do distributed locking* (2016). Neither is ever used twice, not even for a row that was
//! removed and put back; only forgetting a row ([`RowChange::Forget`]) gives its numbers up.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::limits;
use crate::partition::PartitionId;

/// What a row is found by, within its partition: the space it belongs to, and a key in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowKey {
    space: String,
    key: String,
}

impl RowKey {
    /// A key in a space: neither empty nor longer than [`limits`] allow, without control characters. Keys are
    /// ordered by their bytes.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid), naming the bound.
    pub fn new(space: impl Into<String>, key: impl Into<String>) -> Result<Self> {
        let (space, key) = (space.into(), key.into());
        check_name("a row's space", &space, 1, limits::ROW_SPACE_BYTES)?;
        check_name("a row's key", &key, 1, limits::ROW_KEY_BYTES)?;
        Ok(Self { space, key })
    }

    /// The space.
    #[must_use]
    pub fn space(&self) -> &str {
        &self.space
    }

    /// The key in it.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl fmt::Display for RowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.space, self.key)
    }
}

fn check_name(what: &str, name: &str, least: usize, most: usize) -> Result<()> {
    if name.len() < least || name.len() > most {
        return Err(Error::invalid(format!("{what} has a length that is not allowed"))
            .expected(format!("{least} to {most} bytes"), name.len()));
    }
    if name.chars().any(char::is_control) {
        return Err(Error::invalid(format!("{what} holds a control character"))
            .expected("text without control characters", format!("{name:?}")));
    }
    Ok(())
}

/// A row as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What it is found by.
    pub key: RowKey,
    /// Counts the changes of the row, from 1.
    pub revision: u64,
    /// Counts how often the row was claimed, from 0: the fencing number of whoever claimed it last.
    pub epoch: u64,
    /// What its writers keep in it.
    pub value: Bytes,
    /// From this moment on, by the store's clock, the row is expired. It is still there, and can be claimed as
    /// [`Free`](RowExpected::Free).
    pub expires_at: Option<Timestamp>,
    /// When it was changed last, by the store's clock.
    pub changed_at: Timestamp,
}

/// What a row must be for its unit to be committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RowExpected {
    /// Whatever it is.
    Any,
    /// Not there, or removed.
    Absent,
    /// There, at this revision.
    Revision(u64),
    /// There, at this epoch, whatever its revision, and expired or not: as long as nobody else claimed it, it is
    /// still the holder's, and a late renewal is as good as one in time.
    Epoch(u64),
    /// Not there, removed, or expired at that moment by the store's clock.
    Free,
}

impl fmt::Display for RowExpected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any row"),
            Self::Absent => f.write_str("no row"),
            Self::Revision(revision) => write!(f, "revision {revision}"),
            Self::Epoch(epoch) => write!(f, "epoch {epoch}"),
            Self::Free => f.write_str("a free row"),
        }
    }
}

/// What becomes of a row. Without `lives` it never expires; with it, so long after the commit, by the store's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowChange {
    /// Nothing: a bare check.
    Keep,
    /// It has this value from now on, and is made where it is not there.
    Put {
        /// The value.
        value: Bytes,
        /// How long it lives.
        lives: Option<Duration>,
    },
    /// As `Put`, and its epoch grows by one.
    Claim {
        /// The value.
        value: Bytes,
        /// How long it lives.
        lives: Option<Duration>,
    },
    /// It expires at another moment, and keeps its value. It has to be there, whatever is expected besides.
    Extend {
        /// How long it lives from now on.
        lives: Option<Duration>,
    },
    /// It is gone, and its numbers are kept. Where it is not there, nothing changes.
    Remove,
    /// It is gone, and so are its numbers, as if it had never been there. For keys that nobody uses again, such as those
    /// made of an id: whoever expects a number of such a key may find the same number a second time.
    Forget,
}

impl RowChange {
    /// The bytes of the value that it writes.
    pub(crate) fn value_bytes(&self) -> usize {
        match self {
            Self::Put { value, .. } | Self::Claim { value, .. } => value.len(),
            Self::Keep | Self::Extend { .. } | Self::Remove | Self::Forget => 0,
        }
    }
}

/// A change of one row, in a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowWrite {
    /// Which row.
    pub key: RowKey,
    /// What it must be.
    pub expected: RowExpected,
    /// What becomes of it.
    pub change: RowChange,
}

/// A row that is not as a unit expects it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongRow {
    /// Which row.
    pub key: RowKey,
    /// What was expected.
    pub expected: RowExpected,
    /// What it is; `None` where it is not there.
    pub found: Option<Row>,
}

impl fmt::Display for WrongRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {}: expected {}, found ", self.key, self.expected)?;
        match &self.found {
            Some(Row { revision, epoch, expires_at: Some(at), .. }) => {
                write!(f, "revision {revision}, epoch {epoch}, expiring at {at}")
            }
            Some(row) => write!(f, "revision {}, epoch {}", row.revision, row.epoch),
            None => f.write_str("none"),
        }
    }
}

/// Which rows of a space are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowSelection {
    /// Those with these keys, at most 256.
    Keys(Vec<String>),
    /// Those whose keys begin with `prefix`, by key.
    Prefix {
        /// What their keys begin with. Every key begins with the empty one.
        prefix: String,
        /// Continue after this key of the page before.
        after: Option<String>,
        /// Most rows to return; at most 256 are returned in any case.
        limit: usize,
    },
}

/// A read of rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowsRead {
    /// The partition.
    pub partition: PartitionId,
    /// The space.
    pub space: String,
    /// Which rows of it.
    pub which: RowSelection,
}

impl RowsRead {
    /// Checks all that can be checked without the store's content.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid), naming the bound.
    pub fn check(&self) -> Result<()> {
        check_name("a row's space", &self.space, 1, limits::ROW_SPACE_BYTES)?;
        match &self.which {
            RowSelection::Keys(keys) if keys.len() > limits::PAGE_ROWS => {
                Err(Error::invalid("a read names too many rows")
                    .expected(format!("at most {}", limits::PAGE_ROWS), keys.len()))
            }
            RowSelection::Keys(keys) => {
                keys.iter().try_for_each(|key| check_name("a row's key", key, 1, limits::ROW_KEY_BYTES))
            }
            RowSelection::Prefix { prefix, after, .. } => {
                check_name("a prefix of keys", prefix, 0, limits::ROW_KEY_BYTES)?;
                let after = after.as_deref().unwrap_or_default();
                check_name("the key to continue after", after, 0, limits::ROW_KEY_BYTES)
            }
        }
    }
}

/// A key that stands behind every key: the last character there is, as often as it fits into one.
#[cfg(any(feature = "postgres", feature = "sqlite", test))]
pub(super) fn behind(prefix: &str) -> String {
    let most = limits::ROW_KEY_BYTES.div_ceil(char::MAX.len_utf8());
    let mut last = String::with_capacity(prefix.len().saturating_add(limits::ROW_KEY_BYTES));
    last.push_str(prefix);
    last.extend(std::iter::repeat_n(char::MAX, most));
    last
}

/// Rows of a space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowsPage {
    /// The rows that are there, expired ones too, by key. Of a read by prefix, fewer than its limit and 256 means
    /// that no others follow.
    pub rows: Vec<Row>,
    /// The store's time at the read: what expires at or before it is expired.
    pub at: Timestamp,
}

/// What a store keeps of a row, for ever: of one that was removed, the numbers; of one that was forgotten, nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptRow {
    /// As in [`Row`]; 0 where it was never there.
    pub revision: u64,
    /// As in [`Row`].
    pub epoch: u64,
    /// When it was changed or removed.
    pub changed_at: Timestamp,
    /// None where it was removed, or never there.
    pub content: Option<RowContent>,
}

/// What a row that is there has besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowContent {
    /// As in [`Row`].
    pub value: Bytes,
    /// As in [`Row`].
    pub expires_at: Option<Timestamp>,
}

impl KeptRow {
    /// A row that was never there.
    pub const NEVER: Self = Self { revision: 0, epoch: 0, changed_at: Timestamp::MIN, content: None };

    /// The row, where it is there.
    pub(crate) fn into_row(self, key: RowKey) -> Option<Row> {
        let Self { revision, epoch, changed_at, content } = self;
        let RowContent { value, expires_at } = content?;
        Some(Row { key, revision, epoch, value, expires_at, changed_at })
    }

    /// What the row becomes by a write at `now`; `None` where it stays as it is.
    pub(crate) fn after(&self, write: &RowWrite, now: Timestamp) -> Result<Option<Self>, Box<WrongRow>> {
        let extends_nothing = self.content.is_none() && matches!(write.change, RowChange::Extend { .. });
        if extends_nothing || !self.is_as(write.expected, now) {
            let (key, expected) = (write.key.clone(), write.expected);
            let found = self.clone().into_row(key.clone());
            return Err(Box::new(WrongRow { key, expected, found }));
        }
        let content = |value: &Bytes, lives: &Option<Duration>| {
            let expires_at = lives.map(|lives| now.after(lives));
            Some(RowContent { value: value.clone(), expires_at })
        };
        let (claims, content) = match (&write.change, &self.content) {
            (RowChange::Keep, _) | (RowChange::Remove, None) => return Ok(None),
            (RowChange::Forget, _) => return Ok((*self != Self::NEVER).then_some(Self::NEVER)),
            (RowChange::Put { value, lives }, _) => (0, content(value, lives)),
            (RowChange::Claim { value, lives }, _) => (1, content(value, lives)),
            (RowChange::Extend { lives }, Some(found)) => (0, content(&found.value, lives)),
            (RowChange::Extend { .. } | RowChange::Remove, _) => (0, None),
        };
        let (revision, epoch) = (self.revision.saturating_add(1), self.epoch.saturating_add(claims));
        Ok(Some(Self { revision, epoch, changed_at: now, content }))
    }

    fn is_as(&self, expected: RowExpected, now: Timestamp) -> bool {
        match (expected, &self.content) {
            (RowExpected::Any, _) | (RowExpected::Absent | RowExpected::Free, None) => true,
            (RowExpected::Revision(_) | RowExpected::Epoch(_), None) | (RowExpected::Absent, Some(_)) => {
                false
            }
            (RowExpected::Revision(revision), Some(_)) => revision == self.revision,
            (RowExpected::Epoch(epoch), Some(_)) => epoch == self.epoch,
            (RowExpected::Free, Some(content)) => content.expires_at.is_some_and(|at| at <= now),
        }
    }
}

#[cfg(test)]
mod tests;
