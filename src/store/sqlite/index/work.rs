//! What the indexes have the writer write, a short transaction each.

use rusqlite::{Connection, params};

use crate::event::EventType;
use crate::partition::PartitionId;
use crate::store::sqlite::index::merge::Block;
use crate::store::sqlite::index::outline::Head;
use crate::store::sqlite::index::run::{RunRow, block_id};

const ADD_BLOCK: &str = include_str!("../sql/add_block.sql");
const ADD_LIST: &str = include_str!("../sql/add_list.sql");
const ADD_RUN: &str = include_str!("../sql/add_run.sql");
const REMOVE_RUN: &str = include_str!("../sql/remove_run.sql");
const REMOVE_BLOCKS: &str = include_str!("../sql/remove_blocks.sql");
const MOVE_PARTITION: &str = include_str!("../sql/move_partition.sql");
const MOVE_FLUSHED: &str = include_str!("../sql/move_flushed.sql");
const CHANGED: &str = include_str!("../sql/index_changed.sql");

/// A list of units that waits to be written.
#[derive(Debug)]
pub(in crate::store::sqlite) struct ListRow {
    pub(in crate::store::sqlite) event_type: Option<EventType>,
    pub(in crate::store::sqlite) partition: PartitionId,
    pub(in crate::store::sqlite) first_position: u64,
    pub(in crate::store::sqlite) first_row: u64,
    pub(in crate::store::sqlite) body: Vec<u8>,
}

/// How far the runs cover the log from now on.
#[derive(Debug)]
pub(in crate::store::sqlite) struct Flushed {
    pub(in crate::store::sqlite) row: u64,
    pub(in crate::store::sqlite) heads: Vec<(PartitionId, Head)>,
}

/// One transaction.
#[derive(Debug)]
pub(in crate::store::sqlite) enum Work {
    /// Parts of a run that nobody looks at yet.
    Add { blocks: Vec<Block>, lists: Vec<ListRow> },
    /// A run is complete.
    Publish { run: RunRow, flushed: Option<Flushed>, replaces: Vec<u64> },
    /// Blocks of a run that nobody looks at any more.
    Remove { run: u64, from: u64, to: u64 },
}

impl Work {
    /// Writes it, in the transaction that the caller opened.
    pub(in crate::store::sqlite) fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        match self {
            Self::Add { blocks, lists } => {
                let mut statement = connection.prepare_cached(ADD_BLOCK)?;
                blocks.iter().try_for_each(|(id, body)| statement.execute(params![id, body]).map(drop))?;
                lists.iter().try_for_each(|list| list.write(connection))
            }
            Self::Publish { run, flushed, replaces } => {
                add_run(connection, run)?;
                for id in replaces {
                    connection.prepare_cached(REMOVE_RUN)?.execute([id.cast_signed()])?;
                }
                flushed.as_ref().map_or(Ok(()), |flushed| flushed.write(connection))?;
                connection.prepare_cached(CHANGED)?.execute([]).map(drop)
            }
            Self::Remove { run, from, to } => {
                let range = [block_id(*run, *from), block_id(*run, *to)];
                connection.prepare_cached(REMOVE_BLOCKS)?.execute(range).map(drop)
            }
        }
    }
}

impl ListRow {
    fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        let event_type = self.event_type.as_ref().map_or("", EventType::as_str);
        let (position, row) = (self.first_position.cast_signed(), self.first_row.cast_signed());
        let parameters = params![event_type, self.partition.get(), position, row, self.body];
        connection.prepare_cached(ADD_LIST)?.execute(parameters).map(drop)
    }
}

impl Flushed {
    fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        let mut statement = connection.prepare_cached(MOVE_PARTITION)?;
        for (partition, head) in &self.heads {
            let position = head.position.get().cast_signed();
            statement.execute(params![partition.get(), position, head.time.as_micros()])?;
        }
        connection.prepare_cached(MOVE_FLUSHED)?.execute([self.row.cast_signed()]).map(drop)
    }
}

fn add_run(connection: &Connection, run: &RunRow) -> rusqlite::Result<()> {
    let numbers = [
        run.id,
        run.level,
        run.first_row,
        run.last_row,
        run.entry_blocks,
        run.directory_blocks,
        run.filter_blocks,
        run.keys,
    ];
    let mut statement = connection.prepare_cached(ADD_RUN)?;
    for (at, number) in (1..).zip(numbers) {
        statement.raw_bind_parameter(at, number.cast_signed())?;
    }
    statement.raw_bind_parameter(9, run.newest.to_be_bytes())?;
    statement.raw_execute().map(drop)
}
