//! One projection in one partition.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::clock::{self, Clock, SystemClock};
use crate::codec::Codecs;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Record;
use crate::feed::FeedPage;
use crate::metric::Figures;
use crate::partition::PartitionId;
use crate::processor::ProcessorId;
use crate::projection::bound::Bound;
use crate::projection::ceiling::Below;
use crate::projection::checkpoint::Checkpoint;
use crate::projection::definition::Definition;
use crate::projection::failure::ViewFailure;
use crate::projection::parked::{Action, Audited, Operator, Parked, kept};
use crate::projection::place::Place;
use crate::projection::post::Post;
use crate::projection::request::Request;
use crate::projection::session::{Halt, Parts, Session};
use crate::projection::settings::Settings;
use crate::projection::source::{Page, Path, Source};
use crate::projection::status::{State, Status};
use crate::projection::view::{Change, View};
use crate::store::EventStore;

/// Carries one projection through one partition, until it is told to stop or cannot go on.
///
/// It may be dropped at any await: what it was about to commit is then committed or not, and the next runner goes on
/// from there.
pub struct Runner<V: View> {
    pub(super) parts: Parts<V>,
    requests: mpsc::Receiver<Request>,
    stop: watch::Receiver<bool>,
    pub(super) post: Post,
    /// Tries in vain since something was committed.
    in_vain: u32,
}

impl<V: View> Runner<V> {
    /// A runner under an epoch. `requests` is where operators' requests come from, and `stop` turns true when it is to
    /// stop after its batch.
    #[must_use]
    pub fn new(
        (store, partition): (Arc<dyn EventStore>, PartitionId),
        (definition, view): (Definition<V::Rows>, Arc<V>),
        epoch: u64,
        requests: mpsc::Receiver<Request>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        // One runner carries all of a join.
        let partition = if definition.is_join() { PartitionId::new(0) } else { partition };
        let projection = definition.id().clone();
        let place = Place { projection: projection.clone(), store: store.properties().id, partition };
        let figures = Figures::of(&projection, partition);
        let parts = Parts {
            store,
            view,
            definition,
            place,
            epoch,
            settings: Settings::default(),
            codecs: Codecs::default(),
            clock: Arc::new(SystemClock),
            status: watch::Sender::new(Status::new(projection, partition)),
            figures,
            bound: None,
        };
        Self { parts, requests, stop, post: Post::default(), in_vain: 0 }
    }

    /// With these settings.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.parts.settings = settings;
        self
    }

    /// Decodes with these codecs.
    #[must_use]
    pub fn codecs(mut self, codecs: Codecs) -> Self {
        self.parts.codecs = codecs;
        self
    }

    /// Takes times and jitter from this clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.parts.clock = clock;
        self
    }

    /// Builds a generation, and goes no further than its bound. Its figures have a name of their own.
    pub(super) fn building(mut self, bound: Arc<dyn Bound>, name: &ProcessorId) -> Self {
        self.parts.bound = Some(bound);
        self.parts.figures = Figures::of(name, self.parts.place.partition);
        self
    }

    /// How it is doing, now and later.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Status> {
        self.parts.status.subscribe()
    }

    /// Runs until it is told to stop. Databases that are down are waited for.
    ///
    /// # Errors
    /// [`Fenced`](ErrorKind::Fenced) when somebody else has the place: it must not be started again.
    /// [`Corrupt`](ErrorKind::Corrupt) when the log does not continue a stream or a record was altered,
    /// [`LostHistory`](ErrorKind::LostHistory) when the log is shorter than what was applied: look before it is started
    /// again. Others, such as a projection's that cannot prepare its rows, may pass.
    pub async fn run(&mut self) -> Result<()> {
        loop {
            let error = match self.serve().await {
                Ok(()) | Err(Halt::Told) => {
                    self.parts.tell(State::Stopped(None));
                    return Ok(());
                }
                Err(Halt::Again) => continue,
                Err(Halt::Failed(error)) => error,
            };
            if !matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Unknown) {
                self.parts.tell(State::Stopped(Some(error.clone())));
                return Err(error);
            }
            tracing::warn!(%error, place = %self.parts.place, "a projection waits for a database");
            self.parts.tell(State::Waiting(error));
            if self.rest_after_failure().await {
                self.parts.tell(State::Stopped(None));
                return Ok(());
            }
        }
    }

    /// Opens the place and follows the log, until something fails.
    async fn serve(&mut self) -> Result<(), Halt> {
        let mut session = self.parts.open().await.map_err(|failure| opening(failure, &self.parts.place))?;
        let parts = &self.parts;
        let checkpoint = Checkpoint { position: session.position, joined: session.joined.clone() };
        let log = (&parts.store, parts.place.partition);
        let mut below = Below::new(parts.bound.clone());
        let mut source = Source::open(log, &parts.definition, &below.settings(&parts.settings), checkpoint)?;
        self.post = Post::default();
        loop {
            self.operate(&mut session).await?;
            self.look_at_post(&mut session).await?;
            if self.is_told() {
                return Err(Halt::Told);
            }
            let page = below.next(&mut source).await?;
            self.look(&page.feed)?;
            if page.leads_on(session.position, session.joined.as_ref()) {
                self.process(&mut session, page).await?;
                continue;
            }
            if page.is_at_head() {
                self.parts.tell(State::CaughtUp);
            }
            tokio::select! {
                () = source.wait() => {}
                _ = self.stop.changed() => {}
                Some(request) = self.requests.recv() => self.repair(&mut session, request).await?,
            }
        }
    }

    /// Takes in how far the log goes.
    fn look(&self, page: &FeedPage) -> Result<()> {
        self.parts.status.send_modify(|status| {
            (status.head, status.oldest) = (page.head, page.oldest);
            status.state = State::Running;
        });
        self.parts.tell_figures();
        if page.head >= page.from {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::LostHistory,
            format!("the log is shorter than what {} has applied", self.parts.place),
        )
        .expected(format!("at least position {}", page.from), page.head)
        .advice("an older store was restored: restore the right one, or make the view anew"))
    }

    /// Carries out what operators asked for, and says whether there was anything.
    async fn operate(&mut self, session: &mut Session) -> Result<bool, Halt> {
        let mut is_done = false;
        while let Ok(request) = self.requests.try_recv() {
            self.repair(session, request).await?;
            is_done = true;
        }
        Ok(is_done)
    }

    /// Applies a page: as a whole where all goes well. Otherwise what stands before the event that fails is committed,
    /// that event is tried by itself until it succeeds or its aggregate is parked, and the rest follows.
    async fn process(&mut self, session: &mut Session, page: Page) -> Result<(), Halt> {
        let Page { feed: FeedPage { mut records, .. }, path } = page;
        session.hold(&mut records, &path);
        let mut records = Arc::new(records);
        let (mut end, mut failure) = (records.len(), None);
        loop {
            if end > 0 || failure.is_none() {
                let to = records.get(end).map_or_else(|| path.end(), |behind| path.before(behind));
                match self.parts.commit(session, (&records, 0..end), to, Vec::new()).await {
                    Ok(()) => self.in_vain = 0,
                    Err(ViewFailure::Handler { index, cause, error: None }) => {
                        (end, failure) = (index, Some(cause));
                        continue;
                    }
                    Err(failure) => return Err(failed(failure)),
                }
            }
            let Some(cause) = failure.take() else { return Ok(()) };
            self.insist(session, (&records, end), &path, cause).await?;
            let mut rest = records.get(end.saturating_add(1)..).unwrap_or_default().to_vec();
            session.hold(&mut rest, &path);
            (end, records) = (rest.len(), Arc::new(rest));
        }
    }

    /// Tries one event again, with pauses, and parks its aggregate when that was in vain as often as it may be.
    async fn insist(
        &mut self,
        session: &mut Session,
        (records, at): (&Arc<Vec<Record>>, usize),
        path: &Path,
        mut cause: String,
    ) -> Result<(), Halt> {
        let Some(record) = records.get(at) else { return Ok(()) };
        let (mut attempt, cardinal) = (1_u32, record.stream.cardinal());
        loop {
            let is_due = attempt >= self.parts.settings.attempts;
            let is_full = session.parked.len() >= self.parts.most_parked();
            if is_due && !is_full {
                return self.park(session, (record, path.behind(record)), cause, attempt).await;
            }
            self.parts.tell(trouble(record, attempt, &cause, is_due));
            let pause = self.parts.settings.retry.jittered(attempt.saturating_sub(1), &*self.parts.clock);
            if self.rest(pause).await {
                return Err(Halt::Told);
            }
            // The one thing that makes room. What is no longer parked may stand in this page: it is read anew.
            if self.operate(session).await? || self.look_at_post(session).await? {
                return Err(Halt::Again);
            }
            let range = at..at.saturating_add(1);
            self.parts.figures.retried();
            match self.parts.commit(session, (records, range), path.behind(record), Vec::new()).await {
                Ok(()) => return Ok(()),
                Err(ViewFailure::Handler { cause: again, error: None, .. }) => cause = again,
                Err(failure) => return Err(failed(failure)),
            }
            attempt = attempt.saturating_add(1);
            tracing::warn!(%cause, attempt, cardinal, position = %record.position, "a handler failed again");
        }
    }

    async fn park(
        &mut self,
        session: &mut Session,
        (record, to): (&Record, Checkpoint),
        cause: String,
        attempts: u32,
    ) -> Result<(), Halt> {
        let (cardinal, position, at) =
            (record.stream.cardinal().to_owned(), record.position, self.parts.clock.now());
        tracing::error!(%cause, %cardinal, %position, place = %self.parts.place, "an aggregate is parked");
        let error = kept(&cause);
        let by = Operator { who: "sidestream".to_owned(), why: error.clone() };
        let event_type = record.data.event_type.to_string();
        let parked = Parked {
            cardinal: cardinal.clone(),
            position,
            event_type,
            error,
            attempts,
            since: at,
            waiting: 1,
        };
        let audited = Audited { action: Action::Parked, cardinal, position, by, at };
        let changes = vec![Change::Park(parked), Change::Audit(audited)];
        self.parts.commit(session, (&Arc::default(), 0..0), to, changes).await.map_err(failed)
    }

    /// Whether it is to stop: it was told so, or nobody is left to tell it.
    fn is_told(&self) -> bool {
        *self.stop.borrow() || self.stop.has_changed().is_err()
    }

    /// Waits before it starts again, longer each time; true when it is to stop.
    pub(super) async fn rest_after_failure(&mut self) -> bool {
        let pause = self.parts.settings.outage.jittered(self.in_vain, &*self.parts.clock);
        self.in_vain = self.in_vain.saturating_add(1);
        self.rest(pause).await
    }

    /// Waits; true when it is to stop.
    async fn rest(&mut self, pause: Duration) -> bool {
        tokio::select! {
            () = clock::sleep(pause) => {}
            told = self.stop.wait_for(|stop| *stop) => drop(told),
        }
        self.is_told()
    }
}

fn trouble(record: &Record, attempt: u32, cause: &str, is_full: bool) -> State {
    let (cardinal, position) = (record.stream.cardinal().to_owned(), record.position);
    let error = cause.to_owned();
    if is_full {
        State::Full { cardinal, position, error }
    } else {
        State::Retrying { cardinal, position, attempt, error }
    }
}

/// A transaction of the view that was not committed, or whose end is not known.
pub(super) fn failed(failure: ViewFailure) -> Halt {
    Halt::Failed(match failure {
        ViewFailure::View(error) | ViewFailure::Handler { error: Some(error), .. } => error,
        ViewFailure::Handler { cause, .. } => Error::invalid(format!("a handler failed: {cause}")),
    })
}

fn opening(failure: ViewFailure, place: &Place) -> Halt {
    match failure {
        ViewFailure::Handler { cause, error: None, .. } => {
            let error = Error::invalid(format!("{place} cannot prepare its rows: {cause}"));
            Halt::Failed(error.advice("mend `prepare`; it is called again"))
        }
        failure => failed(failure),
    }
}

impl<V: View> Drop for Runner<V> {
    fn drop(&mut self) {
        self.parts.figures.gone();
    }
}

impl<V: View> fmt::Debug for Runner<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner")
            .field("place", &self.parts.place)
            .field("epoch", &self.parts.epoch)
            .finish_non_exhaustive()
    }
}
