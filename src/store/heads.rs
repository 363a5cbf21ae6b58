//! The heads of streams that were written lately, so that whoever writes need not look them up.

use crate::hash::HashMap;
use crate::store::stream_key::StreamKey;
use crate::stream::Version;

/// Heads of one generation, about 60 bytes each.
const GENERATION: usize = 1 << 18;

/// A bounded memory of heads: when the younger generation is full, the older one is forgotten. Side streams have
/// no place in it: few are written twice.
#[derive(Debug, Default)]
pub(super) struct Heads {
    young: HashMap<StreamKey, Version>,
    old: HashMap<StreamKey, Version>,
}

impl Heads {
    /// The head, where it is remembered.
    pub(super) fn get(&self, key: &StreamKey) -> Option<Version> {
        if key.is_side() {
            return None;
        }
        self.young.get(key).or_else(|| self.old.get(key)).copied()
    }

    /// Remembers the head of a stream, as it was committed.
    pub(super) fn put(&mut self, key: StreamKey, head: Version) {
        if key.is_side() {
            return;
        }
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, head);
    }
}
