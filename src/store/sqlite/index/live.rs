//! The indexes as they are now, shared by the writer and the readers of one process.

use std::sync::{Arc, PoisonError, RwLock};

use crate::partition::PartitionId;
use crate::store::changes::Changes;
use crate::store::sqlite::index::cache::BlockCache;
use crate::store::sqlite::index::entry::Append;
use crate::store::sqlite::index::outline::{Head, Place, Written};
use crate::store::sqlite::index::run::Run;
use crate::store::sqlite::index::table::{PlacesRead, Table};
use crate::store::stream_key::StreamKey;
use crate::store::{ReadFrom, StreamRead};

/// What does not change any more: runs, and full tables that wait to become runs. The oldest first.
#[derive(Debug, Default)]
pub(in crate::store::sqlite) struct Sealed {
    pub(in crate::store::sqlite) runs: Vec<Arc<Run>>,
    pub(in crate::store::sqlite) tables: Vec<Arc<Table>>,
    /// The row through which the runs cover the log.
    pub(in crate::store::sqlite) flushed: u64,
}

/// The indexes.
#[derive(Debug)]
pub(in crate::store::sqlite) struct Live {
    state: RwLock<State>,
    cache: Arc<BlockCache>,
    changes: Changes,
}

#[derive(Debug)]
struct State {
    active: Table,
    sealed: Arc<Sealed>,
    /// By partition.
    heads: Vec<Head>,
}

/// What the table in use knows of a stream.
#[derive(Debug, Default)]
pub(in crate::store::sqlite) struct Recent {
    /// The stream's last append, where the table has one.
    pub(in crate::store::sqlite) last: Option<Append>,
    /// The snapshot that the read starts at, where the table has it.
    pub(in crate::store::sqlite) snapshot: Option<Append>,
    /// Appends behind the version asked for, or behind that snapshot, or, where the start has to be looked for in
    /// older tables, from the first on.
    pub(in crate::store::sqlite) appends: Vec<Append>,
    /// Whether other appends of the stream stand before them here.
    pub(in crate::store::sqlite) follows_older: bool,
}

impl Recent {
    /// What `table` knows of the stream that `read` asks for.
    pub(in crate::store::sqlite) fn of(table: &Table, key: &StreamKey, read: &StreamRead) -> Self {
        let all = table.appends(key);
        let snapshot = match read.from {
            ReadFrom::After(_) => None,
            ReadFrom::SnapshotBefore(before) => {
                let snapshots = table.appends(&key.snapshots());
                let behind = snapshots.partition_point(|append| append.last < before.get());
                behind.checked_sub(1).and_then(|at| snapshots.get(at)).copied()
            }
        };
        let after = match read.from {
            ReadFrom::After(version) => version.get(),
            ReadFrom::SnapshotBefore(_) => snapshot.map_or(0, |append| append.last),
        };
        let behind = all.partition_point(|append| append.last <= after);
        let appends = all.get(behind..).unwrap_or_default().to_vec();
        Self { last: all.last().copied(), snapshot, appends, follows_older: behind > 0 }
    }
}

impl Live {
    pub(in crate::store::sqlite) fn new(sealed: Sealed, heads: Vec<Head>, cache: Arc<BlockCache>) -> Self {
        let (active, sealed, changes) = (Table::default(), Arc::new(sealed), Changes::new(heads.len()));
        Self { state: RwLock::new(State { active, sealed, heads }), cache, changes }
    }

    /// The blocks that its runs share.
    pub(in crate::store::sqlite) fn cache(&self) -> Arc<BlockCache> {
        Arc::clone(&self.cache)
    }

    /// Takes in what was committed, and how far the logs of its partitions go with it. Readers see all of it at
    /// once.
    pub(in crate::store::sqlite) fn publish(
        &self,
        units: &[Written],
        heads: impl IntoIterator<Item = (PartitionId, Head)>,
    ) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        units.iter().for_each(|unit| state.active.add(unit));
        for (partition, head) in heads {
            if let Some(known) = state.heads.get_mut(usize::from(partition.get())) {
                *known = head;
                self.changes.advance(partition, head.position);
            }
        }
    }

    /// Who waits for the logs to grow.
    pub(in crate::store::sqlite) fn changes(&self) -> &Changes {
        &self.changes
    }

    /// Seals the table in use when it has `full` units. Returns whether it did.
    pub(in crate::store::sqlite) fn seal(&self, full: usize) -> bool {
        if self.read(|state| state.active.units < full) {
            return false;
        }
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let next = state.active.next();
        let table = Arc::new(std::mem::replace(&mut state.active, next));
        let Sealed { runs, tables, flushed } = &*state.sealed;
        let tables = tables.iter().cloned().chain([table]).collect();
        state.sealed = Arc::new(Sealed { runs: runs.clone(), tables, flushed: *flushed });
        true
    }

    /// Changes what is sealed.
    pub(in crate::store::sqlite) fn change(&self, change: impl FnOnce(&Sealed) -> Sealed) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.sealed = Arc::new(change(&state.sealed));
    }

    pub(in crate::store::sqlite) fn sealed(&self) -> Arc<Sealed> {
        self.read(|state| Arc::clone(&state.sealed))
    }

    /// Units in memory that are not in a run yet.
    pub(in crate::store::sqlite) fn unflushed(&self) -> usize {
        self.read(|state| {
            let sealed = state.sealed.tables.iter().map(|table| table.units);
            sealed.fold(state.active.units, usize::saturating_add)
        })
    }

    /// The row of the last unit; 0 where there is none.
    pub(in crate::store::sqlite) fn last_row(&self) -> u64 {
        self.read(|state| {
            let sealed = state.sealed.tables.last().map_or(state.sealed.flushed, |table| table.last_row);
            sealed.max(state.active.last_row)
        })
    }

    /// How far a partition's log goes.
    pub(in crate::store::sqlite) fn head(&self, partition: PartitionId) -> Option<Head> {
        self.read(|state| state.heads.get(usize::from(partition.get())).copied())
    }

    /// The last append to a stream in the tables in memory.
    pub(in crate::store::sqlite) fn last_append(&self, key: &StreamKey) -> Option<Append> {
        self.read(|state| {
            let sealed = state.sealed.tables.iter().rev().map(|table| &**table);
            [&state.active].into_iter().chain(sealed).find_map(|table| table.appends(key).last().copied())
        })
    }

    /// What the table in use knows of some streams, and all that is older, as of one moment.
    pub(in crate::store::sqlite) fn look(
        &self,
        reads: &[(StreamKey, &StreamRead)],
    ) -> (Vec<Recent>, Arc<Sealed>) {
        self.read(|state| {
            let recent = reads.iter().map(|(key, read)| Recent::of(&state.active, key, read)).collect();
            (recent, Arc::clone(&state.sealed))
        })
    }

    /// Which of some streams cannot exist. Of the others nothing is said.
    pub(in crate::store::sqlite) fn absent(&self, keys: &[StreamKey]) -> Vec<bool> {
        let (in_use, sealed) = self.read(|state| {
            let in_use: Vec<_> = keys.iter().map(|key| !state.active.appends(key).is_empty()).collect();
            (in_use, Arc::clone(&state.sealed))
        });
        let elsewhere = |key: &StreamKey| sealed.may_hold(key);
        keys.iter().zip(in_use).map(|(key, in_use)| !in_use && !elsewhere(key)).collect()
    }

    /// Places of units in the table in use, all that is older, and the partition's head, as of one moment.
    pub(in crate::store::sqlite) fn places(&self, read: &PlacesRead<'_>) -> (Vec<Place>, Arc<Sealed>) {
        self.read(|state| {
            let places: &[Place] = state.active.places(read.event_type, read.partition);
            (read.part(places).to_vec(), Arc::clone(&state.sealed))
        })
    }

    fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Sealed {
    /// Whether entries of a key can be here.
    pub(in crate::store::sqlite) fn may_hold(&self, key: &StreamKey) -> bool {
        self.tables.iter().any(|table| !table.appends(key).is_empty())
            || self.runs.iter().any(|run| run.may_hold(key))
    }
}
