//! A projection and its view, ready to run in any partition.

use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;

use crate::clock::{Clock, SystemClock};
use crate::codec::Codecs;
use crate::error::Result;
use crate::partition::PartitionId;
use crate::processor::{Processor, ProcessorId, ProcessorStatus, Run};
use crate::projection::bound::{Beside, Bound};
use crate::projection::definition::Definition;
use crate::projection::generation::Generational;
use crate::projection::place::Place;
use crate::projection::request::Requests;
use crate::projection::runner::Runner;
use crate::projection::seats::{Running, Seats};
use crate::projection::settings::Settings;
use crate::projection::supervisor;
use crate::projection::view::View;
use crate::store::EventStore;

/// A projection with its view as a [`Processor`]: each run is a [`Runner`], started again when it fails.
pub struct Projector<V: View> {
    id: ProcessorId,
    store: Arc<dyn EventStore>,
    definition: Definition<V::Rows>,
    view: Arc<V>,
    settings: Settings,
    codecs: Codecs,
    clock: Arc<dyn Clock>,
    seats: Arc<Seats>,
    /// Set where a generation is being built: the bound of each place.
    bounds: Option<Bounds>,
}

/// Makes the bound of a place.
type Bounds = Arc<dyn Fn(Place) -> Arc<dyn Bound> + Send + Sync>;

impl<V: View> Projector<V> {
    /// A projection that follows this store and fills this view. Its name as a processor is the projection's with its
    /// version: `balances v1`.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when the name breaks a bound, or a join has more selections times partitions
    /// than [`limits::JOIN_POSITIONS`](crate::limits::JOIN_POSITIONS).
    pub fn new(store: Arc<dyn EventStore>, definition: Definition<V::Rows>, view: Arc<V>) -> Result<Self> {
        definition.check(store.properties().partitions)?;
        let seats = Arc::new(Seats::new(definition.is_join()));
        Ok(Self {
            id: ProcessorId::new(definition.id().to_string())?,
            store,
            definition,
            view,
            settings: Settings::default(),
            codecs: Codecs::default(),
            clock: Arc::new(SystemClock),
            seats,
            bounds: None,
        })
    }

    /// With these settings.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Decodes with these codecs.
    #[must_use]
    pub fn codecs(mut self, codecs: Codecs) -> Self {
        self.codecs = codecs;
        self
    }

    /// Takes times and jitter from this clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Builds a generation of the view, of this number.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when its name as a processor breaks the bound.
    pub(super) fn building(mut self, number: u32) -> Result<Self>
    where
        V: Generational,
    {
        self.id = ProcessorId::new(format!("{} rebuild {number}", self.definition.id()))?;
        let view = Arc::clone(&self.view);
        self.bounds = Some(Arc::new(move |place| Arc::new(Beside { view: Arc::clone(&view), place })));
        Ok(self)
    }

    pub(super) fn seats(&self) -> Arc<Seats> {
        Arc::clone(&self.seats)
    }
}

impl<V: View> Processor for Projector<V> {
    fn id(&self) -> &ProcessorId {
        &self.id
    }

    fn run(&self, partition: PartitionId, epoch: u64, stop: watch::Receiver<bool>) -> Run {
        let (requests, receiver) = Requests::channel();
        let (log, rules) =
            ((Arc::clone(&self.store), partition), (self.definition.clone(), Arc::clone(&self.view)));
        let mut runner = Runner::new(log, rules, epoch, receiver, stop.clone())
            .settings(self.settings.clone())
            .codecs(self.codecs.clone())
            .clock(Arc::clone(&self.clock));
        self.seats.take(partition, Running { status: runner.status(), requests });
        let Some(bounds) = &self.bounds else { return Box::pin(supervisor::keep(runner)) };
        let bound = bounds(runner.parts.place.clone());
        runner = runner.building(Arc::clone(&bound), &self.id);
        Box::pin(supervisor::build(runner, bound, stop))
    }

    fn spans_partitions(&self) -> bool {
        self.definition.is_join()
    }

    fn status(&self, partition: PartitionId) -> Option<ProcessorStatus> {
        let status = self.seats.find(partition)?.status.borrow().clone();
        Some(ProcessorStatus {
            state: status.state.to_string(),
            checkpoint: status.checkpoint,
            head: status.head,
            oldest: status.oldest,
            parked: status.parked.len(),
        })
    }
}

impl<V: View> fmt::Debug for Projector<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Projector").field("id", &self.id).finish_non_exhaustive()
    }
}
