//! Blocks of runs that were read lately. A block never changes, so what was checked once need not be checked, or
//! asked of SQLite, again: SQLite drops what a reader has cached with each commit of the writer.

use bytes::Bytes;
use quick_cache::sync::Cache;

/// Blocks that are kept: 32 MiB.
const BLOCKS: usize = 8_192;

/// A bounded memory of blocks, by run and number.
#[derive(Debug)]
pub(in crate::store::sqlite) struct BlockCache(Cache<(u64, u64), Bytes>);

impl Default for BlockCache {
    fn default() -> Self {
        Self(Cache::new(BLOCKS))
    }
}

impl BlockCache {
    /// A block's checked content, which `read` gives where it is not in memory.
    pub(in crate::store::sqlite) fn block<E>(
        &self,
        run: u64,
        number: u64,
        read: impl FnOnce() -> Result<Bytes, E>,
    ) -> Result<Bytes, E> {
        if let Some(block) = self.0.get(&(run, number)) {
            return Ok(block);
        }
        let block = read()?;
        self.0.insert((run, number), block.clone());
        Ok(block)
    }
}
