//! One destination in one partition: reading, sending, recording what was sent.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::buffer::breaker::{Admission, Breaker};
use crate::buffer::catch_up::{CatchUp, CaughtUp};
use crate::buffer::destination::Destination;
use crate::buffer::parked::{self, ParkedKey};
use crate::buffer::place::Place;
use crate::buffer::sending::send;
use crate::buffer::sink::Answer;
use crate::buffer::statuses::Statuses;
use crate::buffer::window::Window;
use crate::clock::{self, Clock, Stopwatch};
use crate::error::{Error, ErrorKind, Result};
use crate::feed::{Cursor, Selection};
use crate::limits;
use crate::message::RecordedMessage;
use crate::metric::Figures;
use crate::partition::PartitionId;
use crate::processor::{ProcessorStatus, caught};
use crate::store::EventStore;
use crate::store::rows::RowWrite;
use crate::stream::Position;

/// How often it is looked what operators ask for, where something is parked.
const LOOKS_AT_REQUESTS: Duration = Duration::from_millis(500);
/// How long a run that is told to stop waits for what is under way.
const GRACE: Duration = Duration::from_secs(2);
/// When another run's probe is asked about again.
const PROBE: Duration = Duration::from_millis(20);

/// What all runs of a destination stand on.
pub(super) struct Ground {
    pub(super) store: Arc<dyn EventStore>,
    pub(super) selection: Selection,
    pub(super) destination: Destination,
    pub(super) breaker: Mutex<Breaker>,
    /// What the breaker's times are counted by.
    pub(super) since: Stopwatch,
    pub(super) clock: Arc<dyn Clock>,
}

impl Ground {
    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        // Each change of it is whole, so a poisoned lock still guards a whole one.
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A destination in a partition under an epoch, through restarts.
pub(super) struct Publishing {
    ground: Arc<Ground>,
    partition: PartitionId,
    epoch: u64,
    told: Arc<Statuses>,
    stop: watch::Receiver<bool>,
    figures: Figures,
}

impl Publishing {
    pub(super) fn new(
        ground: Arc<Ground>,
        partition: PartitionId,
        epoch: u64,
        (told, stop): (Arc<Statuses>, watch::Receiver<bool>),
    ) -> Self {
        let figures = Figures::of(format!("deliver {}", ground.destination.name), partition);
        let publishing = Self { ground, partition, epoch, told, stop, figures };
        publishing.tell("it starts".to_owned(), None);
        publishing
    }

    fn tell(&self, state: String, run: Option<&mut Sending>) {
        let (checkpoint, head, oldest, parked) = match run {
            Some(run) => (Some(run.place.mark().position), run.head, run.window.oldest(), run.parked.len()),
            None => (None, Position::START, None, 0),
        };
        let status = ProcessorStatus { state, checkpoint, head, oldest, parked };
        self.figures.lag(status.lag_records(), status.lag(self.ground.clock.now()));
        self.figures.parked(parked);
        self.told.tell(self.partition, status);
    }

    /// Runs until it is told to stop; again after a pause when the store fails.
    ///
    /// # Errors
    /// [`Fenced`](ErrorKind::Fenced) and [`Corrupt`](ErrorKind::Corrupt), which would come again.
    pub(super) async fn keep(mut self) -> Result<()> {
        let mut in_vain = 0;
        loop {
            let ended = caught(self.serve(&mut in_vain)).await;
            let panicked =
                || Error::new(ErrorKind::Unknown, "a publisher panicked").advice("report this with its log");
            let Err(error) = ended.unwrap_or_else(|| Err(panicked())) else { return Ok(()) };
            tracing::warn!(%error, partition = %self.partition, destination = %self.ground.destination.name, "a publisher failed");
            self.tell(error.to_string(), None);
            if matches!(error.kind(), ErrorKind::Fenced | ErrorKind::Corrupt | ErrorKind::LostHistory) {
                return Err(error);
            }
            let pause = self.ground.destination.settings.outage.jittered(in_vain, &*self.ground.clock);
            in_vain = in_vain.saturating_add(1);
            tokio::select! {
                () = clock::sleep(pause) => {}
                told = self.stop.wait_for(|stop| *stop) => {
                    drop(told);
                    return Ok(());
                }
            }
        }
    }

    /// Opens the place and sends, until something fails.
    async fn serve(&mut self, in_vain: &mut u32) -> Result<()> {
        let mut run = Sending::open(Arc::clone(&self.ground), self.partition, self.epoch).await?;
        *in_vain = 0;
        loop {
            if *self.stop.borrow() || self.stop.has_changed().is_err() {
                return run.leave().await;
            }
            run.fill().await?;
            let closed = run.launch();
            self.figures.applied(std::mem::take(&mut run.sent));
            let state = run.state();
            self.tell(state, Some(&mut run));
            run.next(closed, &mut self.stop).await?;
        }
    }
}

impl Drop for Publishing {
    fn drop(&mut self) {
        self.figures.gone();
    }
}

/// A message that probes, until its answer was taken in. Where its run ends before, another one may probe.
struct Probe(Arc<Ground>);

impl Drop for Probe {
    fn drop(&mut self) {
        self.0.breaker().given_up();
    }
}

/// What came to an end.
enum Ended {
    Sent(Arc<RecordedMessage>, Answer, Option<Probe>),
    Rested(String),
    CaughtUp(Result<CaughtUp>),
}

/// What is under way.
struct Sending {
    ground: Arc<Ground>,
    partition: PartitionId,
    place: Place,
    window: Window,
    cursor: Cursor,
    parked: BTreeMap<String, ParkedKey>,
    tasks: JoinSet<Ended>,
    under_way: usize,
    /// A parked key is being sent again.
    is_catching_up: bool,
    head: Position,
    /// Looks at the head in vain, and when the next one is due.
    looks: u32,
    look_at: Duration,
    /// When what was sent is to be recorded.
    record_at: Option<Duration>,
    requests_at: Duration,
    since: Stopwatch,
    /// Messages that were taken since it was last asked.
    sent: usize,
    trouble: Option<String>,
}

impl Sending {
    async fn open(ground: Arc<Ground>, partition: PartitionId, epoch: u64) -> Result<Self> {
        let (store, name) = (Arc::clone(&ground.store), &ground.destination.name);
        let place = Place::open((Arc::clone(&store), partition), name.as_str(), epoch).await?;
        let parked = parked::read_all(&*store, partition, name).await?;
        let mark = place.mark();
        let cursor = Cursor::new(store, partition, ground.selection.clone(), mark.position)
            .page_records(limits::MESSAGE_PAGE);
        Ok(Self {
            partition,
            window: Window::new(&mark.done()),
            head: mark.position,
            place,
            cursor,
            parked: parked.into_iter().map(|(parked, _)| (parked.key.clone(), parked)).collect(),
            tasks: JoinSet::new(),
            under_way: 0,
            is_catching_up: false,
            looks: 0,
            look_at: Duration::ZERO,
            record_at: None,
            requests_at: Duration::ZERO,
            since: Stopwatch::start(),
            sent: 0,
            trouble: None,
            ground,
        })
    }

    fn has_room(&self) -> bool {
        self.window.len() < self.ground.destination.settings.window
            && self.window.bytes() < limits::WINDOW_BYTES
    }

    /// Reads a page, where there is room for one and a look is due.
    async fn fill(&mut self) -> Result<()> {
        if !self.has_room() || self.since.elapsed() < self.look_at {
            return Ok(());
        }
        let page = self.cursor.next().await?;
        if page.head < page.from {
            return Err(shorter(self.partition, page.from, page.head));
        }
        for record in &page.records {
            let message = RecordedMessage::read(record)?;
            if self.parked.contains_key(&message.key) {
                self.window.pass_over(message.position);
            } else {
                self.window.take(message);
            }
        }
        let moved = page.read_to > self.window.read_to();
        self.window.read(page.read_to);
        self.head = page.head;
        if moved {
            self.looks = 0;
            self.dirty();
        }
        if !page.has_more() {
            let pause = self.ground.destination.settings.polling.before(self.looks);
            self.looks = self.looks.saturating_add(1);
            self.look_at = self.since.elapsed().saturating_add(pause);
        }
        Ok(())
    }

    /// Sends what may be sent. Says how long the destination is to be left alone, where that holds something up.
    fn launch(&mut self) -> Option<Duration> {
        while self.under_way < self.ground.destination.settings.at_once && self.window.has_ready() {
            let now = self.ground.since.elapsed();
            let admission = self.ground.breaker().admit(now);
            match admission {
                Admission::NotBefore(until) => return Some(until.saturating_sub(now)),
                Admission::Probing => return Some(PROBE),
                Admission::Open | Admission::Probe => {}
            }
            let Some((message, refusals)) = self.window.next() else {
                self.ground.breaker().given_up();
                return None;
            };
            let ground = Arc::clone(&self.ground);
            let probe = (admission == Admission::Probe).then(|| Probe(Arc::clone(&ground)));
            self.under_way = self.under_way.saturating_add(1);
            self.tasks.spawn(async move {
                let answer = send(&ground.destination, Arc::clone(&message), refusals).await;
                Ended::Sent(message, answer, probe)
            });
        }
        None
    }

    /// Waits for whatever comes next, and takes it in. Being told to stop ends the waiting only: who goes away from a
    /// record under way does not know any more what the row says.
    async fn next(&mut self, closed: Option<Duration>, stop: &mut watch::Receiver<bool>) -> Result<()> {
        let now = self.since.elapsed();
        let due = |at: Duration| at.saturating_sub(now);
        let (store, has_room, read_to) =
            (Arc::clone(&self.ground.store), self.has_room(), self.window.read_to());
        tokio::select! {
            _ = stop.changed() => Ok(()),
            Some(ended) = self.tasks.join_next(), if !self.tasks.is_empty() => {
                self.ended(ended).await?;
                while let Some(ended) = self.tasks.try_join_next() {
                    self.ended(ended).await?;
                }
                Ok(())
            }
            () = clock::sleep(due(self.record_at.unwrap_or_default())), if self.record_at.is_some() => {
                self.record(Vec::new()).await
            }
            () = store.changed(self.partition, read_to.max(self.head)), if has_room => {
                self.look_at = Duration::ZERO;
                Ok(())
            }
            () = clock::sleep(due(self.look_at)), if has_room => Ok(()),
            () = clock::sleep(closed.unwrap_or_default()), if closed.is_some() => Ok(()),
            () = clock::sleep(due(self.requests_at)), if !self.parked.is_empty() && !self.is_catching_up => {
                self.look_at_requests().await
            }
        }
    }

    async fn ended(&mut self, ended: Result<Ended, tokio::task::JoinError>) -> Result<()> {
        match ended {
            Ok(Ended::Sent(message, answer, probe)) => {
                let answered = self.answered(&message, answer).await;
                drop(probe);
                answered
            }
            Ok(Ended::Rested(key)) => {
                self.window.again(&key);
                Ok(())
            }
            Ok(Ended::CaughtUp(caught)) => self.caught_up(caught?).await,
            Err(error) => {
                Err(Error::new(ErrorKind::Unknown, "a publisher's task ended early").caused_by(error))
            }
        }
    }

    async fn answered(&mut self, message: &RecordedMessage, answer: Answer) -> Result<()> {
        self.under_way = self.under_way.saturating_sub(1);
        let settings = &self.ground.destination.settings;
        match answer {
            Answer::Taken => {
                self.ground.breaker().answered();
                self.window.sent(&message.key);
                self.sent = self.sent.saturating_add(1);
                self.trouble = None;
                self.dirty();
            }
            Answer::Later { after, why } => {
                let clock = &*self.ground.clock;
                // A receiver that says for how long means all messages.
                let most = if after.is_some() { 1 } else { settings.failures };
                let wished = after.unwrap_or_default();
                let pause = |rests| settings.outage.jittered(rests, clock).max(wished);
                self.ground.breaker().failed(self.ground.since.elapsed(), most, pause);
                let postponed = self.window.postponed(&message.key);
                let rest = settings.retry.jittered(postponed.saturating_sub(1), clock).max(wished);
                self.rest(&message.key, rest);
                self.trouble =
                    Some(format!("{} does not take messages: {why}", self.ground.destination.name));
            }
            Answer::Refused { why } => {
                self.ground.breaker().answered();
                let refusals = self.window.refused(&message.key);
                if refusals >= settings.attempts && self.parked.len() < limits::PARKED_KEYS {
                    return self.park(message, &why, refusals).await;
                }
                let rest = settings.retry.jittered(refusals.saturating_sub(1), &*self.ground.clock);
                self.rest(&message.key, rest);
                self.trouble =
                    Some(format!("message {} of key {:?} was refused: {why}", message.id, message.key));
            }
        }
        Ok(())
    }

    fn rest(&mut self, key: &str, pause: Duration) {
        let key = key.to_owned();
        self.tasks.spawn(async move {
            clock::sleep(pause).await;
            Ended::Rested(key)
        });
    }

    async fn park(&mut self, message: &RecordedMessage, why: &str, refusals: u32) -> Result<()> {
        let name = &self.ground.destination.name;
        tracing::error!(%why, id = %message.id, key = %message.key, destination = %name, "a message is parked");
        let parked = ParkedKey::of(message, why, refusals, self.ground.clock.now());
        let row = parked.row(name)?;
        self.window.park(&message.key);
        self.parked.insert(message.key.clone(), parked);
        self.record(vec![row]).await
    }

    /// Begins what an operator asked for; one key at a time.
    async fn look_at_requests(&mut self) -> Result<()> {
        self.requests_at = self.since.elapsed().saturating_add(LOOKS_AT_REQUESTS);
        let ground = &self.ground;
        for (parked, _) in parked::read_all(&*ground.store, self.partition, &ground.destination.name).await? {
            if parked.asked.is_some() && self.parked.contains_key(&parked.key) {
                self.parked.insert(parked.key.clone(), parked.clone());
                self.catch_up(parked);
                return Ok(());
            }
        }
        Ok(())
    }

    fn catch_up(&mut self, parked: ParkedKey) {
        let Ground { store, selection, destination, clock, .. } = &*self.ground;
        let work = CatchUp {
            store: Arc::clone(store),
            partition: self.partition,
            selection: selection.clone(),
            destination: destination.clone(),
            clock: Arc::clone(clock),
        };
        let until = self.window.read_to();
        self.is_catching_up = true;
        self.tasks.spawn(async move { Ended::CaughtUp(work.run(parked, until).await) });
    }

    async fn caught_up(&mut self, caught: CaughtUp) -> Result<()> {
        self.is_catching_up = false;
        self.sent = self.sent.saturating_add(usize::try_from(caught.done).unwrap_or(usize::MAX));
        let name = &self.ground.destination.name;
        let Some(mut parked) = self.parked.get(&caught.key).cloned() else { return Ok(()) };
        let mut rows: Vec<RowWrite> = parked.audit(name, self.ground.clock.now())?.into_iter().collect();
        match caught.refused {
            Some((message, why)) => {
                parked.refused(&message, &why, 1);
                rows.push(parked.row(name)?);
                self.parked.insert(caught.key, parked);
            }
            // Nothing was read meanwhile that was passed over for it.
            None if caught.to >= self.window.read_to() => {
                rows.push(parked.gone(name)?);
                self.parked.remove(&caught.key);
            }
            None => {
                parked.moved(caught.to);
                rows.push(parked.row(name)?);
                self.parked.insert(caught.key, parked.clone());
                self.catch_up(parked);
            }
        }
        self.record(rows).await
    }

    /// Something changed that is to be recorded soon.
    fn dirty(&mut self) {
        let every = Duration::from_millis(self.ground.destination.settings.record_every_ms);
        self.record_at.get_or_insert(self.since.elapsed().saturating_add(every));
    }

    async fn record(&mut self, rows: Vec<RowWrite>) -> Result<()> {
        self.record_at = None;
        let done = self.window.done();
        let mark = self.place.mark();
        if rows.is_empty() && done == mark.done() {
            return Ok(());
        }
        self.place.record(done, rows).await
    }

    /// Waits for what is under way, and records it.
    async fn leave(mut self) -> Result<()> {
        let until = self.since.elapsed().saturating_add(GRACE);
        while self.under_way > 0 {
            let left = until.saturating_sub(self.since.elapsed());
            let Some(Some(ended)) = clock::within(left, self.tasks.join_next()).await else { break };
            self.ended(ended).await?;
        }
        self.record(Vec::new()).await
    }

    /// What it does, for people.
    fn state(&self) -> String {
        match &self.trouble {
            Some(trouble) if self.window.open() > 0 => trouble.clone(),
            _ if self.ground.breaker().is_closed() => {
                format!("{} is left alone", self.ground.destination.name)
            }
            _ if self.window.open() > 0 => "it sends".to_owned(),
            _ => "it has caught up".to_owned(),
        }
    }
}

fn shorter(partition: PartitionId, from: Position, head: Position) -> Error {
    Error::new(
        ErrorKind::LostHistory,
        format!("the log of partition {partition} is shorter than what was sent"),
    )
    .expected(format!("at least position {from}"), head)
    .advice("an older store was restored: restore the right one")
}
