//! A view in memory, folded from the log's beginning each time the process starts.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::runtime::Handle;

use crate::error::Result;
use crate::feed::JoinPositions;
use crate::partition::PartitionId;
use crate::projection::batch::Batch;
use crate::projection::definition::Definition;
use crate::projection::failure::{ViewFailure, fenced, lost};
use crate::projection::parked::{Audited, Parked};
use crate::projection::place::Place;
use crate::projection::progress::Progress;
use crate::projection::view::{Change, Limits, Opened, View, Work};
use crate::projection::worker::Worker;
use crate::stream::Position;

/// States in memory, one of type `S` for each partition of each projection. Clones share them.
///
/// A batch works on a copy of the state, which takes its place when the batch is committed: queries see whole batches
/// only, and a failed one leaves nothing. So a state should be small, or cheap to copy.
pub struct MemoryView<S> {
    places: Arc<Mutex<HashMap<Place, Kept<S>>>>,
    worker: Arc<Worker>,
}

struct Kept<S> {
    epoch: u64,
    revision: u64,
    position: Position,
    joined: Option<JoinPositions>,
    state: S,
    parked: HashMap<String, Parked>,
    audit: Vec<Audited>,
}

impl<S: Clone + Default + Send + 'static> MemoryView<S> {
    /// A view without states.
    #[must_use]
    pub fn new() -> Self {
        Self { places: Arc::default(), worker: Arc::new(Worker::new()) }
    }

    /// Looks at each partition's state of the projection of this name, of all its versions.
    pub fn for_each(&self, projection: &str, mut look: impl FnMut(PartitionId, &S)) {
        for (place, kept) in self.lock().iter().filter(|(place, _)| place.projection.name() == projection) {
            look(place.partition, &kept.state);
        }
    }

    /// Looks at the state of one place; `None` before it was opened.
    pub fn read<T>(&self, place: &Place, look: impl FnOnce(&S) -> T) -> Option<T> {
        self.lock().get(place).map(|kept| look(&kept.state))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Place, Kept<S>>> {
        // Changes are made whole.
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a batch on a state of its own, which comes back changed.
    async fn apply(&self, batch: Batch<S>, mut state: S, limits: Limits) -> Result<S, ViewFailure> {
        let (progress, runtime) = (Arc::new(Progress::default()), Handle::current());
        let watched = Arc::clone(&progress);
        let job = move || batch.run(&mut state, &progress, &runtime).map(|()| state);
        // Whoever is given up has only changed a copy.
        let done = self.worker.run(watched, limits.timeout, move || (|| true, job)).await;
        done.map_err(|how| lost(how, limits.timeout))?
    }

    fn state_of(&self, place: &Place, epoch: u64, work: &Work<S>) -> Result<S, ViewFailure> {
        let places = self.lock();
        let kept = places.get(place).ok_or_else(|| fenced(place))?;
        kept.guard(place, epoch, work)?;
        Ok(kept.state.clone())
    }
}

impl<S> Kept<S> {
    fn guard(&self, place: &Place, epoch: u64, work: &Work<S>) -> Result<()> {
        let is_mine = (self.epoch, self.revision, self.position) == (epoch, work.revision, work.from);
        if is_mine { Ok(()) } else { Err(fenced(place)) }
    }

    fn change(&mut self, change: Change) {
        match change {
            Change::Park(parked) => drop(self.parked.insert(parked.cardinal.clone(), parked)),
            Change::Waiting(cardinal, more) => {
                if let Some(parked) = self.parked.get_mut(&cardinal) {
                    parked.waiting = parked.waiting.saturating_add(more);
                }
            }
            Change::Unpark(cardinal) => drop(self.parked.remove(&cardinal)),
            Change::Joined(joined) => self.joined = Some(joined),
            Change::Audit(audited) => self.audit.push(audited),
        }
    }
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
        let revision = {
            let mut places = self.lock();
            let kept = places.entry(place.clone()).or_insert_with(|| Kept {
                epoch,
                revision: 0,
                position: Position::START,
                joined: None,
                state: S::default(),
                parked: HashMap::new(),
                audit: Vec::new(),
            });
            if kept.epoch > epoch {
                return Err(fenced(place).expected(format!("epoch {epoch}"), kept.epoch).into());
            }
            kept.epoch = epoch;
            kept.revision = kept.revision.saturating_add(1);
            kept.revision
        };
        let state = self.read(place, S::clone).unwrap_or_default();
        let state = self.apply(Batch::preparing(definition), state, *limits).await?;
        let mut places = self.lock();
        let kept = places.get_mut(place).filter(|kept| kept.revision == revision);
        let kept = kept.ok_or_else(|| fenced(place))?;
        kept.state = state;
        let (position, joined) = (kept.position, kept.joined.clone());
        Ok(Opened { position, joined, revision, parked: kept.parked.values().cloned().collect() })
    }

    async fn run(&self, place: &Place, epoch: u64, mut work: Work<S>) -> Result<(), ViewFailure> {
        let mut state = self.state_of(place, epoch, &work)?;
        if let Some(batch) = work.batch.take() {
            state = self.apply(batch, state, work.limits).await?;
        }
        let mut places = self.lock();
        let kept = places.get_mut(place).ok_or_else(|| fenced(place))?;
        kept.guard(place, epoch, &work)?;
        (kept.state, kept.position) = (state, work.to);
        kept.revision = kept.revision.saturating_add(1);
        work.changes.into_iter().for_each(|change| kept.change(change));
        Ok(())
    }

    async fn audit(&self, place: &Place, limit: usize) -> Result<Vec<Audited>> {
        let places = self.lock();
        let all = places.get(place).map(|kept| kept.audit.iter().rev().take(limit).cloned().collect());
        Ok(all.unwrap_or_default())
    }
}

impl<S: Clone + Default + Send + 'static> Default for MemoryView<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Clone for MemoryView<S> {
    fn clone(&self) -> Self {
        Self { places: Arc::clone(&self.places), worker: Arc::clone(&self.worker) }
    }
}

impl<S> fmt::Debug for MemoryView<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryView").finish_non_exhaustive()
    }
}
