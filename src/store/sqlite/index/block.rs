//! Sorted index entries as bytes, one page of the database at a time.
//!
//! An entry is: how many bytes of its key it shares with the one before, the other bytes of the key, the
//! version of the append's last record (the distance from the one before, where the key is the same), its
//! records, and the distance between the rows. The last four bytes of a block are the CRC-32 of what stands
//! before them: a bad block must never look like a stream that does not exist.

use crate::error::{Error, Result};
use crate::store::sqlite::index::entry::{Append, Entry};
use crate::store::sqlite::varint::{Bytes, put, put_distance};
use crate::store::stream_key::{KEY_BYTES, StreamKey};

/// Most bytes of a block: with its row's header it fills a page of 4,096 bytes, and needs no second one.
pub(in crate::store::sqlite) const BLOCK_BYTES: usize = 4_040;
const CHECKSUM_BYTES: usize = 4;
/// Most bytes of an entry.
const ENTRY_BYTES: usize = 1 + KEY_BYTES + 3 * 10;

/// A block that is being written.
#[derive(Debug, Default)]
pub(in crate::store::sqlite) struct BlockWriter {
    bytes: Vec<u8>,
    before: Option<Entry>,
}

impl BlockWriter {
    pub(in crate::store::sqlite) fn is_empty(&self) -> bool {
        self.before.is_none()
    }

    pub(in crate::store::sqlite) fn has_room(&self) -> bool {
        self.bytes.len().saturating_add(ENTRY_BYTES).saturating_add(CHECKSUM_BYTES) <= BLOCK_BYTES
    }

    pub(in crate::store::sqlite) fn push(&mut self, entry: Entry) {
        let key = entry.key.to_bytes();
        let length = StreamKey::length(entry.key.family);
        let (shared, last, row) = match &self.before {
            None => (0, 0, 0),
            Some(before) => {
                let pairs = before.key.to_bytes().into_iter().zip(key).take(length);
                let shared = pairs.take_while(|(one, other)| one == other).count();
                let same = before.key == entry.key;
                (shared, if same { before.append.last } else { 0 }, before.append.row)
            }
        };
        self.bytes.push(u8::try_from(shared).unwrap_or(0));
        self.bytes.extend_from_slice(key.get(shared..length).unwrap_or_default());
        put(&mut self.bytes, entry.append.last.saturating_sub(last));
        put(&mut self.bytes, entry.append.records);
        put_distance(&mut self.bytes, row, entry.append.row);
        self.before = Some(entry);
    }

    /// The block, and an empty one in its place.
    pub(in crate::store::sqlite) fn take(&mut self) -> Vec<u8> {
        self.before = None;
        seal(std::mem::take(&mut self.bytes))
    }
}

/// Adds the checksum.
pub(in crate::store::sqlite) fn seal(mut bytes: Vec<u8>) -> Vec<u8> {
    let checksum = crc32fast::hash(&bytes).to_le_bytes();
    bytes.extend_from_slice(&checksum);
    bytes
}

/// Checks and takes off the checksum.
pub(in crate::store::sqlite) fn unseal(bytes: &[u8]) -> Result<&[u8]> {
    let (content, stored) = bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or_else(damaged)?;
    if crc32fast::hash(content).to_le_bytes() == *stored { Ok(content) } else { Err(damaged()) }
}

fn damaged() -> Error {
    Error::corrupt("a block of the index was altered after it was written")
        .advice("the log is not concerned: open the store with `rebuild_index` to make the indexes anew")
}

/// A block's entries, in order.
#[derive(Debug)]
pub(in crate::store::sqlite) struct BlockReader<'a> {
    bytes: Bytes<'a>,
    key: [u8; KEY_BYTES],
    before: Option<Entry>,
}

impl<'a> BlockReader<'a> {
    pub(in crate::store::sqlite) fn new(block: &'a [u8]) -> Result<Self> {
        unseal(block).map(Self::checked)
    }

    /// Reads what [`unseal`] left of a block.
    pub(in crate::store::sqlite) fn checked(content: &'a [u8]) -> Self {
        Self { bytes: Bytes(content), key: [0; KEY_BYTES], before: None }
    }

    /// The next entry; `None` at the end.
    pub(in crate::store::sqlite) fn next(&mut self) -> Result<Option<Entry>> {
        if self.bytes.is_empty() {
            return Ok(None);
        }
        let shared = usize::from(self.bytes.byte()?);
        self.read_key(shared)?;
        let key = StreamKey::from_bytes(&self.key);
        let (last, row) = match &self.before {
            Some(before) if before.key == key => (before.append.last, before.append.row),
            Some(before) => (0, before.append.row),
            None => (0, 0),
        };
        let last = self.bytes.number()?.saturating_add(last);
        let append = Append { last, records: self.bytes.number()?, row: self.bytes.distance(row)? };
        let entry = Entry { key, append };
        self.before = Some(entry);
        Ok(Some(entry))
    }

    fn read_key(&mut self, shared: usize) -> Result<()> {
        if shared == 0 {
            self.key = [0; KEY_BYTES];
            self.key[0] = self.bytes.byte()?;
        }
        let from = shared.max(1);
        let length = StreamKey::length(self.key[0]);
        let rest = self.key.get_mut(from..length).ok_or_else(damaged)?;
        rest.copy_from_slice(self.bytes.take(rest.len())?);
        if let Some(unused) = self.key.get_mut(length..) {
            unused.fill(0);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testkit::effort;

    fn entry(family: u8, id: u128, rest: u64, last: u64, row: u64) -> Entry {
        Entry { key: StreamKey { family, id, rest }, append: Append { last, records: 2, row } }
    }

    #[test]
    fn entries_come_back() {
        let entries = [
            entry(0, 7, 0, 1, 900),
            entry(0, 7, 0, 5_000_000_000, 901),
            entry(0, 1 << 120, 0, 3, 5),
            entry(1, 7, 9, 2, u64::MAX >> 2),
            entry(1, 7, 10, 2, 1),
            entry(2, 7, 0, 100, 2),
        ];
        let mut writer = BlockWriter::default();
        entries.iter().for_each(|entry| writer.push(*entry));
        let block = writer.take();
        let mut reader = BlockReader::new(&block).expect("intact");
        for entry in entries {
            assert_eq!(reader.next().expect("stored"), Some(entry));
        }
        assert_eq!(reader.next().expect("stored"), None);
        assert!(writer.is_empty());
    }

    /// The format of stores that exist.
    #[test]
    fn the_bytes_never_change() {
        let mut writer = BlockWriter::default();
        for entry in [entry(0, 7, 0, 1, 900), entry(0, 7, 0, 300, 901), entry(1, 7 << 80, 9, 2, 5)] {
            writer.push(entry);
        }
        let hex: String = writer.take().iter().map(|byte| format!("{byte:02x}")).collect();
        let pinned = "0000000000000000000000000000000000070102880e11ab020202000100000000000700000000000000000000\
            00000000000000090202ff0d164db6d0";
        assert_eq!(hex, pinned, "indexes in people's stores would have to be made anew");
    }

    #[test]
    fn the_largest_entries_fit_into_a_block() {
        let mut writer = BlockWriter::default();
        while writer.has_room() {
            let before = writer.bytes.len();
            writer.push(entry(1, u128::MAX, u64::MAX, u64::MAX, u64::MAX));
            assert!(writer.bytes.len() - before <= ENTRY_BYTES);
            writer.before = Some(entry(0, 0, 0, 0, u64::MAX >> 1));
        }
        assert!(writer.take().len() <= BLOCK_BYTES);
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let mut writer = BlockWriter::default();
        writer.push(entry(1, 7, 9, 2, 77));
        let block = writer.take();
        for bit in 0..block.len() * 8 {
            let mut bad = block.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(BlockReader::new(&bad).expect_err("altered").code(), "corrupt");
        }
    }

    proptest! {
        #![proptest_config(effort::proptest_config(500, "proptest-regressions/index_blocks.txt"))]

        /// Bytes that fit to their checksum, whoever wrote them.
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let block = seal(bytes);
            let mut reader = BlockReader::new(&block).expect("sealed");
            while let Ok(Some(_)) = reader.next() {}
        }
    }
}
