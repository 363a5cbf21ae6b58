//! The view itself.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::runtime::Handle;

use crate::error::{Error, ErrorKind, Result};
use crate::limits;
use crate::projection::batch::Batch;
use crate::projection::definition::Definition;
use crate::projection::elsewhere::kept::{self, Kept};
use crate::projection::elsewhere::rows::ElsewhereRows;
use crate::projection::failure::{ViewFailure, fenced, lost};
use crate::projection::parked::Audited;
use crate::projection::place::Place;
use crate::projection::progress::Progress;
use crate::projection::view::{Limits, Opened, View, Work};
use crate::projection::worker::Worker;
use crate::store::EventStore;
use crate::store::rows::RowExpected;

/// Times that an opening is tried while others open the same place.
const OPENINGS: usize = 8;

/// Rows in a system that commits no checkpoint with them: handlers write there by a client of type `C`, and the checkpoint
/// lies in guarded rows of the log's store. Clones share the client's clones.
///
/// The two cannot be committed together. The rows are written first: after a crash, and after a handler further on in the
/// batch has failed, events **come again** from the checkpoint on. So an event has its effect once where the handler keeps
/// the event's [`Stamp`](super::Stamp) beside each row that it changes, in the same step of the other system, and changes
/// only a row for which it [is due](super::Stamp::is_due). It is a conditional write: `WHERE position < …` in SQL, a script
/// in Redis, `if_seq_no` in a search engine.
///
/// - A row belongs to one aggregate. Sums over several would take an event that comes late, after a retry, for one that
///   has been applied: add up when reading, or keep a row for each event.
/// - A handler that was given up may still write, late. The stamp makes that harmless, except for an event that an operator
///   has skipped meanwhile.
/// - At most [`limits::PARKED_ELSEWHERE`] aggregates are parked in one place, and of what was done the last
///   [`limits::ELSEWHERE_AUDITS`] are kept.
///
/// ```
/// use std::collections::BTreeMap;
/// use std::sync::{Arc, Mutex};
///
/// use sidestream::projection::{Daemon, ElsewhereRows, ElsewhereView, Event, Failure, Projection, Stamp};
/// use sidestream::MemoryStore;
///
/// /// As a cache would have it: how many events an account has, and the stamp of the last one.
/// type Cache = Arc<Mutex<BTreeMap<String, (u64, Stamp)>>>;
///
/// struct Counts;
///
/// impl Projection<ElsewhereRows<Cache>> for Counts {
///     const NAME: &'static str = "counts";
///
///     async fn apply(&self, rows: &mut ElsewhereRows<Cache>, event: &Event<'_>) -> Result<(), Failure> {
///         let stamp = rows.stamp(event);
///         // Look and write in one step: here under a lock, elsewhere by a conditional write.
///         let mut cache = rows.client().lock().unwrap();
///         let found = cache.get(event.aggregate_id()).copied();
///         if stamp.is_due(found.as_ref().map(|(_, stamp)| stamp))? {
///             let count = found.map_or(1, |(count, _)| count + 1);
///             cache.insert(event.aggregate_id().to_owned(), (count, stamp));
///         }
///         Ok(())
///     }
/// }
///
/// # sidestream::testkit::run(async {
/// let (store, cache) = (Arc::new(MemoryStore::new()), Cache::default());
/// let view = ElsewhereView::new(store.clone(), cache.clone());
/// let daemon = Daemon::builder(store).project(Counts, view).start()?;
/// # daemon.shutdown().await;
/// # Ok::<(), sidestream::Error>(())
/// # }).unwrap();
/// ```
///
/// The idea, a position kept beside what it brought about, is that of idempotent receivers (Hohpe and Woolf, *Enterprise
/// Integration Patterns*, 2003) and of fencing tokens.
pub struct ElsewhereView<C> {
    store: Arc<dyn EventStore>,
    client: C,
    workers: Arc<Vec<Worker>>,
}

impl<C: Clone + Send + Sync + 'static> ElsewhereView<C> {
    /// A view whose rows `client` reaches, with its checkpoints in `store`: the one whose log is followed.
    pub fn new(store: Arc<dyn EventStore>, client: C) -> Self {
        Self { store, client, workers: Arc::new(Worker::several(limits::ELSEWHERE_THREADS)) }
    }

    /// Calls the handlers, on the place's thread.
    async fn handle(
        &self,
        batch: Batch<ElsewhereRows<C>>,
        (place, epoch): (&Place, u64),
        limits: Limits,
    ) -> Result<(), ViewFailure> {
        let mut rows = ElsewhereRows::new(self.client.clone(), epoch);
        let (progress, runtime) = (Arc::new(Progress::default()), Handle::current());
        let watched = Arc::clone(&progress);
        let job = move || batch.run(&mut rows, &progress, &runtime);
        // There is nothing to revoke: who is given up may still write, and its stamps say so.
        let number = usize::from(place.partition.get()).checked_rem(self.workers.len()).unwrap_or(0);
        let worker = self.workers.get(number).ok_or_else(|| fenced(place))?;
        let done = worker.run(watched, limits.timeout, move || (|| true, job)).await;
        done.map_err(|how| lost(how, limits.timeout))?
    }

    /// Takes the place under an epoch, durably; gives its revision.
    async fn take(&self, place: &Place, epoch: u64) -> Result<(u64, Kept)> {
        if place.store != self.store.properties().id {
            return Err(Error::invalid(format!("{place} of this view follows another store"))
                .expected(self.store.properties().id, place.store)
                .advice("give the view the store whose log is followed"));
        }
        for _ in 0..OPENINGS {
            let found = kept::find(&*self.store, place).await?;
            let expected =
                found.as_ref().map_or(RowExpected::Absent, |(revision, _)| RowExpected::Revision(*revision));
            let mut kept = found.map_or(Kept::NEW, |(_, kept)| kept);
            if kept.epoch > epoch {
                return Err(
                    fenced(place).expected(format!("at most epoch {epoch}"), format!("epoch {}", kept.epoch))
                );
            }
            kept.epoch = epoch;
            if !kept::write(&*self.store, place, expected, &kept, Vec::new()).await? {
                continue;
            }
            // Whoever opens it in between has the same revision, and one of the two commits.
            let found = kept::find(&*self.store, place).await?;
            return found.filter(|(_, kept)| kept.epoch == epoch).ok_or_else(|| fenced(place));
        }
        Err(Error::new(
            ErrorKind::Unavailable,
            format!("{place} was not opened: others open it all the time"),
        )
        .advice("run a projection once, or under leases"))
    }
}

#[async_trait]
impl<C: Clone + Send + Sync + 'static> View for ElsewhereView<C> {
    type Rows = ElsewhereRows<C>;

    async fn open(
        &self,
        place: &Place,
        epoch: u64,
        definition: &Definition<ElsewhereRows<C>>,
        limits: &Limits,
    ) -> Result<Opened, ViewFailure> {
        let (revision, Kept { position, joined, .. }) = self.take(place, epoch).await?;
        self.handle(Batch::preparing(definition), (place, epoch), *limits).await?;
        let parked = kept::parked(&*self.store, place).await?;
        Ok(Opened { position, joined, revision, parked })
    }

    async fn run(&self, place: &Place, epoch: u64, work: Work<ElsewhereRows<C>>) -> Result<(), ViewFailure> {
        let Work { revision, from, to, batch, changes, limits } = work;
        let found = kept::find(&*self.store, place).await?;
        let mut kept = kept::guard(found, place, (epoch, revision, from))?;
        if let Some(batch) = batch {
            self.handle(batch, (place, epoch), limits).await?;
        }
        let rows = kept::changed(&*self.store, place, &mut kept, changes).await?;
        kept.position = to;
        let expected = RowExpected::Revision(revision);
        let is_mine = kept::write(&*self.store, place, expected, &kept, rows).await?;
        if is_mine { Ok(()) } else { Err(fenced(place).into()) }
    }

    async fn audit(&self, place: &Place, limit: usize) -> Result<Vec<Audited>> {
        kept::audited(&*self.store, place, limit).await
    }

    fn most_parked(&self) -> usize {
        limits::PARKED_ELSEWHERE
    }
}

impl<C: Clone> Clone for ElsewhereView<C> {
    fn clone(&self) -> Self {
        let (store, client) = (Arc::clone(&self.store), self.client.clone());
        Self { store, client, workers: Arc::clone(&self.workers) }
    }
}

impl<C> fmt::Debug for ElsewhereView<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ElsewhereView").field("store", &self.store).finish_non_exhaustive()
    }
}
