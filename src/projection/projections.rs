//! The projections of a process: how they are doing, and what can be asked of those that run in it.

use std::fmt;
use std::sync::Arc;

use crate::clock::{Clock, SystemClock};
use crate::codec::Codecs;
use crate::command::Receipt;
use crate::error::{Error, ErrorKind, Result};
use crate::partition::PartitionId;
use crate::processor::Processor;
use crate::projection::definition::Definition;
use crate::projection::generation::Generational;
use crate::projection::parked::{Action, Operator, Parked, Repaired};
use crate::projection::projector::Projector;
use crate::projection::seats::{Running, Seats};
use crate::projection::settings::Settings;
use crate::projection::status::{State, Status};
use crate::projection::view::View;
use crate::store::EventStore;
use crate::stream::AggregateId;

/// Projections over one store, and their runners in this process. A partition that another process runs is not known
/// here, or as it was when it ran here last.
pub struct Projections {
    store: Arc<dyn EventStore>,
    settings: Settings,
    codecs: Codecs,
    clock: Arc<dyn Clock>,
    seats: Vec<Arc<Seats>>,
}

impl Projections {
    /// None yet, over this store.
    #[must_use]
    pub fn new(store: Arc<dyn EventStore>) -> Self {
        let (settings, codecs, clock) = (Settings::default(), Codecs::default(), Arc::new(SystemClock));
        Self { store, settings, codecs, clock, seats: Vec::new() }
    }

    /// Those that are added from now on have these settings.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Those that are added from now on decode with these codecs.
    #[must_use]
    pub fn codecs(mut self, codecs: Codecs) -> Self {
        self.codecs = codecs;
        self
    }

    /// Those that are added from now on take times and jitter from this clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Adds a projection and the view that it fills. What comes back runs it.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) when its name breaks a bound.
    pub fn add<V: View>(
        &mut self,
        definition: Definition<V::Rows>,
        view: Arc<V>,
    ) -> Result<Arc<dyn Processor>> {
        let projector = Projector::new(Arc::clone(&self.store), definition, view)?
            .settings(self.settings.clone())
            .codecs(self.codecs.clone())
            .clock(Arc::clone(&self.clock));
        self.seats.push(projector.seats());
        Ok(Arc::new(projector))
    }

    /// Adds a projection that builds a generation.
    pub(super) fn build<V: Generational>(
        &mut self,
        definition: Definition<V::Rows>,
        (view, number): (Arc<V>, u32),
    ) -> Result<Arc<dyn Processor>> {
        let projector = Projector::new(Arc::clone(&self.store), definition, view)?
            .building(number)?
            .settings(self.settings.clone())
            .codecs(self.codecs.clone())
            .clock(Arc::clone(&self.clock));
        self.seats.push(projector.seats());
        Ok(Arc::new(projector))
    }

    /// How each projection is doing in each partition that it runs or ran in here.
    #[must_use]
    pub fn status(&self) -> Vec<Status> {
        self.seats.iter().flat_map(|seats| seats.status()).collect()
    }

    /// What is parked, of all versions of the projection of this name, with its partition.
    #[must_use]
    pub fn parked(&self, projection: &str) -> Vec<(PartitionId, Parked)> {
        let of_name = self.status().into_iter().filter(|status| status.projection.name() == projection);
        of_name
            .flat_map(|status| {
                let of = |parked: &Parked| match status.joined {
                    Some(_) => self.store.properties().partitions.of(&parked.cardinal),
                    None => status.partition,
                };
                status.parked.values().map(|parked| (of(parked), parked.clone())).collect::<Vec<_>>()
            })
            .collect()
    }

    /// Applies what waits of a parked aggregate, once, from the event that failed to the checkpoint, in order; then it is
    /// no longer parked. Meanwhile its partition waits. When an event fails again, what was applied stays, and the
    /// aggregate stays parked at that event.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) when there is no such projection or the aggregate is not parked;
    /// [`Unavailable`](ErrorKind::Unavailable) when a database is down, or the projection does not run: how far it came
    /// is kept.
    pub async fn retry(&self, projection: &str, aggregate: &AggregateId, by: Operator) -> Result<Repaired> {
        self.repair(projection, aggregate, Action::Retried, by).await
    }

    /// Leaves out the one event that a parked aggregate waits at, for good, and goes on with its later ones as
    /// [`retry`](Self::retry) does.
    ///
    /// # Errors
    /// As [`retry`](Self::retry).
    pub async fn skip(&self, projection: &str, aggregate: &AggregateId, by: Operator) -> Result<Repaired> {
        self.repair(projection, aggregate, Action::Skipped, by).await
    }

    async fn repair(
        &self,
        projection: &str,
        aggregate: &AggregateId,
        action: Action,
        by: Operator,
    ) -> Result<Repaired> {
        let running = self.find(projection, self.partition_of(aggregate))?;
        running.requests.ask(aggregate.cardinal(), action, by).await
    }

    /// Returns once the projection has applied what a receipt of this aggregate stands for: whoever wrote reads what
    /// was written. It waits for as long as it takes; give it a timeout of your own.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) when there is no such projection; [`Unavailable`](ErrorKind::Unavailable) when the
    /// aggregate is parked there, or the projection has stopped, with the reason.
    pub async fn wait_for(&self, projection: &str, aggregate: &AggregateId, receipt: Receipt) -> Result<()> {
        let partition = self.partition_of(aggregate);
        let mut status = self.find(projection, partition)?.status;
        let is_there = |status: &Status| status.has_reached(partition, receipt.position);
        let is_decided = |status: &Status| is_there(status) || matches!(status.state, State::Stopped(_));
        let status = status.wait_for(is_decided).await.map_err(|_| stopped(projection, "its task ended"))?;
        if !is_there(&status) {
            return Err(stopped(projection, &status.state.to_string()));
        }
        match status.parked.get(aggregate.cardinal()) {
            Some(parked) if parked.position <= receipt.position => Err(is_parked(projection, parked)),
            _ => Ok(()),
        }
    }

    fn partition_of(&self, aggregate: &AggregateId) -> PartitionId {
        self.store.properties().partitions.of(aggregate.cardinal())
    }

    /// The highest version of a projection, in a partition.
    fn find(&self, projection: &str, partition: PartitionId) -> Result<Running> {
        let here = self.seats.iter().filter_map(|seats| seats.find(partition));
        let of_name = |running: &Running| running.status.borrow().projection.name() == projection;
        let newest = |running: &Running| running.status.borrow().projection.version();
        here.filter(of_name).max_by_key(newest).ok_or_else(|| {
            Error::invalid(format!("no projection {projection:?} runs here in partition {partition}"))
                .advice("look at the names it was built with, and at who holds the partition")
        })
    }
}

fn stopped(projection: &str, why: &str) -> Error {
    Error::new(ErrorKind::Unavailable, format!("projection {projection} has not come so far: {why}"))
        .advice("look at its status; what was written stays written")
}

fn is_parked(projection: &str, parked: &Parked) -> Error {
    let Parked { cardinal, position, error, .. } = parked;
    let what = format!("{cardinal} is parked in projection {projection} since position {position}: {error}");
    Error::new(ErrorKind::Unavailable, what).advice("mend the projection, then retry what is parked")
}

impl fmt::Debug for Projections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Projections").field("seats", &self.seats).finish_non_exhaustive()
    }
}
