//! Who keeps the indexes small: makes runs of full tables, merges runs, and removes what was merged.
//!
//! It is a plain state machine: each step gives one short piece of [`Work`] for the writer, and goes on when
//! that is durable. Commits wait for one piece at most. A thread drives it in a service, a simulation
//! drives it inline.

use std::collections::VecDeque;
use std::sync::Arc;

use rusqlite::Connection;

use crate::error::Result;
use crate::store::sqlite::index::cache::BlockCache;
use crate::store::sqlite::index::live::{Live, Sealed};
use crate::store::sqlite::index::merge::{Block, Merge, RunWriter};
use crate::store::sqlite::index::places;
use crate::store::sqlite::index::run::Run;
use crate::store::sqlite::index::table::Table;
use crate::store::sqlite::index::work::{Flushed, ListRow, Work};

/// Runs of one level that are merged into one of the next.
const FAN: usize = 8;
/// Blocks of one piece of work: half a megabyte, about two milliseconds.
const SLICE_BLOCKS: usize = 128;
/// Bytes of lists in one piece of work.
const SLICE_LIST_BYTES: usize = 256 << 10;

/// A run whose parts are being written.
#[derive(Debug)]
struct Pending {
    run: Arc<Run>,
    blocks: VecDeque<Block>,
    lists: VecDeque<ListRow>,
    /// The table that it was made of.
    table: Option<Arc<Table>>,
    /// The runs in whose place it comes.
    replaces: Vec<u64>,
}

/// Blocks that are being removed.
#[derive(Debug)]
struct Garbage {
    run: u64,
    blocks: u64,
    removed: u64,
    /// Readers may still look at it while they hold it, too.
    held: Option<Arc<Run>>,
}

/// What the piece of work that was given last belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Idle,
    AddTable,
    PublishTable,
    AddMerge,
    PublishMerge,
    Remove,
}

#[derive(Debug)]
pub(in crate::store::sqlite) struct Keeper {
    live: Arc<Live>,
    next_run: u64,
    table: Option<Pending>,
    merge: Option<Merge>,
    merged: Option<Pending>,
    garbage: VecDeque<Garbage>,
    stage: Stage,
}

impl Keeper {
    pub(in crate::store::sqlite) fn new(live: Arc<Live>, next_run: u64) -> Self {
        let (table, merge, merged, garbage) = (None, None, None, VecDeque::new());
        Self { live, next_run, table, merge, merged, garbage, stage: Stage::Idle }
    }

    /// The next piece of work; `None` when there is nothing to do. Each piece must be written, in full, before
    /// [`done`](Self::done) is called, or [`failed`](Self::failed).
    pub(in crate::store::sqlite) fn step(&mut self, connection: &Connection) -> Result<Option<Work>> {
        let work = match self.table_work() {
            Some(work) => Some(work),
            None => match self.merge_work(connection)? {
                Some(work) => Some(work),
                None => self.garbage_work(),
            },
        };
        if work.is_none() {
            self.stage = Stage::Idle;
        }
        Ok(work)
    }

    /// Whether blocks wait to be removed until their last reader lets go of them.
    pub(in crate::store::sqlite) fn waits_for_readers(&self) -> bool {
        !self.garbage.is_empty()
    }

    /// Full tables come first: they take up memory.
    fn table_work(&mut self) -> Option<Work> {
        if self.table.is_none() {
            let table = self.live.sealed().tables.first().cloned()?;
            let id = self.new_run();
            self.table = Some(Pending::of_table(id, table, self.live.cache()));
        }
        let pending = self.table.as_mut()?;
        let (work, stage) = match pending.slice() {
            Some(work) => (work, Stage::AddTable),
            None => (pending.publication(), Stage::PublishTable),
        };
        self.stage = stage;
        Some(work)
    }

    fn merge_work(&mut self, connection: &Connection) -> Result<Option<Work>> {
        if self.merge.is_none() && self.merged.is_none() {
            let Some(runs) = mergeable(&self.live.sealed()) else { return Ok(None) };
            self.merge = Some(Merge::new(self.new_run(), &runs));
        }
        if let Some(merge) = &mut self.merge {
            if let Some(blocks) = merge.step(connection, SLICE_BLOCKS)? {
                self.stage = Stage::AddMerge;
                return Ok(Some(Work::Add { blocks, lists: Vec::new() }));
            }
            self.merged = self.merge.take().map(|merge| Pending::of_merge(merge, self.live.cache()));
        }
        Ok(self.merged.as_mut().map(|pending| {
            let (work, stage) = match pending.slice() {
                Some(work) => (work, Stage::AddMerge),
                None => (pending.publication(), Stage::PublishMerge),
            };
            self.stage = stage;
            work
        }))
    }

    fn garbage_work(&mut self) -> Option<Work> {
        let free = |garbage: &Garbage| garbage.held.as_ref().is_none_or(|run| Arc::strong_count(run) == 1);
        let at = self.garbage.iter().position(free)?;
        self.garbage.swap(0, at);
        let garbage = self.garbage.front()?;
        let to = garbage.removed.saturating_add(u64::try_from(SLICE_BLOCKS).unwrap_or(u64::MAX));
        self.stage = Stage::Remove;
        Some(Work::Remove { run: garbage.run, from: garbage.removed, to })
    }

    /// The last piece of work is durable.
    pub(in crate::store::sqlite) fn done(&mut self) {
        match self.stage {
            Stage::PublishTable => {
                if let Some(pending) = self.table.take() {
                    self.live.change(|sealed| pending.with_run(sealed));
                }
            }
            Stage::PublishMerge => {
                if let Some(pending) = self.merged.take() {
                    let before = self.live.sealed();
                    self.live.change(|sealed| pending.with_run(sealed));
                    let replaced = before.runs.iter().filter(|run| pending.replaces.contains(&run.row.id));
                    self.garbage.extend(replaced.map(|run| Garbage {
                        run: run.row.id,
                        blocks: run.row.blocks(),
                        removed: 0,
                        held: Some(Arc::clone(run)),
                    }));
                }
            }
            Stage::Remove => {
                let slice = u64::try_from(SLICE_BLOCKS).unwrap_or(u64::MAX);
                if let Some(garbage) = self.garbage.front_mut() {
                    garbage.removed = garbage.removed.saturating_add(slice);
                }
                self.garbage.retain(|garbage| garbage.removed < garbage.blocks);
            }
            Stage::Idle | Stage::AddTable | Stage::AddMerge => {}
        }
    }

    /// The last piece of work was not written. What was begun is begun anew, under another number.
    pub(in crate::store::sqlite) fn failed(&mut self) {
        let begun = match self.stage {
            Stage::AddTable | Stage::PublishTable => self.table.take().map(|pending| pending.run.row),
            Stage::AddMerge | Stage::PublishMerge => {
                let merging = self.merge.take().map(|merge| merge.row());
                merging.or(self.merged.take().map(|pending| pending.run.row))
            }
            Stage::Idle | Stage::Remove => None,
        };
        self.garbage.extend(begun.map(|row| Garbage {
            run: row.id,
            blocks: row.blocks(),
            removed: 0,
            held: None,
        }));
    }

    fn new_run(&mut self) -> u64 {
        let id = self.next_run;
        self.next_run = self.next_run.saturating_add(1);
        id
    }
}

/// The oldest neighbouring runs of one level, when there are enough of them.
fn mergeable(sealed: &Sealed) -> Option<Vec<Arc<Run>>> {
    let same_level = |one: &Arc<Run>, other: &Arc<Run>| one.row.level == other.row.level;
    let of_level = sealed.runs.chunk_by(same_level).find(|runs| runs.len() >= FAN)?;
    Some(of_level.iter().take(FAN).cloned().collect())
}

impl Pending {
    fn of_table(id: u64, table: Arc<Table>, cache: Arc<BlockCache>) -> Self {
        let keys = u64::try_from(table.keys()).unwrap_or(u64::MAX);
        let mut writer = RunWriter::new(id, 0, (table.first_row, table.last_row), keys);
        table.entries().into_iter().for_each(|entry| writer.push(entry));
        let mut blocks = writer.take();
        let (run, last) = writer.finish(cache);
        blocks.extend(last);
        let lists = table.lists().filter_map(|(event_type, partition, places)| {
            let first = places.first()?;
            Some(ListRow {
                event_type: event_type.cloned(),
                partition,
                first_position: first.position,
                first_row: first.row,
                body: places::encode(places),
            })
        });
        let lists = lists.collect();
        Self { run, blocks: blocks.into(), lists, table: Some(table), replaces: Vec::new() }
    }

    fn of_merge(merge: Merge, cache: Arc<BlockCache>) -> Self {
        let (run, blocks, replaces) = merge.finish(cache);
        Self { run, blocks: blocks.into(), lists: VecDeque::new(), table: None, replaces }
    }

    /// The next parts that are not written yet.
    fn slice(&mut self) -> Option<Work> {
        if self.blocks.is_empty() && self.lists.is_empty() {
            return None;
        }
        let count = self.blocks.len().min(SLICE_BLOCKS);
        let blocks: Vec<_> = self.blocks.drain(..count).collect();
        let mut lists = Vec::new();
        let mut bytes = 0_usize;
        while blocks.is_empty() && bytes < SLICE_LIST_BYTES {
            let Some(list) = self.lists.pop_front() else { break };
            bytes = bytes.saturating_add(list.body.len()).saturating_add(64);
            lists.push(list);
        }
        Some(Work::Add { blocks, lists })
    }

    fn publication(&self) -> Work {
        let flushed =
            self.table.as_ref().map(|table| Flushed { row: table.last_row, heads: table.heads().collect() });
        Work::Publish { run: self.run.row, flushed, replaces: self.replaces.clone() }
    }

    /// What is sealed once the run is published.
    fn with_run(&self, sealed: &Sealed) -> Sealed {
        let Sealed { runs, tables, flushed } = sealed;
        let mut runs: Vec<_> =
            runs.iter().filter(|run| !self.replaces.contains(&run.row.id)).cloned().collect();
        let at = runs.partition_point(|run| run.row.last_row < self.run.row.last_row);
        runs.insert(at, Arc::clone(&self.run));
        let made_of = |table: &&Arc<Table>| self.table.as_ref().is_some_and(|made| Arc::ptr_eq(made, table));
        let tables = tables.iter().filter(|table| !made_of(table)).cloned().collect();
        let flushed = self.table.as_ref().map_or(*flushed, |table| table.last_row);
        Sealed { runs, tables, flushed }
    }
}
