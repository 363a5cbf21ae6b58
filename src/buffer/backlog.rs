//! What waits to be sent, as numbers.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::AbortHandle;

use crate::buffer::destination::DestinationName;
use crate::buffer::event_buffer::EventBuffer;
use crate::buffer::line::Line;
use crate::clock::{self, Stopwatch};
use crate::command::Pressure;
use crate::error::{Error, ErrorKind, Result};
use crate::message::Topic;
use crate::metric;

/// How far back rates look.
const RATE_OVER: Duration = Duration::from_secs(10);

/// What waits for a destination, over all partitions, in whichever process it is published.
#[derive(Debug, Clone, PartialEq)]
pub struct Backlog {
    /// The destination.
    pub destination: DestinationName,
    /// Messages that were recorded and are not sent; those of parked keys are not counted.
    pub depth: u64,
    /// How long the oldest of them has waited, by the store's clock.
    pub oldest: Option<Duration>,
    /// Messages recorded in a second, over the last ten.
    pub in_per_second: f64,
    /// Messages sent in a second, over the last ten.
    pub out_per_second: f64,
    /// When nothing would wait any more, if both rates stayed; `None` where it grows, or stands still.
    pub drains_in: Option<Duration>,
    /// Keys that are parked.
    pub parked_keys: usize,
}

/// Follows the backlogs of a buffer's destinations: what was recorded, by reading the topics' index, and what was sent, by
/// the rows that publishers keep. Costs a few reads of each partition a time, and each message is read once more.
///
/// Ends when it is dropped.
pub struct BacklogWatch {
    shared: Arc<Shared>,
    task: AbortHandle,
}

#[derive(Debug)]
struct Shared {
    topics: Vec<(DestinationName, Vec<Topic>)>,
    /// As last looked; `None` before that, with the reason.
    seen: Mutex<Result<Vec<Backlog>>>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Result<Vec<Backlog>>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BacklogWatch {
    /// Begins to follow, and looks every so often. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) when the buffer is not whole: see [`EventBuffer::processors`].
    pub fn start(buffer: &EventBuffer, every: Duration) -> Result<Self> {
        buffer.check()?;
        let mut lines = Vec::new();
        for destination in buffer.destinations() {
            let selection = buffer.selection(destination)?;
            lines.push(Watched::new(Line::new(
                Arc::clone(buffer.store()),
                destination.name.clone(),
                selection,
            )));
        }
        let topics =
            buffer.destinations().iter().map(|each| (each.name.clone(), each.topics.clone())).collect();
        let waits = Error::new(ErrorKind::Unavailable, "the backlog was not looked at yet");
        let shared = Arc::new(Shared { topics, seen: Mutex::new(Err(waits)) });
        let task = tokio::spawn(follow(Arc::clone(&shared), lines, every)).abort_handle();
        Ok(Self { shared, task })
    }

    /// Each destination's backlog as last seen, in the order in which they were given.
    ///
    /// # Errors
    /// Why it could not be looked at last time, or that it was not yet.
    pub fn figures(&self) -> Result<Vec<Backlog>> {
        self.shared.lock().clone()
    }

    /// Refuses messages to a destination while more than `most` wait for it: give it to
    /// [`pressure`](crate::command::Builder::pressure). What is looked at now and then is a bound now and then: it is
    /// exceeded by what is recorded between two looks. Where the backlog cannot be looked at, nothing is refused.
    #[must_use]
    pub fn at_most(&self, most: u64) -> BacklogLimit {
        BacklogLimit { shared: Arc::clone(&self.shared), most }
    }
}

impl Drop for BacklogWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for BacklogWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BacklogWatch").field("seen", &self.figures()).finish_non_exhaustive()
    }
}

/// A bound of backlogs.
#[derive(Debug, Clone)]
pub struct BacklogLimit {
    shared: Arc<Shared>,
    most: u64,
}

impl Pressure for BacklogLimit {
    fn admit(&self, topic: &Topic) -> Result<()> {
        let seen = self.shared.lock();
        let Ok(backlogs) = &*seen else { return Ok(()) };
        let full = self
            .shared
            .topics
            .iter()
            .zip(backlogs)
            .find(|((_, topics), backlog)| backlog.depth > self.most && topics.contains(topic));
        match full {
            Some(((destination, _), backlog)) => Err(Error::new(
                ErrorKind::Overloaded,
                format!("too many messages wait for destination {destination}"),
            )
            .expected(format!("at most {}", self.most), backlog.depth)),
            None => Ok(()),
        }
    }
}

async fn follow(shared: Arc<Shared>, mut lines: Vec<Watched>, every: Duration) {
    let since = Stopwatch::start();
    loop {
        let mut figures = Ok(Vec::with_capacity(lines.len()));
        for line in &mut lines {
            match line.look(since.elapsed()).await {
                Ok(backlog) => figures.iter_mut().for_each(|figures| figures.push(backlog.clone())),
                Err(error) => figures = figures.and(Err(error)),
            }
        }
        *shared.lock() = figures;
        clock::sleep(every).await;
    }
}

/// A line, and what was seen of it.
struct Watched {
    line: Line,
    /// When, messages recorded, messages sent; the oldest first.
    samples: VecDeque<(Duration, u64, u64)>,
}

impl Watched {
    fn new(line: Line) -> Self {
        Self { line, samples: VecDeque::new() }
    }

    async fn look(&mut self, now: Duration) -> Result<Backlog> {
        let seen = self.line.look().await?;
        self.samples.push_back((now, seen.recorded, seen.sent));
        while self.samples.front().is_some_and(|(at, ..)| now.saturating_sub(*at) > RATE_OVER) {
            self.samples.pop_front();
        }
        let (in_per_second, out_per_second) = self.rates();
        let depth = seen.recorded.saturating_sub(seen.sent);
        let destination = self.line.destination().clone();
        metric::backlog(&destination, depth, seen.oldest.unwrap_or_default(), seen.parked_keys);
        let falls = out_per_second - in_per_second;
        let drains_in = match depth {
            0 => Some(Duration::ZERO),
            _ if falls > 0.0 => Duration::try_from_secs_f64(metric::whole(depth) / falls).ok(),
            _ => None,
        };
        let parked_keys = seen.parked_keys;
        Ok(Backlog {
            destination,
            depth,
            oldest: seen.oldest,
            in_per_second,
            out_per_second,
            drains_in,
            parked_keys,
        })
    }

    fn rates(&self) -> (f64, f64) {
        let (Some(first), Some(last)) = (self.samples.front(), self.samples.back()) else {
            return (0.0, 0.0);
        };
        let seconds = last.0.saturating_sub(first.0).as_secs_f64();
        let rate = |from: u64, to: u64| {
            if seconds > 0.0 { metric::whole(to.saturating_sub(from)) / seconds } else { 0.0 }
        };
        (rate(first.1, last.1), rate(first.2, last.2))
    }
}
