//! Making a view anew beside the live one.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::clock::{self, Clock, Stopwatch};
use crate::codec::Codecs;
use crate::error::{Error, ErrorKind, Result};
use crate::limits;
use crate::processor::Processor;
use crate::projection::definition::{Definition, Projection};
use crate::projection::generation::{Demands, Generational, Stand, Switched};
use crate::projection::projections::Projections;
use crate::projection::rebuild_progress::{RebuildProgress, is_near};
use crate::projection::settings::Settings;
use crate::store::EventStore;

/// How long the live generation is held at most before it is switched.
const HOLD: Duration = Duration::from_secs(5);
/// How often it is looked how far a rebuild is.
const LOOK: Duration = Duration::from_millis(2);

/// Builds another generation of a view from the log's beginning, while the live one goes on, and switches readers over.
///
/// All projections of the view are built anew together, each in all partitions. A partition's events are applied in order,
/// those of others beside them, as far as the view has threads for it: a [`SqliteView`](super::SqliteView) has one
/// for each generation. No place gets ahead of the live generation: so each event is a
/// [replay](super::Event::is_replay), and both can come to stand at the same positions.
///
/// It is resumable: what was built stays where it is when the process dies, and [`begin`](Self::begin) finds it. Several
/// processes may share the work: each begins the same rebuild, and gives what [`project`](Self::project) returns to its
/// workers as [processors](crate::processor). In one process, [`start`](Self::start) is enough.
///
/// What the projections of the new generation do, and what is parked there, is told and asked for as of a
/// [`Daemon`](super::Daemon), by [`Projections`].
///
/// ```
/// use sidestream::projection::{Daemon, Demands, Event, Failure, MemoryContent, MemoryView, Projection, Rebuild};
/// use sidestream::MemoryStore;
///
/// struct Count;
///
/// impl Projection<u64> for Count {
///     const NAME: &'static str = "count";
///
///     async fn apply(&self, rows: &mut u64, _event: &Event<'_>) -> Result<(), Failure> {
///         *rows += 1;
///         Ok(())
///     }
/// }
///
/// # sidestream::testkit::run(async {
/// let (store, view) = (MemoryStore::new(), MemoryView::<u64>::new());
/// let daemon = Daemon::builder(store.clone()).project(Count, view.clone()).start()?;
/// // … years later:
/// let mut rebuild = Rebuild::begin(store, &view).await?;
/// rebuild.project(Count)?;
/// rebuild.start();
/// rebuild.caught_up().await?;
/// let same = MemoryContent::new(|count: &u64| count.to_le_bytes().to_vec());
/// let switched = rebuild.switch(Demands::same(same)).await?;
/// assert_eq!((switched.from, switched.to), (1, 2));
/// rebuild.shutdown().await;
/// daemon.shutdown().await;
/// # Ok::<(), sidestream::Error>(())
/// # }).unwrap();
/// ```
pub struct Rebuild<V: Generational> {
    store: Arc<dyn EventStore>,
    live: V,
    built: Arc<V>,
    number: u32,
    projections: Projections,
    processors: Vec<Arc<dyn Processor>>,
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
    begun: Stopwatch,
    begun_at: u64,
}

impl<V: Generational> Rebuild<V> {
    /// Begins to build another generation of a view, or goes on with the one that is being built.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) when the view's database is down, or what was being built was switched or
    /// given up in that moment.
    pub async fn begin(store: impl EventStore, view: &V) -> Result<Self> {
        let (store, live): (Arc<dyn EventStore>, _) = (Arc::new(store), view.clone());
        let built = Arc::new(live.build().await?);
        let number = live.generations().await?.building.ok_or_else(gone)?;
        let begun_at = RebuildProgress::of(&live.stands().await?, &built.stands().await?, (0, HOLD)).done;
        let (projections, processors) = (Projections::new(Arc::clone(&store)), Vec::new());
        let (tasks, stop, begun) = (JoinSet::new(), watch::Sender::new(false), Stopwatch::start());
        Ok(Self { store, live, built, number, projections, processors, tasks, stop, begun, begun_at })
    }

    /// Projections that are added from now on have these settings.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.projections = self.projections.settings(settings);
        self
    }

    /// Projections that are added from now on decode with these codecs.
    #[must_use]
    pub fn codecs(mut self, codecs: Codecs) -> Self {
        self.projections = self.projections.codecs(codecs);
        self
    }

    /// Projections that are added from now on take times and jitter from this clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.projections = self.projections.clock(clock);
        self
    }

    /// Adds a projection of the view, in the version that is to be live. What comes back builds it, for workers that share
    /// partitions by leases; [`start`](Self::start) needs none.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) when its name or its selection breaks a bound.
    pub fn project(&mut self, projection: impl Projection<V::Rows>) -> Result<Arc<dyn Processor>> {
        self.define(Definition::of(projection)?)
    }

    /// Adds a projection that was defined by other means.
    ///
    /// # Errors
    /// As [`project`](Self::project).
    pub fn define(&mut self, definition: Definition<V::Rows>) -> Result<Arc<dyn Processor>> {
        let processor = self.projections.build(definition, (Arc::clone(&self.built), self.number))?;
        self.processors.push(Arc::clone(&processor));
        Ok(processor)
    }

    /// Builds all partitions in this process, on the runtime of the caller.
    pub fn start(&mut self) {
        for processor in self.processors.drain(..) {
            let most = if processor.spans_partitions() { 1 } else { usize::MAX };
            for partition in self.store.properties().partitions.all().take(most) {
                let run = processor.run(partition, 0, self.stop.subscribe());
                // How it ended stands in its status.
                self.tasks.spawn(async move { drop(run.await) });
            }
        }
    }

    /// The number of the generation that is being built.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The view that is being built: to look at it before it is live.
    #[must_use]
    pub fn view(&self) -> &V {
        &self.built
    }

    /// How far it has come, by all processes together.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) when the view's database is down.
    pub async fn progress(&self) -> Result<RebuildProgress> {
        let (live, built) = (self.live.stands().await?, self.built.stands().await?);
        Ok(RebuildProgress::of(&live, &built, (self.begun_at, self.begun.elapsed())))
    }

    /// Returns once it stands so near to the live generation that it can be switched. It waits for as long as it takes.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) when the view's database is down.
    pub async fn caught_up(&self) -> Result<()> {
        while !self.is_near().await? {
            clock::sleep(LOOK).await;
        }
        Ok(())
    }

    /// Whether it stands so near to the live generation that it can be switched.
    pub(super) async fn is_near(&self) -> Result<bool> {
        Ok(is_near(&self.live.stands().await?, &self.built.stands().await?, limits::SWITCH_POSITIONS))
    }

    /// Switches readers over: holds the live generation where it is for a moment, lets the new one come to exactly there,
    /// compares, and makes it live in one commit. Runners of the live one then go on with the new one by themselves, where
    /// they have the version that was built. Stop those of another version before: they would begin anew there.
    ///
    /// # Errors
    /// [`Conflict`](ErrorKind::Conflict) when the two differ in what is demanded, with what differs: the live one goes on,
    /// and what was built stays. [`Unavailable`](ErrorKind::Unavailable) when it has not come near, or a database is down:
    /// nothing was changed. [`Unknown`](ErrorKind::Unknown) when the commit was not answered: look at
    /// [`generations`](Generational::generations).
    pub async fn switch(&self, demands: Demands<V::Content>) -> Result<Switched> {
        let progress = self.progress().await?;
        if progress.to_do > limits::SWITCH_POSITIONS {
            return Err(Error::new(ErrorKind::Unavailable, "the rebuild has not caught up")
                .expected(format!("at most {} positions to do", limits::SWITCH_POSITIONS), progress.to_do)
                .advice("wait for `caught_up`, then switch again"));
        }
        let hold = self.live.hold().await?;
        // What does not come in time is told by the comparison.
        if let Some(reached) = clock::within(HOLD, self.reach(hold.stands())).await {
            reached?;
        }
        hold.switch(demands).await
    }

    /// Returns when every place stands where the live one is held.
    async fn reach(&self, live: &[Stand]) -> Result<()> {
        loop {
            let built = self.built.stands().await?;
            if is_near(live, &built, 0) {
                return Ok(());
            }
            clock::sleep(LOOK).await;
        }
    }

    /// Stops what [`start`](Self::start) began, each place after its batch, and returns when that is done. What was built
    /// stays.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
    }

    /// Stops, and removes what was built.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) when the view's database is down.
    pub async fn give_up(self) -> Result<()> {
        let live = self.live.clone();
        self.shutdown().await;
        live.give_up().await
    }
}

/// What was begun, or gone on with, is no longer being built: a switch that nobody waited for any more came to its end.
fn gone() -> Error {
    Error::new(ErrorKind::Unavailable, "what was being built was switched or given up in this moment")
        .advice("look at the view's generations, then begin again where that is still wanted")
}

impl<V: Generational> Deref for Rebuild<V> {
    type Target = Projections;

    fn deref(&self) -> &Projections {
        &self.projections
    }
}

impl<V: Generational> fmt::Debug for Rebuild<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rebuild")
            .field("number", &self.number)
            .field("projections", &self.projections)
            .finish_non_exhaustive()
    }
}
