//! The view itself.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZero;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::runtime::Handle;

use crate::error::{Error, ErrorKind, Result};
use crate::partition::PartitionId;
use crate::projection::batch::Batch;
use crate::projection::definition::Definition;
use crate::projection::failure::{ViewFailure, fenced, lost};
use crate::projection::generation::{Role, moved_on};
use crate::projection::memory::kept::{Kept, KeptPlace};
use crate::projection::parked::Audited;
use crate::projection::place::Place;
use crate::projection::progress::Progress;
use crate::projection::view::{Limits, Opened, View, Work};
use crate::projection::worker::Worker;
use crate::stream::Position;

/// Most threads that handlers run on if nothing is said.
const THREADS: usize = 16;

/// States in memory, one of type `S` for each partition of each projection. Clones share them.
///
/// A batch works on a copy of the state, which takes its place when the batch is committed: queries see whole batches
/// only, and a failed one leaves nothing. So a state should be small, or cheap to copy. Partitions are worked on beside
/// each other, on as many threads as there are processors.
pub struct MemoryView<S> {
    kept: Arc<Mutex<Kept<S>>>,
    /// Each partition has its thread, which it may share with others.
    workers: Arc<[Worker]>,
    pub(super) role: Role,
}

impl<S: Clone + Default + Send + 'static> MemoryView<S> {
    /// A view without states.
    #[must_use]
    pub fn new() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self::with_threads(processors.min(THREADS))
    }

    /// The same, with so many threads for handlers; at least one.
    #[must_use]
    pub fn with_threads(threads: usize) -> Self {
        let workers = Worker::several(threads.max(1)).into();
        Self { kept: Arc::new(Mutex::new(Kept::new())), workers, role: Role::Live }
    }

    /// Looks at each partition's state of the projection of this name, of all its versions.
    pub fn for_each(&self, projection: &str, mut look: impl FnMut(PartitionId, &S)) {
        let kept = self.lock();
        let number = kept.number(self.role);
        for ((generation, place), kept) in &kept.places {
            if *generation == number && place.projection.name() == projection {
                look(place.partition, &kept.state);
            }
        }
    }

    /// Looks at the state of one place; `None` before it was opened.
    pub fn read<T>(&self, place: &Place, look: impl FnOnce(&S) -> T) -> Option<T> {
        let kept = self.lock();
        kept.places.get(&(kept.number(self.role), place.clone())).map(|kept| look(&kept.state))
    }

    /// The same states, of the generation that is being built.
    pub(super) fn building(&self, number: u32) -> Self {
        Self { role: Role::Building(number), ..self.clone() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Kept<S>> {
        // Changes are made whole.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a batch on a state of its own, which comes back changed.
    async fn apply(
        &self,
        place: &Place,
        batch: Batch<S>,
        mut state: S,
        limits: Limits,
    ) -> Result<S, ViewFailure> {
        let at = usize::from(place.partition.get()).checked_rem(self.workers.len()).unwrap_or(0);
        let worker = self.workers.get(at).ok_or_else(no_thread)?;
        let (progress, runtime) = (Arc::new(Progress::default()), Handle::current());
        let watched = Arc::clone(&progress);
        let job = move || batch.run(&mut state, &progress, &runtime).map(|()| state);
        // Whoever is given up has only changed a copy.
        let done = worker.run(watched, limits.timeout, move || (|| true, job)).await;
        done.map_err(|how| lost(how, limits.timeout))?
    }

    /// Opens a place; says in which generation, at which revision, and its state.
    fn begin(&self, place: &Place, epoch: u64) -> Result<(u32, u64, S)> {
        let mut kept = self.lock();
        let number = kept.opening(place, self.role)?;
        let found = kept.places.entry((number, place.clone())).or_insert_with(|| KeptPlace {
            epoch: 0,
            revision: 0,
            position: Position::START,
            joined: None,
            state: S::default(),
            parked: HashMap::new(),
            audit: Vec::new(),
        });
        if self.role == Role::Live {
            if found.epoch > epoch {
                return Err(fenced(place).expected(format!("epoch {epoch}"), found.epoch));
            }
            found.epoch = epoch;
        }
        found.revision = found.revision.saturating_add(1);
        Ok((number, found.revision, found.state.clone()))
    }
}

fn no_thread() -> Error {
    Error::new(ErrorKind::Unavailable, "a view has no threads")
}

#[async_trait]
impl<S: Clone + Default + Send + 'static> View for MemoryView<S> {
    type Rows = S;

    async fn open(
        &self,
        place: &Place,
        epoch: u64,
        definition: &Definition<S>,
        limits: &Limits,
    ) -> Result<Opened, ViewFailure> {
        let (number, revision, state) = self.begin(place, epoch)?;
        let state = self.apply(place, Batch::preparing(definition), state, *limits).await?;
        let mut kept = self.lock();
        if kept.number(self.role) != number {
            return Err(moved_on(place).into());
        }
        let found = kept.places.get_mut(&(number, place.clone())).filter(|kept| kept.revision == revision);
        let found = found.ok_or_else(|| fenced(place))?;
        found.state = state;
        let (position, joined) = (found.position, found.joined.clone());
        Ok(Opened { position, joined, revision, parked: found.parked.values().cloned().collect() })
    }

    async fn run(&self, place: &Place, epoch: u64, mut work: Work<S>) -> Result<(), ViewFailure> {
        let at = (place, epoch, self.role);
        let mut state = self.lock().guarded(at, &work)?.state.clone();
        if let Some(batch) = work.batch.take() {
            state = self.apply(place, batch, state, work.limits).await?;
        }
        let mut kept = self.lock();
        let found = kept.guarded(at, &work)?;
        (found.state, found.position) = (state, work.to);
        found.revision = found.revision.saturating_add(1);
        work.changes.into_iter().for_each(|change| found.change(change));
        Ok(())
    }

    async fn audit(&self, place: &Place, limit: usize) -> Result<Vec<Audited>> {
        let kept = self.lock();
        let found = kept.places.get(&(kept.number(self.role), place.clone()));
        Ok(found.map(|kept| kept.audit.iter().rev().take(limit).cloned().collect()).unwrap_or_default())
    }
}

impl<S: Clone + Default + Send + 'static> Default for MemoryView<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Clone for MemoryView<S> {
    fn clone(&self) -> Self {
        Self { kept: Arc::clone(&self.kept), workers: Arc::clone(&self.workers), role: self.role }
    }
}

impl<S> fmt::Debug for MemoryView<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryView").field("role", &self.role).finish_non_exhaustive()
    }
}
