//! Making a view anew by request.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::clock::{self, Clock, SystemClock};
use crate::codec::Codecs;
use crate::error::{Error, ErrorKind, Result};
use crate::partition::PartitionId;
use crate::processor::{Processor, ProcessorId, ProcessorStatus, Run, caught};
use crate::projection::definition::{Definition, Projection};
use crate::projection::generation::{Demands, Generational};
use crate::projection::rebuild_ground::Ground;
use crate::projection::rebuild_rows::RebuildRows;
use crate::projection::rebuild_work::Work;
use crate::projection::settings::Settings;
use crate::store::EventStore;
use crate::stream::Position;

/// Makes a view anew, and switches readers over, when [`RebuildRows`] ask for it: from any process, such as
/// `sidestream rebuild` on the command line.
///
/// It is a [processor](crate::processor) that spans partitions: given to a [runtime](crate::runtime), whoever holds its lease
/// has the rules, carries requests out with a [`Rebuild`](super::Rebuild) in its own process, and tells how far that is; it looks for them
/// once in [`Settings::polling`]'s longest pause. When it dies, the next holder goes on from there.
///
/// ```
/// use std::sync::Arc;
///
/// use sidestream::MemoryStore;
/// use sidestream::projection::{Demands, Event, Failure, MemoryContent, MemoryView, Projection, Rebuilder};
/// use sidestream::runtime::Runtime;
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
/// // A switch demands that both generations have the same rows.
/// let same = || Demands::same(MemoryContent::new(|count: &u64| count.to_le_bytes().to_vec()));
/// let rebuilder = Rebuilder::new(store.clone(), ("counts", view.clone()), same)?.project(Count)?;
/// let service = Runtime::builder(store).project(Count, view).processor(Arc::new(rebuilder)).start()?;
/// // … from now on: sidestream rebuild counts --switch --by ada --reason 'new rules' --store …
/// service.shutdown().await;
/// # Ok::<(), sidestream::Error>(())
/// # }).unwrap();
/// ```
pub struct Rebuilder<V: Generational> {
    id: ProcessorId,
    ground: Ground<V>,
    status: Arc<Mutex<Option<ProcessorStatus>>>,
}

impl<V: Generational> Rebuilder<V> {
    /// What makes a view anew that is known by this name, from the log of this store. `demands` says what a switch demands;
    /// an operator may allow more to be parked.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) when the name breaks a bound.
    pub fn new(
        store: impl EventStore,
        (name, view): (&str, V),
        demands: impl Fn() -> Demands<V::Content> + Send + Sync + 'static,
    ) -> Result<Self> {
        let store: Arc<dyn EventStore> = Arc::new(store);
        let rows = RebuildRows::new(Arc::clone(&store), name)?;
        let ground = Ground {
            store,
            view,
            rows,
            definitions: Vec::new(),
            demands: Arc::new(demands),
            settings: Settings::default(),
            codecs: Codecs::default(),
            clock: Arc::new(SystemClock),
        };
        Ok(Self { id: ProcessorId::new(format!("rebuild {name}"))?, ground, status: Arc::default() })
    }

    /// Adds a projection of the view, in the version that is to be live. All of the view's have to be added.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) when its name or its selection breaks a bound.
    pub fn project(self, projection: impl Projection<V::Rows>) -> Result<Self> {
        Ok(self.define(Definition::of(projection)?))
    }

    /// Adds a projection that was defined by other means.
    #[must_use]
    pub fn define(mut self, definition: Definition<V::Rows>) -> Self {
        self.ground.definitions.push(definition);
        self
    }

    /// Builds with these settings.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.ground.settings = settings;
        self
    }

    /// Decodes with these codecs.
    #[must_use]
    pub fn codecs(mut self, codecs: Codecs) -> Self {
        self.ground.codecs = codecs;
        self
    }

    /// Takes times and jitter from this clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.ground.clock = clock;
        self
    }
}

impl<V: Generational> Processor for Rebuilder<V> {
    fn id(&self) -> &ProcessorId {
        &self.id
    }

    fn run(&self, _: PartitionId, epoch: u64, stop: watch::Receiver<bool>) -> Run {
        let (ground, status) = (self.ground.clone(), Arc::clone(&self.status));
        let tell = move |state: String| {
            let told =
                ProcessorStatus { state, checkpoint: None, head: Position::START, oldest: None, parked: 0 };
            *status.lock().unwrap_or_else(PoisonError::into_inner) = Some(told);
        };
        tell("it starts".to_owned());
        Box::pin(keep(ground, epoch, tell, stop))
    }

    fn spans_partitions(&self) -> bool {
        true
    }

    fn status(&self, _: PartitionId) -> Option<ProcessorStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Serves until it is told to stop, and begins again after what may pass.
async fn keep<V: Generational>(
    ground: Ground<V>,
    epoch: u64,
    tell: impl Fn(String) + Send + Sync,
    mut stop: watch::Receiver<bool>,
) -> Result<()> {
    loop {
        let panicked = || Err(Error::new(ErrorKind::Unknown, "a rebuild panicked"));
        let served = caught(serve(&ground, epoch, &tell, stop.clone())).await;
        let Err(error) = served.unwrap_or_else(panicked) else { return Ok(()) };
        tracing::warn!(%error, view = ground.rows.name(), "requests to rebuild are not carried out");
        tell(error.to_string());
        if matches!(error.kind(), ErrorKind::Fenced | ErrorKind::Corrupt) {
            return Err(error);
        }
        tokio::select! {
            () = clock::sleep(ground.pause()) => {}
            told = stop.wait_for(|stop| *stop) => { drop(told); return Ok(()) }
        }
    }
}

async fn serve<V: Generational>(
    ground: &Ground<V>,
    epoch: u64,
    tell: impl Fn(String),
    mut stop: watch::Receiver<bool>,
) -> Result<()> {
    let mut work = Work::open(ground, epoch).await?;
    loop {
        work.look().await?;
        tell(work.told());
        tokio::select! {
            () = clock::sleep(ground.pause()) => {}
            told = stop.wait_for(|stop| *stop) => { drop(told); break }
        }
    }
    work.stop().await;
    Ok(())
}

impl<V: Generational> fmt::Debug for Rebuilder<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rebuilder").field("id", &self.id).finish_non_exhaustive()
    }
}
