//! Opening a store, in an order in which nothing is changed before everything is checked.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, params};
use tokio::sync::{Semaphore, mpsc};

use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::partition::PartitionCount;
use crate::store::sqlite::checkpointer::Checkpointer;
use crate::store::sqlite::index::follow::Follower;
use crate::store::sqlite::index::keeper::Keeper;
use crate::store::sqlite::index::start as index_start;
use crate::store::sqlite::keeping::{self, Keeping};
use crate::store::sqlite::lock::WriterLock;
use crate::store::sqlite::options::{Options, Role};
use crate::store::sqlite::pool::Pool;
use crate::store::sqlite::reader::{Index, Reader};
use crate::store::sqlite::recovery::{self, LastStop};
use crate::store::sqlite::status::Shared;
use crate::store::sqlite::store::{Core, QUEUE_KIB, QUEUE_LISTS, SqliteStore};
use crate::store::sqlite::upkeep::Upkeep;
use crate::store::sqlite::worker::Worker;
use crate::store::sqlite::writer::{self, Writer};
use crate::store::sqlite::{closed, failure, files, integrity, lock, mark, migrations, settings};
use crate::store::transfer::Mark;
use crate::store::{Atomicity, LogScope, StoreProperties};
use uuid::Uuid;

impl SqliteStore {
    /// Opens the store at `path`, and makes it where there is none. It blocks: the files are read and
    /// synced, the whole write-ahead log too after an unclean stop.
    ///
    /// # Errors
    /// As [`Options::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::builder(path).open()
    }

    /// Options to open the store at `path` with.
    pub fn builder(path: impl AsRef<Path>) -> Options {
        Options::new(path.as_ref().to_owned())
    }

    /// Opens the store at `path` for reading, beside the process that writes to it.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) when there is no store; [`Unavailable`](ErrorKind::Unavailable)
    /// after an unclean stop that no writer has recovered from yet.
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Self> {
        read_only(&Options::new(PathBuf::from(path.as_ref())))
    }
}

impl Options {
    /// Opens the store, and makes it where there is none.
    ///
    /// # Errors
    /// - [`Fenced`](crate::ErrorKind::Fenced) when the store has a writer already;
    /// - [`Invalid`](crate::ErrorKind::Invalid) when the file is no store, has a schema that this program
    ///   does not know or another number of partitions, or lies on a network file system;
    /// - [`Corrupt`](crate::ErrorKind::Corrupt) when commits that were acknowledged cannot be read.
    ///
    /// None of these changes the file.
    pub fn open(self) -> Result<SqliteStore> {
        store(self)
    }
}

/// Opens a store for writing.
fn store(options: Options) -> Result<SqliteStore> {
    settings::check_library()?;
    let path = options.path.clone();
    files::make_directory(&path)?;
    files::refuse_network(&path)?;
    let lock = WriterLock::take(&path)?;
    let last_stop = prepare(&options)?;
    let (connection, properties) = open_writer(&options, None)?;
    writer::open_epoch(&connection)?;
    let (writer, keeper) = open_index(&options, connection, properties)?;
    let live = Arc::clone(writer.live());
    let readers = open_readers(&options, properties.partitions, || Index::Shared(Arc::clone(&live)))?;
    let status = Shared::default();
    let found = settings::read_all(writer.connection())?;
    status.change(|status| status.settings = found);
    let check = (last_stop == LastStop::Unclean)
        .then(|| integrity::check_in_background(&path, status.clone()))
        .transpose()?;
    let core = Core { path, properties, clock: Arc::clone(&options.clock), pool: Pool::new(readers), status };
    start(core, &options, (writer, keeper), lock, check)
}

/// Loads the indexes and reads the log's tail behind them. Indexes that cannot be read are made anew.
pub(super) fn open_index(
    options: &Options,
    connection: Connection,
    properties: StoreProperties,
) -> Result<(Writer, Keeper)> {
    // Before the reset, so that the numbers of runs go on: a reader in another process may know the old ones.
    let next_run = index_start::clean(&connection)?;
    if options.rebuild_index {
        index_start::reset(&connection)?;
    }
    let loaded = index_start::load(&connection, properties.partitions, &[], Default::default());
    let live = loaded.or_else(|error| {
        if error.kind() != ErrorKind::Corrupt {
            return Err(error);
        }
        tracing::error!(%error, "sqlite: the stored indexes are damaged; they are made anew from the log");
        index_start::reset(&connection)?;
        index_start::load(&connection, properties.partitions, &[], Default::default())
    })?;
    let live = Arc::new(live);
    let mut keeper = Keeper::new(Arc::clone(&live), next_run);
    let mark = mark::read(&connection)?;
    let mut writer = Writer::new(connection, properties, Arc::clone(&options.clock), Arc::clone(&live));
    writer.set_mark(mark);
    while index_start::read_on(writer.connection(), &live)? {
        keeping::catch_up(&mut keeper, &mut writer, options.flush_after)?;
    }
    closed::load(writer.connection(), &live, properties.partitions)?;
    Ok((writer, keeper))
}

/// Opens a store that another process may be writing to.
fn read_only(options: &Options) -> Result<SqliteStore> {
    settings::check_library()?;
    if files::size(&options.path)? == 0 {
        return Err(no_store(&options.path));
    }
    files::refuse_network(&options.path)?;
    refuse_unrecovered(&options.path)?;
    probe(&options.path)?;
    let connection = settings::open_reader(&options.path)?;
    let lacking = migrations::check(&connection)?;
    let properties = check_properties(&connection, options)?;
    // What was moved may still be read; what is half there may not.
    if lacking == 0 && mark::read(&connection)? == Mark::Copying {
        return Mark::Copying.refuses_appends().map_or_else(|| Err(no_store(&options.path)), Err);
    }
    drop(connection);
    let readers = open_readers(options, properties.partitions, || {
        Index::Followed(Follower::new(properties.partitions))
    })?;
    let pool = Pool::new(readers);
    let clock = Arc::clone(&options.clock);
    Ok(SqliteStore::reading(Core {
        path: options.path.clone(),
        properties,
        clock,
        pool,
        status: Shared::default(),
    }))
}

fn no_store(path: &Path) -> Error {
    Error::invalid(format!("there is no store at {}", path.display()))
        .advice("check the path; only opening for use makes a store")
}

fn start(
    core: Core,
    options: &Options,
    (writer, keeper): (Writer, Keeper),
    lock: WriterLock,
    check: Option<integrity::Check>,
) -> Result<SqliteStore> {
    let (sender, requests) = mpsc::channel(QUEUE_LISTS);
    let status = core.status.clone();
    let checkpointer = Checkpointer::start(&options.path, status.clone())?;
    let upkeep = Upkeep::new(options.wal, status.clone(), Some(checkpointer));
    let fatal = Arc::clone(&options.fatal);
    let live = Arc::clone(writer.live());
    let reading = settings::open_reader(&options.path)?;
    let (weak, full) = (sender.downgrade(), options.flush_after);
    let keeping = Keeping::start(keeper, reading, weak, status.clone(), full)
        .map_err(|source| failure::io("start the index of", &options.path, source))?;
    let worker = Worker { writer, upkeep, keeping, requests, status, fatal, _lock: lock };
    let thread = std::thread::Builder::new()
        .name("sidestream-writer".to_owned())
        .spawn(move || worker.run())
        .map_err(|source| failure::io("start the writer of", &options.path, source))?;
    Ok(SqliteStore::writing(core, sender, Arc::new(Semaphore::new(QUEUE_KIB)), thread, check, live))
}

/// Sees to it that there is a store, and that what its WAL holds is on disk. Changes nothing unless all of
/// it can be read.
fn prepare(options: &Options) -> Result<LastStop> {
    let path = &options.path;
    let found = recovery::inspect(path)?;
    if files::size(path)? == 0 {
        if options.role == Role::Source {
            return Err(no_store(path));
        }
        create(options)?;
        return Ok(LastStop::Clean);
    }
    probe_as_writer(path)?;
    let Some(scan) = found else { return Ok(LastStop::Clean) };
    recovery::rewrite(path, scan)?;
    Ok(LastStop::Unclean)
}

/// Demands that the file is a store of ours, before anything is written. It is read through SQLite:
/// opening it by other means would end the locks that this process may have on it. A connection that only
/// reads neither checkpoints nor deletes anything when it is closed.
fn probe(path: &Path) -> Result<()> {
    let connection = Connection::open_with_flags(path, settings::reader_flags())
        .map_err(|source| failure::of("opening the database", source))?;
    migrations::check_application(&connection)
}

/// A process that died while it switched a new store to the WAL leaves a rollback journal that a connection that
/// only reads may not play back. One that may write does so: the file is then as it was before the switch.
fn probe_as_writer(path: &Path) -> Result<()> {
    match probe(path) {
        Err(error) if error.kind() == ErrorKind::Unavailable => {
            let connection = Connection::open_with_flags(path, settings::writer_flags())
                .map_err(|source| failure::of("opening the database", source))?;
            settings::keep_wal_on_close(&connection, true)?;
            migrations::check_application(&connection)
        }
        probed => probed,
    }
}

/// Makes a store under another name and moves it into place: there is never half a store at its path.
fn create(options: &Options) -> Result<()> {
    let path = &options.path;
    let new = files::beside(path, ".new");
    for leftover in ["", "-wal", "-shm", "-journal"] {
        remove_if_there(&files::beside(&new, leftover))?;
    }
    drop(files::open_private(&new).map_err(|source| failure::io("make", &new, source))?);
    let connection = Connection::open_with_flags(&new, settings::writer_flags())
        .map_err(|source| failure::of("making the database", source))?;
    fill(&connection, options)?;
    connection.close().map_err(|(_, source)| failure::of("closing the new database", source))?;
    std::fs::File::open(&new)
        .and_then(|file| file.sync_all())
        .and_then(|()| std::fs::rename(&new, path))
        .map_err(|source| failure::io("move into place", path, source))?;
    files::sync_directory(path)
}

fn remove_if_there(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(failure::io("remove the remains of", path, source))
        }
        _ => Ok(()),
    }
}

/// Makes the schema and the first rows, in one transaction.
pub(super) fn fill(connection: &Connection, options: &Options) -> Result<()> {
    let partitions = options.partitions.unwrap_or_default();
    let fail = |source| failure::of("making the store", source);
    let work = || -> Result<()> {
        connection.execute_batch("BEGIN IMMEDIATE").map_err(fail)?;
        migrations::apply(connection, options.clock.now())?;
        insert_properties(connection, options, partitions).map_err(fail)?;
        connection.execute_batch("COMMIT").map_err(fail)
    };
    work()
}

fn insert_properties(
    connection: &Connection,
    options: &Options,
    partitions: PartitionCount,
) -> rusqlite::Result<()> {
    let id = match options.role {
        Role::CopyOf(id) => {
            mark::write(connection, &Mark::Copying)?;
            id
        }
        _ => options.clock.new_id(),
    };
    connection.execute(include_str!("sql/add_meta.sql"), params![id.as_bytes(), partitions.get()])?;
    let mut insert = connection.prepare(include_str!("sql/add_partition.sql"))?;
    for partition in partitions.all() {
        insert.execute(params![partition.get(), i64::MIN])?;
    }
    Ok(())
}

/// Opens the writer's connection: checked before anything is written.
pub(super) fn open_writer(options: &Options, vfs: Option<&str>) -> Result<(Connection, StoreProperties)> {
    let opened = match vfs {
        Some(vfs) => Connection::open_with_flags_and_vfs(&options.path, settings::writer_flags(), vfs),
        None => Connection::open_with_flags(&options.path, settings::writer_flags()),
    };
    let connection = opened.map_err(|source| failure::of("opening the database", source))?;
    settings::keep_wal_on_close(&connection, true)?;
    let lacking = migrations::check(&connection)?;
    let properties = check_properties(&connection, options)?;
    // Without the tables of moves a store is part of none.
    let mark = if lacking > 0 { Mark::None } else { mark::read(&connection)? };
    mark::demand(options, &mark, properties.id)?;
    settings::writer(&connection)?;
    if let Some(pages) = options.most_pages {
        limit_pages(&connection, pages)?;
    }
    if lacking > 0 {
        migrate(&connection, &*options.clock)?;
    }
    Ok((connection, properties))
}

fn migrate(connection: &Connection, clock: &dyn Clock) -> Result<()> {
    let fail = |source| failure::of("bringing the schema up to date", source);
    connection.execute_batch("BEGIN IMMEDIATE").map_err(fail)?;
    migrations::apply(connection, clock.now())?;
    connection.execute_batch("COMMIT").map_err(fail)
}

fn limit_pages(connection: &Connection, pages: u32) -> Result<()> {
    connection
        .query_row(&format!("PRAGMA max_page_count = {pages}"), [], |row| row.get::<_, i64>(0))
        .map(drop)
        .map_err(|source| failure::of("setting max_page_count", source))
}

fn check_properties(connection: &Connection, options: &Options) -> Result<StoreProperties> {
    let (id, count): ([u8; 16], u16) = connection
        .query_row(include_str!("sql/meta.sql"), [], |row| Ok((row.get(0)?, row.get(1)?)))
        .map_err(|source| failure::of("reading what the store is", source))?;
    let partitions = PartitionCount::new(count)
        .map_err(|source| Error::corrupt("the store's number of partitions").caused_by(source))?;
    if let Some(wanted) = options.partitions.filter(|wanted| *wanted != partitions) {
        return Err(Error::invalid("the store has another number of partitions")
            .expected(wanted, partitions)
            .advice("a store keeps the number it was made with: leave the option out, or copy the events into a new store"));
    }
    Ok(StoreProperties {
        id: Uuid::from_bytes(id),
        partitions,
        atomicity: Atomicity::Batch,
        log: LogScope::AllStreams,
    })
}

fn open_readers(
    options: &Options,
    partitions: PartitionCount,
    index: impl Fn() -> Index,
) -> Result<Vec<Reader>> {
    let open = |_| {
        settings::open_reader(&options.path).map(|connection| Reader::new(connection, partitions, index()))
    };
    (0..options.readers).map(open).collect()
}

/// After a crash the WAL may show commits that are not on disk, and a rollback journal may have to be played back.
/// Only a writer's start makes sure of that.
fn refuse_unrecovered(path: &Path) -> Result<()> {
    let [wal, journal] = ["-wal", "-journal"].map(|name| files::size(&files::beside(path, name)));
    if (wal? == 0 && journal? == 0) || lock::is_taken(path)? {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Unavailable,
        format!("the last writer of {} stopped uncleanly", path.display()),
    )
    .expected("a running writer, or an empty write-ahead log", "neither")
    .advice("start the service that writes to the store, then read again"))
}
