//! A service put together: command handlers with their recovery, processors with their leases. One thing to start, and one
//! to stop.
//!
//! ```
//! use sidestream::projection::{Event, Failure, MemoryView, Projection};
//! use sidestream::runtime::{Runtime, RuntimeSettings};
//! use sidestream::MemoryStore;
//!
//! struct Count;
//!
//! impl Projection<u64> for Count {
//!     const NAME: &'static str = "count";
//!
//!     async fn apply(&self, rows: &mut u64, _event: &Event<'_>) -> Result<(), Failure> {
//!         *rows += 1;
//!         Ok(())
//!     }
//! }
//!
//! # sidestream::testkit::run(async {
//! let service = Runtime::builder(MemoryStore::new())
//!     .settings(RuntimeSettings::default()) // plain data, from your own configuration
//!     .project(Count, MemoryView::<u64>::new())
//!     .start()?; // and `.recover(accounts.clone())` for each command handler
//! let mut cluster = service.cluster();
//! let all = |status: &sidestream::cluster::ClusterStatus| status.held.len() == 16;
//! cluster.wait_for(all).await.expect("it runs"); // alone, it gets all partitions
//! service.shutdown().await;
//! # Ok::<(), sidestream::Error>(())
//! # }).unwrap();
//! ```
//!
//! A [`MemoryView`](crate::projection::MemoryView) belongs to one process: where several share the partitions, views must
//! live where all of them reach them.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use crate::buffer::EventBuffer;
use crate::clock::{self, Clock, SystemClock};
use crate::cluster::{ClusterSettings, ClusterStatus, Worker};
use crate::codec::Codecs;
use crate::command::{CommandHandler, Recovery};
use crate::decider::Decider;
use crate::error::{Error, Result};
use crate::process::{ProcessManager, Processes};
use crate::processor::Processor;
use crate::projection::{self, Definition, Projection, Projections, View};
use crate::store::EventStore;

/// Settings of a service. Plain data: put it into your own configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RuntimeSettings {
    /// How partitions are shared with other processes.
    pub cluster: ClusterSettings,
    /// How projections are run.
    pub projection: projection::Settings,
    /// How long is waited between two sweeps for open steps, in milliseconds. The first one begins at the start.
    pub sweep_every_ms: u64,
    /// How old an open step must be for a sweep to settle it, in milliseconds: longer than a command takes.
    pub sweep_older_than_ms: u64,
}

impl Default for RuntimeSettings {
    fn default() -> Self {
        Self {
            cluster: ClusterSettings::default(),
            projection: projection::Settings::default(),
            sweep_every_ms: 10_000,
            sweep_older_than_ms: 30_000,
        }
    }
}

/// Makes a projection a processor; the view's type is forgotten here.
type Make = Box<dyn FnOnce(&mut Projections) -> Result<Arc<dyn Processor>> + Send>;

/// A service that is being put together.
#[must_use]
pub struct Builder {
    store: Arc<dyn EventStore>,
    settings: RuntimeSettings,
    codecs: Codecs,
    clock: Arc<dyn Clock>,
    sweeps: Vec<Arc<dyn Sweep>>,
    made: Vec<Make>,
    processors: Vec<Arc<dyn Processor>>,
    wrong: Option<Error>,
}

impl Builder {
    /// With these settings.
    pub fn settings(mut self, settings: RuntimeSettings) -> Self {
        self.settings = settings;
        self
    }

    /// Projections decode with these codecs.
    pub fn codecs(mut self, codecs: Codecs) -> Self {
        self.codecs = codecs;
        self
    }

    /// Takes times, ids and jitter from this clock.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Settles open steps of this handler's aggregates, from time to time. Every process may do so.
    pub fn recover<D: Decider>(mut self, handler: CommandHandler<D>) -> Self {
        self.sweeps.push(Arc::new(handler));
        self
    }

    /// Adds a projection, and the view that it fills.
    pub fn project<V: View>(self, projection: impl Projection<V::Rows>, view: V) -> Self {
        let definition = Definition::of(projection);
        self.define(definition, view)
    }

    /// Adds a projection that was defined by other means. An error is told by [`start`](Self::start).
    pub fn define<V: View>(mut self, definition: Result<Definition<V::Rows>>, view: V) -> Self {
        match definition {
            Ok(definition) => {
                let view = Arc::new(view);
                self.made.push(Box::new(|projections| projections.add(definition, view)));
            }
            Err(error) => self.wrong = self.wrong.or(Some(error)),
        }
        self
    }

    /// Adds a processor of another kind.
    pub fn processor(mut self, processor: Arc<dyn Processor>) -> Self {
        self.processors.push(processor);
        self
    }

    /// Sends this buffer's messages. An error is told by [`start`](Self::start).
    pub fn buffer(self, buffer: &EventBuffer) -> Self {
        self.add(buffer.processors())
    }

    /// Tells these processes of events and deadlines, and settles their open steps. What they ask for is carried out by the
    /// buffer that they joined, which is given apart. An error is told by [`start`](Self::start).
    ///
    /// ```
    /// # use async_trait::async_trait;
    /// # use serde::{Deserialize, Serialize};
    /// # use sidestream::Category;
    /// # use sidestream::process::{Dispatch, ProcessManager, Reaction};
    /// # #[derive(Clone, Serialize, Deserialize)] struct Order;
    /// # #[derive(Serialize, Deserialize)] struct Bill;
    /// # struct Orders;
    /// # impl ProcessManager for Orders {
    /// #     const CATEGORY: Category = Category::new("order");
    /// #     type Input = Order; type Command = Bill; type Rejection = (); type State = ();
    /// #     fn evolve(_: &mut (), _: &Order) {}
    /// #     fn react(&self, _: &(), _: &Order) -> Result<Reaction<Self>, ()> {
    /// #         Ok(Reaction::none().dispatch(Bill).complete())
    /// #     }
    /// # }
    /// # struct Billing(tokio::sync::mpsc::Sender<TransactionId>);
    /// # #[async_trait]
    /// # impl Dispatch<Orders> for Billing {
    /// #     async fn dispatch(&self, _: Bill, id: TransactionId) -> sidestream::Result<Option<Order>> {
    /// #         self.0.send(id).await.ok();
    /// #         Ok(None)
    /// #     }
    /// # }
    /// use sidestream::buffer::EventBuffer;
    /// use sidestream::process::Processes;
    /// use sidestream::runtime::Runtime;
    /// use sidestream::{AggregateId, MemoryStore, TransactionId};
    ///
    /// # sidestream::testkit::run(async {
    /// # let (sender, mut billed) = tokio::sync::mpsc::channel(1);
    /// # let billing = Billing(sender);
    /// let store = MemoryStore::new();
    /// let orders = Processes::new(store.clone(), Orders, billing); // the rules, and who carries commands out
    /// let buffer = orders.join(EventBuffer::new(store.clone()))?;
    /// let service = Runtime::builder(store).buffer(&buffer).processes(&orders).start()?;
    /// orders.hear(&AggregateId::new("7")?, TransactionId::derive("order", "7"), Order).await?;
    /// # billed.recv().await.expect("it is billed");
    /// service.shutdown().await;
    /// # Ok::<(), sidestream::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn processes<P: ProcessManager>(self, processes: &Processes<P>) -> Self {
        self.add(processes.processors()).recover(processes.handler().clone())
    }

    fn add(mut self, made: Result<Vec<Arc<dyn Processor>>>) -> Self {
        match made {
            Ok(processors) => self.processors.extend(processors),
            Err(error) => self.wrong = self.wrong.or(Some(error)),
        }
        self
    }

    /// Starts everything, on the runtime of the caller.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when settings, a name or a selection break a bound, or two processors share a
    /// name.
    pub fn start(self) -> Result<Runtime> {
        if let Some(error) = self.wrong {
            return Err(error);
        }
        let RuntimeSettings { cluster, projection, sweep_every_ms, sweep_older_than_ms } = self.settings;
        let mut projections = Projections::new(Arc::clone(&self.store))
            .settings(projection)
            .codecs(self.codecs)
            .clock(Arc::clone(&self.clock));
        let mut processors = self.processors;
        for make in self.made {
            processors.push(make(&mut projections)?);
        }
        let worker = Worker::new(self.store, processors, cluster, &*self.clock)?;
        let (status, stop, mut tasks) = (worker.status(), watch::Sender::new(false), JoinSet::new());
        let mut parts = vec![tasks.spawn(worker.run(stop.subscribe()))];
        let swept: Arc<[Swept]> = self.sweeps.iter().map(|_| Swept::default()).collect();
        let every = Duration::from_millis(sweep_every_ms.max(1));
        for (at, handler) in self.sweeps.into_iter().enumerate() {
            let (swept, stop) = (Arc::clone(&swept), stop.subscribe());
            let older_than = Duration::from_millis(sweep_older_than_ms);
            let work = async move { sweep(&*handler, swept.get(at), (every, older_than), stop).await };
            parts.push(tasks.spawn(work));
        }
        Ok(Runtime { projections, cluster: status, swept, tasks, parts, stop })
    }
}

/// A service that runs. Dropped, it ends as a process that is killed: its leases expire, then others take over.
/// [`shutdown`](Self::shutdown) is kinder.
pub struct Runtime {
    projections: Projections,
    cluster: watch::Receiver<ClusterStatus>,
    swept: Arc<[Swept]>,
    tasks: JoinSet<()>,
    /// The same tasks, to be looked at.
    parts: Vec<AbortHandle>,
    stop: watch::Sender<bool>,
}

/// How a service is doing.
#[derive(Debug, Clone)]
pub struct RuntimeStatus {
    /// Whether all of its parts run. One that does not has panicked, and its log says why: start the service again.
    pub is_whole: bool,
    /// What it holds, who else is there, and what nobody runs.
    pub cluster: ClusterStatus,
    /// What the last sweep of each handler did, in the order in which they were given; `None` before the first one is
    /// done.
    pub sweeps: Vec<Option<Result<Recovery>>>,
}

impl Runtime {
    /// A service over this store, with nothing in it.
    pub fn builder(store: impl EventStore) -> Builder {
        Builder {
            store: Arc::new(store),
            settings: RuntimeSettings::default(),
            codecs: Codecs::default(),
            clock: Arc::new(SystemClock),
            sweeps: Vec::new(),
            made: Vec::new(),
            processors: Vec::new(),
            wrong: None,
        }
    }

    /// How it is doing.
    #[must_use]
    pub fn status(&self) -> RuntimeStatus {
        let last = |swept: &Swept| swept.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        RuntimeStatus {
            is_whole: !self.parts.iter().any(AbortHandle::is_finished),
            cluster: self.cluster.borrow().clone(),
            sweeps: self.swept.iter().map(last).collect(),
        }
    }

    /// What it holds and who else is there, now and after each round.
    #[must_use]
    pub fn cluster(&self) -> watch::Receiver<ClusterStatus> {
        self.cluster.clone()
    }

    /// Its projections, as far as they run in this process.
    #[must_use]
    pub fn projections(&self) -> &Projections {
        &self.projections
    }

    /// Stops sweeps and runs, each after what it is about, releases all leases, and returns when that is done: after a
    /// lease time and a few rounds at most. Command handlers are the caller's: stop calling them first.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
    }
}

/// What a handler's last sweep did.
#[derive(Debug, Default)]
struct Swept(Mutex<Option<Result<Recovery>>>);

/// Whoever settles open steps; the decider's type is forgotten here.
#[async_trait]
trait Sweep: Send + Sync + 'static {
    async fn sweep(&self, older_than: Duration) -> Result<Recovery>;
}

#[async_trait]
impl<D: Decider> Sweep for CommandHandler<D> {
    async fn sweep(&self, older_than: Duration) -> Result<Recovery> {
        self.recover(older_than).await
    }
}

/// Sweeps until it is told to stop.
async fn sweep(
    handler: &dyn Sweep,
    swept: Option<&Swept>,
    (every, older_than): (Duration, Duration),
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let done = tokio::select! {
            told = stop.wait_for(|stop| *stop) => return drop(told),
            done = handler.sweep(older_than) => done,
        };
        if let Err(error) = &done {
            tracing::warn!(%error, "a sweep for open steps failed: the next one tries again");
        }
        if let Some(Swept(last)) = swept {
            *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(done);
        }
        tokio::select! {
            told = stop.wait_for(|stop| *stop) => return drop(told),
            () = clock::sleep(every) => {}
        }
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").field("projections", &self.projections).finish_non_exhaustive()
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("settings", &self.settings).finish_non_exhaustive()
    }
}
