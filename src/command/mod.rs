//! The front door: commands in, outcomes out, each exactly once for ever.

mod aggregate;
mod caller;
mod compact;
mod drive;
mod lane;
mod list;
mod load;
mod outcome;
mod pressure;
mod presumption;
mod records;
mod recover;
mod reply;
mod round;
mod settings;
mod shared;
mod stage;
mod task;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Semaphore, mpsc, oneshot};

pub use outcome::{Outcome, Receipt};
pub use pressure::Pressure;
pub use recover::Recovery;
pub use reply::{Reply, ReplyHandler};
pub use settings::{Settings, Stats};

use crate::clock::{Clock, SystemClock};
use crate::codec::Codecs;
use crate::decider::{Decider, guarded};
use crate::error::{Error, ErrorKind, Result};
use crate::event;
use crate::id::{Fingerprint, StepName, TransactionId};
use crate::partition::PartitionId;
use crate::side_stream::SideStream;
use crate::store::{EventStore, ReadFrom};
use crate::stream::{AggregateId, Version};
use caller::{Caller, Ending, Finished};
use lane::{Job, Lane};
use round::Query;
use settings::Counters;
use shared::Shared;
use task::{Ask, Purpose, Task};

/// Replies that may wait for their handler.
const REPLY_QUEUE: usize = 4_096;

/// Handles the commands of one kind of aggregate. Cheap to clone; clones share lanes and cache.
///
/// Its lanes run on the tokio runtime that the first command of each partition comes from, and end once
/// all clones are gone and all that was asked is answered.
///
/// Dropping a future that a method returned does not undo the command: it is carried out or not, and the
/// same call with the same id tells which.
pub struct CommandHandler<D: Decider> {
    shared: Arc<Shared<D>>,
    /// By partition; begun by its first command.
    lanes: Arc<[Slot<D>]>,
}

type Slot<D> = Mutex<Option<Entrance<D>>>;

/// Where a lane takes its work from.
struct Entrance<D: Decider> {
    jobs: mpsc::Sender<Job<D>>,
    /// Room for tasks that come in lists; a list is one job however long it is.
    list_room: Arc<Semaphore>,
}

impl<D: Decider> CommandHandler<D> {
    /// A handler with default settings.
    pub fn new(store: impl EventStore, decider: D) -> Self {
        Self::builder(store, decider).build()
    }

    /// Begins a handler with settings of your own.
    pub fn builder(store: impl EventStore, decider: D) -> Builder<D> {
        const { assert!(D::SCHEMAS.rejection != outcome::OVERRULED_SCHEMA, "schema versions start at 1") };
        Builder {
            store: Arc::new(store),
            decider,
            codecs: Codecs::default(),
            settings: Settings::default(),
            clock: Arc::new(SystemClock),
            replies: None,
            pressure: None,
        }
    }

    /// Handles a command and waits for its outcome. Whoever calls again with the same transaction id, step
    /// and content hears the same outcome and nothing happens twice, however much later and in whichever
    /// process.
    ///
    /// # Errors
    /// By [kind](ErrorKind): `Conflict` when the step is known with another content; `Invalid` when the
    /// command breaks a bound or the rules failed on it; `InProgress`, `Contended`, `Overloaded` and
    /// `Unavailable` to retry later with the same id; `Unknown` when nobody can say yet: retry with the
    /// same id to hear; `Corrupt` and `LostHistory` when this aggregate cannot go on.
    pub async fn handle(
        &self,
        aggregate: &AggregateId,
        transaction: TransactionId,
        command: D::Command,
    ) -> Result<Outcome<D::Rejection>> {
        let purpose = Purpose::Handle(self.ask(command, None)?);
        let ending = self.send(aggregate.clone(), transaction, purpose).await?;
        outcome_of(answered(ending).await?)
    }

    /// Records a command durably and returns; it is settled right after, by this process or, should that
    /// die, by a recovery sweep. The outcome goes to the [`ReplyHandler`] under `requester`, if one is
    /// given, and can be asked for with [`outcome`](Self::outcome).
    ///
    /// # Errors
    /// As [`handle`](Self::handle). A step that was submitted or settled before is fine.
    pub async fn submit(
        &self,
        aggregate: &AggregateId,
        transaction: TransactionId,
        command: D::Command,
        requester: Option<String>,
    ) -> Result<()> {
        let purpose = Purpose::Submit(self.ask(command, requester)?);
        let ending = self.send(aggregate.clone(), transaction, purpose).await?;
        answered(ending).await.map(|_| ())
    }

    /// What a step came to; `None` when nobody asked for it.
    ///
    /// # Errors
    /// `InProgress` while it is open; otherwise as [`handle`](Self::handle).
    pub async fn outcome(
        &self,
        aggregate: &AggregateId,
        transaction: TransactionId,
        step: &StepName,
    ) -> Result<Option<Outcome<D::Rejection>>> {
        let stream = D::CATEGORY.side_stream(aggregate, transaction);
        let mut records = Vec::new();
        let mut after = Version::EMPTY;
        loop {
            let page = self.shared.page(&stream, ReadFrom::After(after)).await?;
            let more = page.has_more();
            records.extend(page.records);
            after = records.last().map_or(after, |record| record.version);
            if !more {
                break;
            }
        }
        let side = SideStream::fold(&records)?;
        if side.open.is_some_and(|open| open.step == *step) {
            return Err(Error::new(ErrorKind::InProgress, format!("step {step} is open")).in_stream(stream));
        }
        let settlement = records.iter().find_map(|record| task::settlement(record, step));
        settlement.map(|settlement| settlement.outcome::<D>(&self.shared.codecs, true)).transpose()
    }

    /// Ends a step that its rules cannot settle: refuses it for good, with an operator's reason. A step that
    /// is settled by now stays as it is, and its outcome is returned.
    ///
    /// # Errors
    /// `Invalid` when the step was never requested; otherwise as [`handle`](Self::handle).
    pub async fn overrule(
        &self,
        aggregate: &AggregateId,
        transaction: TransactionId,
        step: StepName,
        reason: impl Into<String>,
    ) -> Result<Outcome<D::Rejection>> {
        let reason = reason.into();
        let most = self.shared.settings.limits.rejection_bytes;
        if reason.len() > most {
            return Err(Error::invalid("the reason is too long")
                .expected(format!("at most {most} bytes"), reason.len()));
        }
        tracing::warn!(%aggregate, %transaction, %step, reason, "an operator refuses a step");
        let purpose = Purpose::Overrule { step: step.clone(), reason };
        let ending = self.send(aggregate.clone(), transaction, purpose).await?;
        if let Some((_, outcome)) = answered(ending).await?.settled {
            return Ok(outcome);
        }
        let outcome = self.outcome(aggregate, transaction, &step).await?;
        outcome.ok_or_else(|| Error::invalid(format!("step {step} was never requested")))
    }

    /// Looks at an aggregate's state and its version, as of now or later. `look` runs on the aggregate's
    /// lane: keep it short.
    ///
    /// # Errors
    /// When the aggregate cannot be read.
    pub async fn query<T: Send + 'static>(
        &self,
        aggregate: &AggregateId,
        look: impl FnOnce(&D::State, Version) -> T + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let look = move |seen: Result<(&D::State, Version)>| {
            let answer = seen.and_then(|(state, version)| guarded("query", || look(state, version)));
            drop(reply.send(answer));
        };
        self.enqueue(aggregate, Job::Query(Query { aggregate: aggregate.clone(), look: Box::new(look) }))
            .await?;
        answer.await.map_err(|_| not_taken())?
    }

    /// What this handler counted.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.counters.read()
    }

    fn ask(&self, command: D::Command, requester: Option<String>) -> Result<Ask<D::Command>> {
        if let Some(requester) = &requester {
            event::check_requester(requester)?;
        }
        let step = guarded("step", || D::step(&command))?;
        step.check()?;
        let written = guarded("a command's Serialize", || {
            let fingerprint = Fingerprint::of(&step, D::SCHEMAS.command, &command)?;
            Ok::<_, Error>((fingerprint, self.shared.encode_command(&command)?))
        });
        let (fingerprint, content) = written.and_then(|written| written)?;
        Ok(Ask { step, fingerprint, command, content, requester })
    }

    /// Hands a task to its lane, and returns where its ending will come from.
    async fn send(
        &self,
        aggregate: AggregateId,
        transaction: TransactionId,
        purpose: Purpose<D::Command>,
    ) -> Result<oneshot::Receiver<Ending<D>>> {
        let (caller, ending) = oneshot::channel();
        let task = Task::new(&self.shared, aggregate.clone(), transaction, purpose, Caller::Alone(caller));
        self.enqueue(&aggregate, Job::Task(Box::new(task))).await?;
        Ok(ending)
    }

    async fn enqueue(&self, aggregate: &AggregateId, job: Job<D>) -> Result<()> {
        let partition = self.shared.properties.partitions.of(aggregate.cardinal());
        self.entrance(partition)?.jobs.send(job).await.map_err(|_| not_taken())
    }

    /// The entrance of a partition's lane, which is begun where it does not run.
    fn entrance(&self, partition: PartitionId) -> Result<Entrance<D>> {
        let slot = self.lanes.get(usize::from(partition.get())).ok_or_else(not_taken)?;
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entrance) = slot.as_ref().filter(|entrance| !entrance.jobs.is_closed()) {
            return Ok(entrance.clone());
        }
        let room = self.shared.settings.limits.lane_queue.max(1);
        let (jobs, taken) = mpsc::channel(room);
        tokio::spawn(Lane::new(Arc::clone(&self.shared), partition).run(taken));
        Ok(slot.insert(Entrance { jobs, list_room: Arc::new(Semaphore::new(room)) }).clone())
    }
}

impl<D: Decider> Clone for Entrance<D> {
    fn clone(&self) -> Self {
        Self { jobs: self.jobs.clone(), list_room: Arc::clone(&self.list_room) }
    }
}

/// Waits for a task's ending.
async fn answered<R>(ending: oneshot::Receiver<Result<Finished<R>>>) -> Result<Finished<R>> {
    ending.await.unwrap_or_else(|_| Err(lane_ended()))
}

fn lane_ended() -> Error {
    Error::new(ErrorKind::Unknown, "the lane ended before it answered")
}

fn not_taken() -> Error {
    Error::new(ErrorKind::Unavailable, "the lane ended; nothing was done")
}

fn outcome_of<R>(finished: Finished<R>) -> Result<Outcome<R>> {
    let outcome = finished.settled.map(|(_, outcome)| outcome);
    outcome.ok_or_else(|| Error::corrupt("a command was answered without an outcome"))
}

impl<D: Decider> Clone for CommandHandler<D> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), lanes: Arc::clone(&self.lanes) }
    }
}

impl<D: Decider> fmt::Debug for CommandHandler<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandHandler")
            .field("category", &D::CATEGORY)
            .field("store", &self.shared.store)
            .finish_non_exhaustive()
    }
}

/// Puts a [`CommandHandler`] together.
pub struct Builder<D: Decider> {
    store: Arc<dyn EventStore>,
    decider: D,
    codecs: Codecs,
    settings: Settings,
    clock: Arc<dyn Clock>,
    replies: Option<Arc<dyn ReplyHandler<D>>>,
    pressure: Option<Arc<dyn Pressure>>,
}

impl<D: Decider> fmt::Debug for Builder<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl<D: Decider> Builder<D> {
    /// Settings: when snapshots are due, bounds.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// The codec that writes, and those that can read.
    #[must_use]
    pub fn codecs(mut self, codecs: Codecs) -> Self {
        self.codecs = codecs;
        self
    }

    /// The clock that the age of open steps is measured by. It should be the store's.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Who tells requesters what their submitted steps came to. Its task is spawned by
    /// [`build`](Self::build), which must then run inside a tokio runtime.
    #[must_use]
    pub fn replies(mut self, handler: impl ReplyHandler<D>) -> Self {
        self.replies = Some(Arc::new(handler));
        self
    }

    /// Who may refuse decisions that send messages, while too many wait.
    #[must_use]
    pub fn pressure(mut self, pressure: impl Pressure) -> Self {
        self.pressure = Some(Arc::new(pressure));
        self
    }

    /// The handler.
    #[must_use]
    pub fn build(self) -> CommandHandler<D> {
        let properties = self.store.properties();
        let shared = Shared {
            store: self.store,
            properties,
            decider: self.decider,
            codecs: self.codecs,
            settings: self.settings,
            clock: self.clock,
            counters: Counters::default(),
            replies: self.replies.map(|handler| reply::dispatch(handler, REPLY_QUEUE)),
            pressure: self.pressure,
        };
        let lanes = properties.partitions.all().map(|_| Mutex::new(None)).collect();
        CommandHandler { shared: Arc::new(shared), lanes }
    }
}
