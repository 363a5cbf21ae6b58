//! One run of a destination in a partition: reading, sending, recording what was sent.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::buffer::breaker::Admission;
use crate::buffer::catch_up::CaughtUp;
use crate::buffer::ground::{Ground, Probe};
use crate::buffer::parked::{self, ParkedKey};
use crate::buffer::place::Place;
use crate::buffer::sending::send;
use crate::buffer::sink::Answer;
use crate::buffer::window::Window;
use crate::clock::{self, Stopwatch};
use crate::error::{Error, ErrorKind, Result};
use crate::feed::Cursor;
use crate::limits;
use crate::message::RecordedMessage;
use crate::partition::PartitionId;
use crate::processor::ProcessorStatus;
use crate::store::rows::RowWrite;
use crate::stream::Position;

mod parking;

/// How long a run that is told to stop waits for what is under way.
const GRACE: Duration = Duration::from_secs(2);
/// When another run's probe is asked about again.
const PROBE: Duration = Duration::from_millis(20);

/// What came to an end.
enum Ended {
    Sent(Arc<RecordedMessage>, Answer, Option<Probe>),
    Rested(String),
    CaughtUp(Result<CaughtUp>),
}

/// What is under way.
pub(super) struct Sending {
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
    pub(super) sent: usize,
    trouble: Option<String>,
}

impl Sending {
    pub(super) async fn open(ground: Arc<Ground>, partition: PartitionId, epoch: u64) -> Result<Self> {
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
    pub(super) async fn fill(&mut self) -> Result<()> {
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
    pub(super) fn launch(&mut self) -> Option<Duration> {
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
    pub(super) async fn next(
        &mut self,
        closed: Option<Duration>,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<()> {
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
    pub(super) async fn leave(mut self) -> Result<()> {
        let until = self.since.elapsed().saturating_add(GRACE);
        while self.under_way > 0 {
            let left = until.saturating_sub(self.since.elapsed());
            let Some(Some(ended)) = clock::within(left, self.tasks.join_next()).await else { break };
            self.ended(ended).await?;
        }
        self.record(Vec::new()).await
    }

    pub(super) fn status(&mut self) -> ProcessorStatus {
        ProcessorStatus {
            state: self.state(),
            checkpoint: Some(self.place.mark().position),
            head: self.head,
            oldest: self.window.oldest(),
            parked: self.parked.len(),
        }
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
