//! Which streams a run may hold: a Bloom filter whose bits for one key lie in one cache line.
//!
//! It never denies a key that was added; one that was not is taken for one a few times in a thousand.
//! After Putze, Sanders and Singler, *Cache-, Hash- and Space-Efficient Bloom Filters* (2007). The hash is part
//! of the stored format.

use crate::store::stream_key::StreamKey;

/// Bits that a key takes.
const BITS_A_KEY: usize = 14;
/// Words of 64 bits in a line.
const LINE: usize = 8;
/// Bits that are set for a key.
const PROBES: u32 = 7;
/// Most lines of one filter: 64 MiB. With more keys it denies less.
const MOST_LINES: usize = 1 << 20;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store::sqlite) struct Filter {
    lines: Vec<[u64; LINE]>,
}

impl Filter {
    /// An empty filter with room for so many keys.
    pub(in crate::store::sqlite) fn for_keys(keys: usize) -> Self {
        let lines = keys.saturating_mul(BITS_A_KEY).div_ceil(LINE.saturating_mul(64)).clamp(1, MOST_LINES);
        Self { lines: vec![[0; LINE]; lines] }
    }

    pub(in crate::store::sqlite) fn add(&mut self, key: &StreamKey) {
        let (line, bits) = self.place(key);
        if let Some(line) = self.lines.get_mut(line) {
            probes(bits).for_each(|(word, mask)| {
                if let Some(word) = line.get_mut(word) {
                    *word |= mask;
                }
            });
        }
    }

    pub(in crate::store::sqlite) fn may_hold(&self, key: &StreamKey) -> bool {
        let (line, bits) = self.place(key);
        let line = self.lines.get(line);
        line.is_none_or(|line| {
            probes(bits).all(|(word, mask)| line.get(word).is_some_and(|word| word & mask != 0))
        })
    }

    fn place(&self, key: &StreamKey) -> (usize, u64) {
        let hash = hash(key);
        let lines = u128::try_from(self.lines.len()).unwrap_or(1);
        let line = u128::from(hash).saturating_mul(lines) >> 64;
        (usize::try_from(line).unwrap_or(0), mix(hash))
    }

    pub(in crate::store::sqlite) fn to_bytes(&self) -> Vec<u8> {
        self.lines.iter().flatten().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// A filter from its bytes; `None` where their number cannot be right.
    pub(in crate::store::sqlite) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (words, rest) = bytes.as_chunks::<8>();
        let words: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
        let (lines, more) = words.as_chunks::<LINE>();
        let whole = rest.is_empty() && more.is_empty() && !lines.is_empty();
        whole.then(|| Self { lines: lines.to_vec() })
    }
}

/// The bits of a key in its line: which word, and which bit of it.
fn probes(bits: u64) -> impl Iterator<Item = (usize, u64)> {
    (0..PROBES).map(move |at| {
        let nine = bits >> at.saturating_mul(9) & 0x1ff;
        (usize::try_from(nine >> 6).unwrap_or(0), 1 << (nine & 63))
    })
}

fn hash(key: &StreamKey) -> u64 {
    let halves =
        [u64::try_from(key.id >> 64).unwrap_or(0), u64::try_from(key.id & u128::from(u64::MAX)).unwrap_or(0)];
    let start = mix(key.rest ^ u64::from(key.family));
    halves.into_iter().fold(start, |hash, half| mix(hash ^ half))
}

/// The finalizer of SplitMix64: each bit of the input moves half of the output's.
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u64) -> StreamKey {
        StreamKey { family: 1, id: u128::from(n) << 40, rest: n }
    }

    #[test]
    fn what_was_added_is_never_denied_and_little_else_is_found() {
        let mut filter = Filter::for_keys(10_000);
        (0..10_000).for_each(|n| filter.add(&key(n)));
        let filter = Filter::from_bytes(&filter.to_bytes()).expect("whole lines");
        assert!((0..10_000).all(|n| filter.may_hold(&key(n))));
        let wrong = (10_000..110_000).filter(|n| filter.may_hold(&key(*n))).count();
        assert!(wrong < 700, "{wrong} of 100,000");
    }

    #[test]
    fn an_empty_filter_holds_nothing_and_odd_bytes_are_no_filter() {
        assert!(!Filter::for_keys(0).may_hold(&key(1)));
        assert!(Filter::from_bytes(&[]).is_none());
        assert!(Filter::from_bytes(&[0; 65]).is_none());
    }

    #[test]
    fn the_hash_never_changes() {
        let found: Vec<_> = (0..3).map(|n| hash(&key(n))).collect();
        let expected = [12_793_040_940_332_582_595, 6_597_107_102_376_138_692, 625_012_746_467_535_709];
        assert_eq!(found, expected, "stored filters would deny what they hold");
    }
}
