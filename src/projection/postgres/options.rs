//! What a view is opened with.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::error::Result;
use crate::projection::postgres::failure::failed;
use crate::projection::postgres::schema::SCHEMA;
use crate::store::postgres::{Address, Session, connecting};

/// Most connections that a view may have.
const MOST_CONNECTIONS: usize = 256;

/// How a [`PostgresView`](super::PostgresView) is opened. Durability is no option: a commit waits for the disk, whatever
/// the server's default is.
#[derive(Clone)]
#[must_use]
pub struct Options {
    url: String,
    roots: Option<PathBuf>,
    pub(super) connections: usize,
    pub(super) patience: Duration,
    pub(super) quorum: bool,
    pub(super) migrate: bool,
}

impl Options {
    pub(super) fn new(url: String) -> Self {
        let patience = Duration::from_secs(10);
        Self { url, roots: None, connections: 4, patience, quorum: false, migrate: false }
    }

    /// How many places are worked on at the same time, 1 to 256; 4 if nothing is said. Each takes a connection and, while
    /// its handlers run, a thread. Further ones wait for their turn.
    pub fn connections(mut self, count: usize) -> Self {
        self.connections = count.clamp(1, MOST_CONNECTIONS);
        self
    }

    /// How long a call waits for a connection, and for a server that takes writes, as in a failover: 10 s if nothing is
    /// said. After that it fails with [`Unavailable`](crate::ErrorKind::Unavailable), and its runner tries again.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// A file of root certificates (PEM) to trust instead of this machine's.
    pub fn root_certificates(mut self, path: impl Into<PathBuf>) -> Self {
        self.roots = Some(path.into());
        self
    }

    /// Demands that each commit waits for a quorum of standbys (`synchronous_standby_names`), so that no failover takes
    /// the view back. A server that waits for no standby is refused, at the start and in each transaction. A view in a
    /// database of its own may do without: after a failover it goes on from where it then stands.
    pub fn require_quorum(mut self, required: bool) -> Self {
        self.quorum = required;
        self
    }

    /// Makes the schema `sidestream_view`, or brings it up to date, when the view is opened; otherwise that is left to
    /// [`run_migrations`](Self::run_migrations), so that a service's user needs no right to it.
    pub fn migrate(mut self, migrate: bool) -> Self {
        self.migrate = migrate;
        self
    }

    /// Makes the schema, or brings it up to date, and says how many steps that took. Several at once wait for each other.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when the user may not make a schema, or it is newer than this program;
    /// [`Unavailable`](crate::ErrorKind::Unavailable) when the server cannot be reached. Nothing is changed then.
    pub async fn run_migrations(&self) -> Result<usize> {
        let session = Session::open(&self.address()?).await.map_err(connecting)?;
        let fail = |source| failed("migrating a view's schema", source);
        session.execute("BEGIN").await.map_err(fail)?;
        let steps = SCHEMA.bring_up_to_date(&session).await?;
        session.execute("COMMIT").await.map_err(fail)?;
        Ok(steps.len())
    }

    pub(super) fn address(&self) -> Result<Address> {
        Address::parse(&self.url, self.roots.as_deref())
    }
}

/// Without the address: it may hold a password.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("connections", &self.connections)
            .field("patience", &self.patience)
            .field("quorum", &self.quorum)
            .field("migrate", &self.migrate)
            .finish_non_exhaustive()
    }
}
