//! Writing runs: from a full table, and from several runs.

use std::sync::Arc;

use rusqlite::Connection;

use crate::error::Result;
use crate::store::sqlite::index::block::{BLOCK_BYTES, BlockWriter, seal};
use crate::store::sqlite::index::cache::BlockCache;
use crate::store::sqlite::index::entry::{Append, Entry};
use crate::store::sqlite::index::filter::Filter;
use crate::store::sqlite::index::run::{Run, RunReader, RunRow, block_id};
use crate::store::stream_key::StreamKey;

/// Bytes of a filter in one block.
const FILTER_PART: usize = BLOCK_BYTES - 8;

/// A block's id and content.
pub(in crate::store::sqlite) type Block = (i64, Vec<u8>);

/// Takes sorted entries and makes a run of them.
#[derive(Debug)]
pub(in crate::store::sqlite) struct RunWriter {
    row: RunRow,
    block: BlockWriter,
    directory: Vec<(StreamKey, u64)>,
    filter: Filter,
    before: Option<StreamKey>,
    ready: Vec<Block>,
}

impl RunWriter {
    pub(in crate::store::sqlite) fn new(id: u64, level: u64, rows: (u64, u64), keys: u64) -> Self {
        let row = RunRow {
            id,
            level,
            first_row: rows.0,
            last_row: rows.1,
            entry_blocks: 0,
            directory_blocks: 0,
            filter_blocks: 0,
            keys,
            newest: 0,
        };
        let filter = Filter::for_keys(usize::try_from(keys).unwrap_or(usize::MAX));
        Self {
            row,
            block: BlockWriter::default(),
            directory: Vec::new(),
            filter,
            before: None,
            ready: Vec::new(),
        }
    }

    pub(in crate::store::sqlite) fn push(&mut self, entry: Entry) {
        if self.before != Some(entry.key) {
            self.filter.add(&entry.key);
            if entry.key.is_side() {
                self.row.newest = self.row.newest.max(entry.key.id);
            }
            self.before = Some(entry.key);
        }
        if self.block.is_empty() {
            self.directory.push(entry.order());
        }
        self.block.push(entry);
        if !self.block.has_room() {
            self.end_block();
        }
    }

    fn end_block(&mut self) {
        let bytes = self.block.take();
        self.add(bytes);
        self.row.entry_blocks = self.row.entry_blocks.saturating_add(1);
    }

    fn add(&mut self, bytes: Vec<u8>) {
        let number = self.row.blocks();
        self.ready.push((block_id(self.row.id, number), bytes));
    }

    /// The blocks that are finished.
    pub(in crate::store::sqlite) fn take(&mut self) -> Vec<Block> {
        std::mem::take(&mut self.ready)
    }

    pub(in crate::store::sqlite) fn blocks_ready(&self) -> usize {
        self.ready.len()
    }

    /// The run, and the blocks that were not taken yet.
    pub(in crate::store::sqlite) fn finish(mut self, cache: Arc<BlockCache>) -> (Arc<Run>, Vec<Block>) {
        if !self.block.is_empty() {
            self.end_block();
        }
        for (number, first) in (0..).zip(std::mem::take(&mut self.directory)) {
            let append = Append { last: first.1, records: 0, row: number };
            self.block.push(Entry::new(first.0, append));
            self.directory.push(first);
            if !self.block.has_room() {
                self.end_directory_block();
            }
        }
        if !self.block.is_empty() {
            self.end_directory_block();
        }
        for part in self.filter.to_bytes().chunks(FILTER_PART) {
            self.add(seal(part.to_vec()));
            self.row.filter_blocks = self.row.filter_blocks.saturating_add(1);
        }
        (Arc::new(Run::new(self.row, self.directory, self.filter, cache)), self.ready)
    }

    fn end_directory_block(&mut self) {
        let bytes = self.block.take();
        self.add(bytes);
        self.row.directory_blocks = self.row.directory_blocks.saturating_add(1);
    }
}

/// Several neighbouring runs on their way into one.
#[derive(Debug)]
pub(in crate::store::sqlite) struct Merge {
    inputs: Vec<RunReader>,
    output: RunWriter,
    replaces: Vec<u64>,
}

impl Merge {
    /// Begins to merge runs, given the oldest first, into the run `id`.
    pub(in crate::store::sqlite) fn new(id: u64, runs: &[Arc<Run>]) -> Self {
        let level = runs.iter().map(|run| run.row.level).max().unwrap_or(0).saturating_add(1);
        let first = runs.first().map_or(0, |run| run.row.first_row);
        let last = runs.last().map_or(0, |run| run.row.last_row);
        let keys = runs.iter().fold(0_u64, |sum, run| sum.saturating_add(run.row.keys));
        Self {
            inputs: runs.iter().map(|run| RunReader::new(run.row)).collect(),
            output: RunWriter::new(id, level, (first, last), keys),
            replaces: runs.iter().map(|run| run.row.id).collect(),
        }
    }

    /// What was written so far.
    pub(in crate::store::sqlite) fn row(&self) -> RunRow {
        self.output.row
    }

    /// Goes on until `most` blocks are ready; `None` when all is merged.
    pub(in crate::store::sqlite) fn step(
        &mut self,
        connection: &Connection,
        most: usize,
    ) -> Result<Option<Vec<Block>>> {
        while self.output.blocks_ready() < most {
            let mut least: Option<(Entry, usize)> = None;
            for (at, input) in self.inputs.iter_mut().enumerate() {
                if let Some(entry) = input.peek(connection)?
                    && least.is_none_or(|(least, _)| entry.order() < least.order())
                {
                    least = Some((entry, at));
                }
            }
            let Some((entry, at)) = least else { return Ok(None) };
            if let Some(input) = self.inputs.get_mut(at) {
                input.pop();
            }
            self.output.push(entry);
        }
        Ok(Some(self.output.take()))
    }

    /// The run, the blocks that are left, and the runs in whose place it comes.
    pub(in crate::store::sqlite) fn finish(self, cache: Arc<BlockCache>) -> (Arc<Run>, Vec<Block>, Vec<u64>) {
        let (run, blocks) = self.output.finish(cache);
        (run, blocks, self.replaces)
    }
}
