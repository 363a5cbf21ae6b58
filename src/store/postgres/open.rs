//! Opening a store: who it is, and whether the server keeps what it takes.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use crate::error::{Error, ErrorKind, Result};
use crate::store::changes::Changes;
use crate::store::heads::Heads;
use crate::store::postgres::PostgresStore;
use crate::store::postgres::failure;
use crate::store::postgres::gathered::Gathered;
use crate::store::postgres::identity::properties;
use crate::store::postgres::listener::Listener;
use crate::store::postgres::mark;
use crate::store::postgres::migrations;
use crate::store::postgres::options::{Options, Role};
use crate::store::postgres::pool::Pool;
use crate::store::postgres::quorum::Confirmed;
use crate::store::postgres::session::Session;
use crate::store::postgres::shared::Core;
use crate::store::postgres::types::column;
use crate::store::postgres::waiting::Waiting;

const SERVER: &str = include_str!("sql/server.sql");

/// The oldest server that the statements are written for.
const OLDEST: i32 = 150_000;

impl PostgresStore {
    /// Begins to open a store at a URL: `postgres://user:password@host:5432/database`, several hosts with commas
    /// between.
    pub fn builder(url: impl Into<String>) -> Options {
        Options::new(url.into())
    }

    /// Opens a store whose schema is there.
    ///
    /// # Errors
    /// As [`Options::open`].
    pub async fn open(url: impl Into<String>) -> Result<Self> {
        Self::builder(url).open().await
    }
}

impl Options {
    /// Opens the store.
    ///
    /// # Errors
    /// `Invalid` when the address, the rights, the schema or the number of partitions do not fit; `Unavailable` when
    /// no server that takes writes is found.
    pub async fn open(self) -> Result<PostgresStore> {
        open(self).await
    }
}

async fn open(options: Options) -> Result<PostgresStore> {
    let address = options.address()?;
    let readers = Pool::new(address.clone(), options.readers, options.patience)?;
    let session = readers.session().await?;
    check_server(&session, options.quorum).await?;
    let is_new_copy = matches!(options.role, Role::CopyOf(_)) && !migrations::is_there(&session).await?;
    if options.migrate || is_new_copy {
        options.run_migrations().await?;
    }
    migrations::SCHEMA.demand(&session).await?;
    let mut properties = properties(&session, options.partitions).await?;
    mark::adopt(&session, &options, properties.id).await?;
    if let Role::CopyOf(id) = options.role {
        properties.id = id;
    }
    mark::demand(&session, options.role).await?;
    drop(session);
    let changes = Arc::new(Changes::new(usize::from(properties.partitions.get())));
    let listener = options.notify.then(|| Listener::start(address.clone(), Arc::clone(&changes)));
    let half = options.writers.div_ceil(2);
    let core = Core {
        properties,
        writers: Pool::new(address.clone(), options.writers, options.patience)?,
        holders: Pool::new(address, half, options.patience)?,
        readers,
        quorum: options.quorum,
        confirmed: Confirmed::new(properties.partitions),
        changes,
        listener,
        commits: AtomicU64::new(0),
        // The other half is for rows.
        lists: Waiting::new(half),
        heads: Mutex::new(Heads::default()),
        reads: Arc::new(Gathered::new(options.readers)),
    };
    Ok(PostgresStore::of(Arc::new(core)))
}

pub(crate) async fn check_server(session: &Session, quorum: bool) -> Result<()> {
    let rows = session.query(SERVER, &[]).await;
    let rows = rows.map_err(|source| failure::of("asking the server for its settings", source))?;
    let row = rows.first().ok_or_else(|| Error::corrupt("the server told no settings"))?;
    let (version, is_standby, is_durable): (i32, bool, bool) =
        (column(row, 0)?, column(row, 1)?, column(row, 2)?);
    let (standbys, encoding): (String, String) = (column(row, 3)?, column(row, 4)?);
    if version < OLDEST {
        return Err(
            Error::invalid("the PostgreSQL server is too old").expected("15 or later", version / 10_000)
        );
    }
    if is_standby {
        return Err(Error::new(ErrorKind::Unavailable, "the server is a standby and takes no writes")
            .advice("list all hosts in the address: the one that takes writes is found"));
    }
    if encoding != "UTF8" {
        return Err(Error::invalid("the database has another encoding")
            .expected("UTF8", encoding)
            .advice("create the database with ENCODING 'UTF8'"));
    }
    if !is_durable {
        return Err(Error::invalid("the server does not keep what it acknowledged through a power cut")
            .expected("fsync = on and full_page_writes = on", "off")
            .advice("set both to on in postgresql.conf and reload"));
    }
    if quorum && standbys.is_empty() {
        return Err(Error::invalid("a quorum is required, and the server waits for no standby")
            .expected("synchronous_standby_names = 'ANY 1 (…)'", "an empty one")
            .advice("set it on the server and reload, or do not require a quorum"));
    }
    Ok(())
}
