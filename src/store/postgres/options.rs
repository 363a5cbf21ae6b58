//! What a store is opened with.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, SystemClock};
use crate::error::Result;
use crate::partition::PartitionCount;
use crate::store::EventStore;
use crate::store::postgres::address::Address;
use uuid::Uuid;

/// Most connections of one kind that a store may have.
const MOST_CONNECTIONS: usize = 256;

/// How a [`PostgresStore`](crate::store::postgres::PostgresStore) is opened. Durability is no option: a commit waits for
/// the disk, whatever the server's default is.
#[derive(Clone)]
#[must_use]
pub struct Options {
    pub(super) url: String,
    pub(super) partitions: Option<PartitionCount>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) writers: usize,
    pub(super) readers: usize,
    pub(super) patience: Duration,
    pub(super) roots: Option<PathBuf>,
    pub(super) quorum: bool,
    pub(super) notify: bool,
    pub(super) migrate: bool,
    pub(super) roles: bool,
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
    pub(super) fn new(url: String) -> Self {
        Self {
            url,
            partitions: None,
            clock: Arc::new(SystemClock),
            writers: 8,
            readers: 4,
            patience: Duration::from_secs(10),
            roots: None,
            quorum: false,
            notify: false,
            migrate: false,
            roles: false,
            role: Role::Service,
        }
    }

    /// How many partitions a new store gets, 16 if nothing is said. An existing store must have as many.
    pub fn partitions(mut self, count: PartitionCount) -> Self {
        self.partitions = Some(count);
        self
    }

    /// Where the id of a new store comes from. Times come from the database.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// How many connections write, 1 to 256; 8 if nothing is said. Up to half of them append records, for as many
    /// partitions as there are; the others are for rows. Half as many more are opened where partitions are held, or waited
    /// for because somebody keeps them locked: of more locked partitions than these, some wait for a connection.
    pub fn writers(mut self, count: usize) -> Self {
        self.writers = count.clamp(1, MOST_CONNECTIONS);
        self
    }

    /// How many reads run at the same time, 1 to 256; 4 if nothing is said. Each takes a connection.
    pub fn readers(mut self, count: usize) -> Self {
        self.readers = count.clamp(1, MOST_CONNECTIONS);
        self
    }

    /// How long a call waits for a connection, and for a server that takes writes, as in a failover: 10 s if nothing
    /// is said. After that it fails with [`Unavailable`](crate::ErrorKind::Unavailable) and nothing was done.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// A file of root certificates (PEM) to trust instead of this machine's.
    pub fn root_certificates(mut self, path: impl Into<PathBuf>) -> Self {
        self.roots = Some(path.into());
        self
    }

    /// Demands that each commit waits for a quorum of standbys (`synchronous_standby_names`), and shows nothing that
    /// is not on one. A server that waits for no standby is refused, at the start and in each append.
    pub fn require_quorum(mut self, required: bool) -> Self {
        self.quorum = required;
        self
    }

    /// Tells other processes of each append, one notice (`NOTIFY sidestream`) a batch and inside its transaction, and hears
    /// of theirs on a connection of its own; off if nothing is said. It wakes followers of the log sooner than polling
    /// does, and is a hint only: they poll besides. PostgreSQL commits transactions with notices one after the other, all
    /// databases of a server together, the wait for a quorum included: leave it off where many partitions are written to
    /// at once or a quorum is required.
    pub fn notify(mut self, notify: bool) -> Self {
        self.notify = notify;
        self
    }

    /// Makes the schema, or brings it up to date, when the store is opened; otherwise that is left to
    /// [`migrate`](Self::run_migrations), so that a service's user needs no right to it.
    pub fn migrate(mut self, migrate: bool) -> Self {
        self.migrate = migrate;
        self
    }

    /// Makes, with each migration, the group roles `sidestream_reader`, `sidestream_writer` and `sidestream_compactor`,
    /// and gives them what they need and no more; nobody else keeps a right to the schema, its owner apart.
    pub fn roles(mut self, roles: bool) -> Self {
        self.roles = roles;
        self
    }

    /// Opens the store as the source of a move: also one that was sealed by it. Appends stay refused then.
    pub fn as_source(mut self) -> Self {
        self.role = Role::Source;
        self
    }

    /// Opens the store as the target of a move: a new one, whose schema is made where it is missing, with the source's
    /// id and partitions; or a copy of it that was cut short. Any other store is refused.
    pub fn as_copy_of<S: EventStore + ?Sized>(mut self, source: &S) -> Self {
        let properties = source.properties();
        self.role = Role::CopyOf(properties.id);
        self.partitions = Some(properties.partitions);
        self
    }

    /// Where the database is, as people may read it: without user and password.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when the address cannot be read.
    pub fn place(&self) -> Result<String> {
        Ok(self.address()?.place())
    }

    pub(super) fn address(&self) -> Result<Address> {
        Address::parse(&self.url, self.roots.as_deref())
    }
}

/// Without the address: it may hold a password.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("partitions", &self.partitions)
            .field("writers", &self.writers)
            .field("readers", &self.readers)
            .field("patience", &self.patience)
            .field("roots", &self.roots)
            .field("quorum", &self.quorum)
            .field("notify", &self.notify)
            .field("migrate", &self.migrate)
            .field("roles", &self.roles)
            .finish_non_exhaustive()
    }
}
