//! The store as its users hold it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use async_trait::async_trait;
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::clock::{Clock, Timestamp};
use crate::error::{Error, ErrorKind, Result};
use crate::event::EventType;
use crate::limits;
use crate::partition::PartitionId;
use crate::store::admission::too_long;
use crate::store::rows::{RowsPage, RowsRead};
use crate::store::sqlite::closed;
use crate::store::sqlite::index::live::Live;
use crate::store::sqlite::integrity::Check;
use crate::store::sqlite::pool::Pool;
use crate::store::sqlite::prepared::PreparedList;
use crate::store::sqlite::reader::Reader;
use crate::store::sqlite::request::{Append, Job, Request, Truncate};
use crate::store::sqlite::status::{Shared, Status};
use crate::store::sqlite::writer::Writer;
use crate::store::stream_key::StreamKey;
use crate::store::{
    AppendFailure, EventStore, LogPage, OpenStep, OpenStepsRead, StoreProperties, StreamPage, StreamRead,
    Unit, UnitResult,
};
use crate::stream::{Position, StreamName, Version};

/// Most lists that wait for the writer. Further callers wait for room.
pub(super) const QUEUE_LISTS: usize = 1_024;
/// Most payload that waits for the writer, in KiB. Further callers wait for room.
pub(super) const QUEUE_KIB: usize = 64 << 10;

/// What reading needs, and every handle has.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) path: PathBuf,
    pub(super) properties: StoreProperties,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) pool: Pool,
    pub(super) status: Shared,
}

/// A store in one SQLite file, written to by one process. Clones share it.
///
/// Dropping the last clone commits what waits and closes the files; it blocks for as long as that takes. In
/// async code [`close`](Self::close) is kinder.
#[derive(Clone)]
pub struct SqliteStore {
    core: Arc<Core>,
    /// None where the store was opened for reading only.
    writer: Option<Arc<Door>>,
}

/// The way to the writer's thread.
struct Door {
    /// None once the door is being closed.
    sender: Mutex<Option<mpsc::Sender<Request>>>,
    room: Arc<Semaphore>,
    thread: Mutex<Option<JoinHandle<()>>>,
    check: Mutex<Option<Check>>,
    pool: Pool,
    live: Arc<Live>,
}

impl SqliteStore {
    pub(super) fn reading(core: Core) -> Self {
        Self { core: Arc::new(core), writer: None }
    }

    pub(super) fn writing(
        core: Core,
        sender: mpsc::Sender<Request>,
        room: Arc<Semaphore>,
        thread: JoinHandle<()>,
        check: Option<Check>,
        live: Arc<Live>,
    ) -> Self {
        let door = Door {
            sender: Mutex::new(Some(sender)),
            room,
            thread: Mutex::new(Some(thread)),
            check: Mutex::new(check),
            pool: core.pool.clone(),
            live,
        };
        Self { core: Arc::new(core), writer: Some(Arc::new(door)) }
    }

    pub(super) fn path(&self) -> &Path {
        &self.core.path
    }

    /// How the store is doing.
    #[must_use]
    pub fn status(&self) -> Status {
        self.core.status.get()
    }

    /// Commits what waits, closes the files and gives up the lock. Later calls, of clones too, fail with
    /// [`Unavailable`](ErrorKind::Unavailable).
    ///
    /// # Errors
    /// [`Unknown`](ErrorKind::Unknown) when the writer died over it: the next start finds out what was
    /// committed.
    pub async fn close(&self) -> Result<()> {
        self.core.pool.close();
        let Some(door) = &self.writer else { return Ok(()) };
        drop(lock(&door.check).take());
        let Some(sender) = lock(&door.sender).take() else { return Ok(()) };
        let (done, closed) = oneshot::channel();
        if sender.send(Request::Close(done)).await.is_err() {
            return Err(died(&self.core.status));
        }
        closed.await.map_err(|_| died(&self.core.status))
    }

    /// Reads on a free connection.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Reader) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.core.pool.run(read).await?
    }

    pub(super) async fn request(&self, request: Request) -> Result<()> {
        let Some(door) = &self.writer else { return Err(read_only()) };
        let sender = lock(&door.sender).clone().ok_or_else(closed)?;
        sender.send(request).await.map_err(|_| self.core.status.get().stopped.unwrap_or_else(closed))
    }

    /// Has the writer do something between two commits.
    pub(super) async fn job<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Writer) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let job =
            Job::new(move |writer, refusal| drop(reply.send(refusal.map_or_else(|| work(writer), Err))));
        self.request(Request::Job(job)).await?;
        answer.await.map_err(|_| died(&self.core.status))?
    }

    /// Waits for room for `bytes` of payload. A list larger than all room waits for all of it.
    async fn room(&self, bytes: usize) -> Result<Option<tokio::sync::OwnedSemaphorePermit>> {
        let Some(door) = &self.writer else { return Err(read_only()) };
        let kib = u32::try_from(bytes.div_ceil(1_024).clamp(1, QUEUE_KIB)).unwrap_or(1);
        Arc::clone(&door.room).acquire_many_owned(kib).await.map(Some).map_err(|_| closed())
    }

    /// Which streams cannot exist: new transactions, as a rule. It reads memory only, so no thread has to be
    /// waited for. Without a writer in this process nothing is known.
    fn absent(&self, reads: &[StreamRead]) -> Vec<bool> {
        match &self.writer {
            Some(door) if !self.core.pool.is_closed() => {
                let keys: Vec<_> = reads.iter().map(|read| StreamKey::of(&read.stream)).collect();
                door.live.absent(&keys)
            }
            _ => vec![false; reads.len()],
        }
    }

    async fn enqueue(
        &self,
        partition: PartitionId,
        units: Vec<Unit>,
    ) -> Result<Vec<UnitResult>, AppendFailure> {
        let list = PreparedList::new(partition, units, self.core.properties);
        let bytes = list.bytes();
        let _room = self.room(bytes).await.map_err(AppendFailure::Refused)?;
        let (reply, results) = oneshot::channel();
        let append = Append { list, bytes, reply };
        self.request(Request::Append(append)).await.map_err(AppendFailure::Refused)?;
        results.await.map_err(|_| AppendFailure::Unknown(died(&self.core.status)))
    }
}

#[async_trait]
impl EventStore for SqliteStore {
    fn properties(&self) -> StoreProperties {
        self.core.properties
    }

    async fn append(&self, partition: PartitionId, units: Vec<Unit>) -> Vec<UnitResult> {
        let count = units.len();
        let all = |failure: &AppendFailure| (0..count).map(|_| Err(failure.clone())).collect();
        if let Some(failure) = too_long(count) {
            return all(&failure);
        }
        if count == 0 {
            return Vec::new();
        }
        self.enqueue(partition, units).await.unwrap_or_else(|failure| all(&failure))
    }

    async fn read_streams(&self, reads: Vec<StreamRead>) -> Vec<Result<StreamPage>> {
        let count = reads.len();
        let all = |error: &Error| (0..count).map(|_| Err(error.clone())).collect();
        if count > limits::BULK_READS {
            return all(&Error::invalid("too many streams in one read")
                .expected(format!("at most {}", limits::BULK_READS), count));
        }
        let is_absent = self.absent(&reads);
        let present = reads.into_iter().zip(&is_absent).filter(|(_, absent)| !**absent);
        let present: Vec<_> = present.map(|(read, _)| read).collect();
        let expected = present.len();
        let pages = match expected {
            0 => Ok(Vec::new()),
            _ => self.core.pool.run(move |reader| reader.streams(&present)).await,
        };
        let mut pages = pages.unwrap_or_else(|error| vec![Err(error); expected]).into_iter();
        let next = |absent| {
            if absent { Ok(StreamPage::empty()) } else { pages.next().unwrap_or_else(|| Err(closed())) }
        };
        is_absent.into_iter().map(next).collect()
    }

    async fn read_log(&self, partition: PartitionId, after: Position, limit: usize) -> Result<LogPage> {
        self.core.pool.run(move |reader| reader.log(partition, None, after, limit)).await?
    }

    async fn read_types(
        &self,
        partition: PartitionId,
        types: &[EventType],
        after: Position,
        limit: usize,
    ) -> Result<LogPage> {
        let types = types.to_vec();
        self.core.pool.run(move |reader| reader.log(partition, Some(&types), after, limit)).await?
    }

    async fn open_steps(&self, read: OpenStepsRead) -> Result<Vec<OpenStep>> {
        // Whoever asks for all of them gets all, whatever the clock says by now.
        let all = read.older_than.is_zero();
        let until = if all { Timestamp::MAX } else { self.core.clock.now().before(read.older_than) };
        self.core.pool.run(move |reader| reader.open_steps(&read, until)).await?
    }

    async fn truncate(&self, stream: &StreamName, through: Version) -> Result<Version> {
        let (reply, floor) = oneshot::channel();
        let stream = stream.clone();
        self.request(Request::Truncate(Truncate { stream, through, reply })).await?;
        floor.await.map_err(|_| died(&self.core.status))?
    }

    async fn rows(&self, read: RowsRead) -> Result<RowsPage> {
        read.check()?;
        // Taken first: what is written meanwhile must not seem to have expired.
        let at = self.core.clock.now();
        let rows = self.read(move |reader| reader.rows(&read)).await?;
        Ok(RowsPage { rows, at })
    }

    async fn close_partitions(
        &self,
        partitions: &[PartitionId],
        through: Timestamp,
    ) -> Result<Vec<Timestamp>> {
        let partitions = partitions.to_vec();
        self.job(move |writer| closed::close(writer, &partitions, through)).await
    }

    async fn changed(&self, partition: PartitionId, after: Position) {
        match &self.writer {
            Some(door) => door.live.changes().past(partition, after).await,
            // Another process writes.
            None => std::future::pending().await,
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.pool.close();
        drop(lock(&self.check).take());
        drop(lock(&self.sender).take());
        let thread = lock(&self.thread).take();
        // A fatal handler may hold the last handle: the thread cannot wait for itself.
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != std::thread::current().id()) {
            thread.join().ok();
        }
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let writes = self.writer.is_some();
        f.debug_struct("SqliteStore")
            .field("properties", &self.core.properties)
            .field("writes", &writes)
            .finish_non_exhaustive()
    }
}

/// Nothing panics with one of these locks held.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read_only() -> Error {
    Error::invalid("the store was opened for reading only")
        .advice("write through the process that owns the store")
}

fn closed() -> Error {
    Error::new(ErrorKind::Unavailable, "sqlite: the store was closed").advice("open the store again")
}

fn died(status: &Shared) -> Error {
    let error = Error::new(ErrorKind::Unknown, "sqlite: the writer stopped before it answered");
    status.get().stopped.map_or(error.clone(), |why| error.caused_by(why))
}
