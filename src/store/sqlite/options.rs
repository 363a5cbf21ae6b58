//! What a store is opened with.

use std::path::PathBuf;
use std::sync::Arc;

use crate::clock::{Clock, SystemClock};
use crate::partition::PartitionCount;
use crate::store::EventStore;
use crate::store::sqlite::checkpoint::WalLimits;
use crate::store::sqlite::fatal::{Abort, FatalHandler};
use uuid::Uuid;

/// How a [`SqliteStore`](crate::store::sqlite::SqliteStore) is opened. Durability is no option: every commit is synced.
#[derive(Debug, Clone)]
#[must_use]
pub struct Options {
    pub(super) path: PathBuf,
    pub(super) partitions: Option<PartitionCount>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) readers: usize,
    pub(super) fatal: Arc<dyn FatalHandler>,
    pub(super) wal: WalLimits,
    pub(super) most_pages: Option<u32>,
    pub(super) flush_after: usize,
    pub(super) rebuild_index: bool,
    pub(super) role: Role,
}

/// What the store is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// For use.
    Service,
    /// To be moved.
    Source,
    /// To be moved into: the id that it has, or gets.
    CopyOf(Uuid),
}

impl Options {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            partitions: None,
            clock: Arc::new(SystemClock),
            readers: 2,
            fatal: Arc::new(Abort),
            wal: WalLimits::default(),
            most_pages: None,
            flush_after: 1 << 16,
            rebuild_index: false,
            role: Role::Service,
        }
    }

    /// How many partitions a new store gets, 16 if nothing is said. An existing store must have as many.
    pub fn partitions(mut self, count: PartitionCount) -> Self {
        self.partitions = Some(count);
        self
    }

    /// Where times and the store's id come from.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// How many reads run at the same time, 1 to 64; 2 if nothing is said.
    pub fn readers(mut self, count: usize) -> Self {
        self.readers = count.clamp(1, 64);
        self
    }

    /// Who is called when the store has to stop for good. The default logs and aborts the process.
    pub fn fatal(mut self, handler: Arc<dyn FatalHandler>) -> Self {
        self.fatal = handler;
        self
    }

    /// How large the write-ahead log may grow.
    pub fn wal_limits(mut self, limits: WalLimits) -> Self {
        self.wal = limits;
        self
    }

    /// Most pages of 4 KiB that the database may have: appends beyond are refused as on a full disk.
    pub fn most_pages(mut self, pages: u32) -> Self {
        self.most_pages = Some(pages);
        self
    }

    /// After how many units the indexes in memory are written, 65,536 if nothing is said: about 20 MB, of which
    /// there can be a few. Fewer take less memory and make the next start after a crash shorter, at the price of
    /// more merging.
    pub fn flush_after(mut self, units: usize) -> Self {
        self.flush_after = units.clamp(1, 1 << 20);
        self
    }

    /// Opens a store that is there as the source of a move: also one that was sealed by it. Appends stay refused then.
    pub fn as_source(mut self) -> Self {
        self.role = Role::Source;
        self
    }

    /// Opens the store as the target of a move: a new one with the source's id and partitions, or a copy of it that
    /// was cut short. Any other store is refused.
    pub fn as_copy_of<S: EventStore + ?Sized>(mut self, source: &S) -> Self {
        let properties = source.properties();
        self.role = Role::CopyOf(properties.id);
        self.partitions = Some(properties.partitions);
        self
    }

    /// Throws the stored indexes away and makes them anew from the log, which takes some microseconds a record.
    /// It is the way out when a block of them was damaged.
    pub fn rebuild_index(mut self, rebuild: bool) -> Self {
        self.rebuild_index = rebuild;
        self
    }
}
