//! All partitions of several projections, in one process.

use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::clock::{Clock, SystemClock};
use crate::codec::Codecs;
use crate::command::Receipt;
use crate::error::{Error, ErrorKind, Result};
use crate::partition::PartitionId;
use crate::processor::Processor;
use crate::projection::definition::{Definition, Projection};
use crate::projection::parked::{Action, Operator, Parked, Repaired};
use crate::projection::place::ProjectionId;
use crate::projection::projector::Projector;
use crate::projection::seats::{Running, Seats};
use crate::projection::settings::Settings;
use crate::projection::status::{State, Status};
use crate::projection::view::View;
use crate::store::EventStore;
use crate::stream::AggregateId;

/// Makes a projection a processor, and says where its runners are found; the view's type is forgotten here.
type Make = Box<dyn FnOnce(&Builder) -> Result<(Arc<dyn Processor>, Arc<Seats>)> + Send>;

/// A daemon that is being set up.
#[must_use]
pub struct Builder {
    store: Arc<dyn EventStore>,
    settings: Settings,
    codecs: Codecs,
    clock: Arc<dyn Clock>,
    epoch: u64,
    projections: Vec<(ProjectionId, Make)>,
    wrong: Option<Error>,
}

impl Builder {
    /// With these settings.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Decodes with these codecs.
    pub fn codecs(mut self, codecs: Codecs) -> Self {
        self.codecs = codecs;
        self
    }

    /// Takes times and jitter from this clock.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Runs under this epoch, 1 if nothing is said: whoever runs the same projections under a lower one can commit
    /// nothing any more. Of several under the same epoch the latest to open a place has it.
    pub fn epoch(mut self, epoch: u64) -> Self {
        self.epoch = epoch;
        self
    }

    /// Adds a projection, and the view that it fills.
    pub fn project<V: View>(self, projection: impl Projection<V::Rows>, view: V) -> Self {
        let definition = Definition::of(projection);
        self.define(definition, view)
    }

    /// Adds a projection that was defined by other means, such as [`project_fn`](super::project_fn). An error is told by
    /// [`start`](Self::start).
    pub fn define<V: View>(mut self, definition: Result<Definition<V::Rows>>, view: V) -> Self {
        match definition {
            Ok(definition) => {
                let id = definition.id().clone();
                let view = Arc::new(view);
                self.projections.push((id, Box::new(|set_up| make(set_up, definition, view))));
            }
            Err(error) => self.wrong = self.wrong.or(Some(error)),
        }
        self
    }

    /// Starts all runners, on the runtime of the caller.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) when a name or a selection breaks a bound, or two projections share name and
    /// version.
    pub fn start(mut self) -> Result<Daemon> {
        if let Some(error) = self.wrong {
            return Err(error);
        }
        let projections = std::mem::take(&mut self.projections);
        let mut ids: Vec<_> = projections.iter().map(|(id, _)| id.clone()).collect();
        ids.sort();
        if let Some((twice, _)) = ids.iter().zip(ids.iter().skip(1)).find(|(one, other)| one == other) {
            return Err(Error::invalid(format!("projection {twice} is given twice")));
        }
        let (mut tasks, stop, mut seats) = (JoinSet::new(), watch::Sender::new(false), Vec::new());
        for (_, make) in projections {
            let (processor, of_projection) = make(&self)?;
            for partition in self.store.properties().partitions.all() {
                let run = processor.run(partition, self.epoch, stop.subscribe());
                // How it ended stands in its status.
                tasks.spawn(async move { drop(run.await) });
            }
            seats.push(of_projection);
        }
        Ok(Daemon { store: self.store, seats, tasks, stop })
    }
}

fn make<V: View>(
    set_up: &Builder,
    definition: Definition<V::Rows>,
    view: Arc<V>,
) -> Result<(Arc<dyn Processor>, Arc<Seats>)> {
    let projector = Projector::new(Arc::clone(&set_up.store), definition, view)?
        .settings(set_up.settings.clone())
        .codecs(set_up.codecs.clone())
        .clock(Arc::clone(&set_up.clock));
    let seats = projector.seats();
    Ok((Arc::new(projector), seats))
}

/// Runs all partitions of several projections, each by itself: one that fails or waits holds no other up.
///
/// Dropped, it stops where it is: what was about to be committed is then committed or not.
/// [`shutdown`](Self::shutdown) is kinder.
pub struct Daemon {
    store: Arc<dyn EventStore>,
    seats: Vec<Arc<Seats>>,
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
}

impl Daemon {
    /// A daemon over this store, without projections.
    pub fn builder(store: impl EventStore) -> Builder {
        Builder {
            store: Arc::new(store),
            settings: Settings::default(),
            codecs: Codecs::default(),
            clock: Arc::new(SystemClock),
            epoch: 1,
            projections: Vec::new(),
            wrong: None,
        }
    }

    /// How each projection is doing in each partition.
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
                let partition = status.partition;
                let parked: Vec<_> = status.parked.values().cloned().collect();
                parked.into_iter().map(move |parked| (partition, parked))
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
        let mut status = self.find(projection, self.partition_of(aggregate))?.status;
        let is_decided = |status: &Status| {
            let is_there = status.checkpoint.is_some_and(|checkpoint| checkpoint >= receipt.position);
            is_there || matches!(status.state, State::Stopped(_))
        };
        let status = status.wait_for(is_decided).await.map_err(|_| stopped(projection, "its task ended"))?;
        if status.checkpoint.is_none_or(|checkpoint| checkpoint < receipt.position) {
            return Err(stopped(projection, &status.state.to_string()));
        }
        match status.parked.get(aggregate.cardinal()) {
            Some(parked) if parked.position <= receipt.position => Err(is_parked(projection, parked)),
            _ => Ok(()),
        }
    }

    /// Stops all runners, each after its batch, and returns when they have.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
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
            Error::invalid(format!("no projection {projection:?} runs here"))
                .advice("look at the names it was built with")
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

impl fmt::Debug for Daemon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Daemon").field("running", &self.seats).finish_non_exhaustive()
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<_> = self.projections.iter().map(|(id, _)| id).collect();
        f.debug_struct("Builder").field("projections", &ids).finish_non_exhaustive()
    }
}
