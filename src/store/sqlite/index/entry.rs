//! Entries of the index over streams.

use crate::store::stream_key::StreamKey;

/// An append to a stream: the version of its last record, how many there are, and the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store::sqlite) struct Append {
    pub(in crate::store::sqlite) last: u64,
    pub(in crate::store::sqlite) records: u64,
    pub(in crate::store::sqlite) row: u64,
}

/// An append in the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store::sqlite) struct Entry {
    pub(in crate::store::sqlite) key: StreamKey,
    pub(in crate::store::sqlite) append: Append,
}

impl Entry {
    pub(in crate::store::sqlite) fn new(key: StreamKey, append: Append) -> Self {
        Self { key, append }
    }

    /// What entries are sorted by.
    pub(in crate::store::sqlite) fn order(&self) -> (StreamKey, u64) {
        (self.key, self.append.last)
    }
}
