//! Several selections as one, in the order of their times.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::fmt;
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use crate::clock::{Stopwatch, Timestamp, sleep};
use crate::error::{Error, Result};
use crate::event::Record;
use crate::feed::input::{Input, Key};
use crate::feed::positions::JoinPositions;
use crate::feed::selection::Selection;
use crate::feed::wake::Pauses;
use crate::hash::HashSet;
use crate::limits;
use crate::store::EventStore;
use crate::stream::Position;

/// Most records of each partition of each input that are read at once.
const PAGE_RECORDS: usize = 512;

/// One record of a join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// Which input it is of, from 0. What several inputs select comes once for each.
    pub input: usize,
    /// The record.
    pub record: Record,
}

/// What a join hands out at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinPage {
    /// The records, by time, partition, position and input.
    pub records: Vec<Joined>,
    /// Every record of every input that was or will be recorded at or before this time has been handed out, with this
    /// page or before. It moves on where inputs are idle; not at all where all of them are.
    pub watermark: Timestamp,
    /// Where the join stands behind the page.
    pub positions: JoinPositions,
}

/// Several selections, each over all partitions of a store, merged by the time at which their records were recorded: by
/// (time, partition, position), and by input where one record is selected twice. The order is a property of the records,
/// so it is the same live and in a rebuild, whoever reads when.
///
/// A record is handed out once nothing can come before it any more. Stores tell, by
/// [`close_partitions`](EventStore::close_partitions): idle partitions are closed at its time, and busy ones have passed
/// it by themselves. So the last event waits for no other one, and writers wait for nobody but the close's short lock.
/// Where clocks of several databases differ, or one was set back, a record waits until the last of them is there; its
/// place in the order is not touched.
pub struct Join {
    inputs: Vec<Input>,
    /// How many partitions each selection has.
    shape: Vec<usize>,
    /// The keys of the inputs' next records.
    fronts: BinaryHeap<Reverse<(Key, usize)>>,
    /// Inputs without a record, which were not seen at their head since the watermark was raised.
    hungry: Vec<usize>,
    ready: Vec<Joined>,
    /// The time of the last record that was made ready.
    handed_out: Timestamp,
    /// Everything at or before it can be handed out: all partitions are closed at it.
    watermark: Timestamp,
    /// Everything at or before it was.
    passed: Timestamp,
    lag: Duration,
    /// Up to which time records had been read when, for those that have not lain for as long as the lag.
    read: VecDeque<(Stopwatch, Timestamp)>,
    /// Up to which time records have lain for so long.
    due: Timestamp,
}

impl Join {
    /// A join of these inputs, from these positions on, or from the beginning where none are given.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when there is no input, or the positions are another join's.
    pub fn new(
        inputs: impl IntoIterator<Item = (Arc<dyn EventStore>, Selection)>,
        positions: &JoinPositions,
    ) -> Result<Self> {
        let (mut all, mut shape) = (Vec::new(), Vec::new());
        for (number, (store, selection)) in inputs.into_iter().enumerate() {
            let partitions = store.properties().partitions;
            shape.push(usize::from(partitions.get()));
            for partition in partitions.all() {
                let known = positions.0.get(number).and_then(|of| of.get(usize::from(partition.get())));
                let position = known.copied().unwrap_or(Position::START);
                let of = (number, selection.clone());
                all.push(Input::new(Arc::clone(&store), partition, of, position, PAGE_RECORDS));
            }
        }
        let found: Vec<usize> = positions.0.iter().map(Vec::len).collect();
        if shape.is_empty() || (!found.is_empty() && found != shape) {
            return Err(Error::invalid("a join's positions do not fit its inputs")
                .expected(format!("partitions of {shape:?}"), format!("{found:?}"))
                .advice("give the inputs in the order in which the positions were taken"));
        }
        let hungry = (0..all.len()).collect();
        let (fronts, ready, read) = (BinaryHeap::new(), Vec::new(), VecDeque::new());
        let [handed_out, watermark, passed, due] = [Timestamp::MIN; 4];
        let lag = Duration::ZERO;
        Ok(Self { inputs: all, shape, fronts, hungry, ready, handed_out, watermark, passed, lag, read, due })
    }

    /// Lets records lie for so long after they were read before idle partitions are closed for them; none if nothing is
    /// said. Partitions that are written to meanwhile need no close, which is a small write in each: a lag of some tens
    /// of milliseconds spares a busy store most of them.
    #[must_use]
    pub fn lag(mut self, lag: Duration) -> Self {
        self.lag = lag;
        self
    }

    /// The next records, at most `limit` and [`limits::PAGE_RECORDS`]; none where nothing can be handed out now. Dropping
    /// a call loses nothing.
    ///
    /// # Errors
    /// Those of the stores, and [`Corrupt`](crate::ErrorKind::Corrupt) as for a [`Cursor`](super::Cursor);
    /// [`LostHistory`](crate::ErrorKind::LostHistory) when a log is shorter than what was handed out of it. The next call
    /// goes on where this one stopped.
    pub async fn next(&mut self, limit: usize) -> Result<JoinPage> {
        let limit = limit.clamp(1, limits::PAGE_RECORDS);
        self.merge(limit).await?;
        if self.ready.is_empty() {
            // Everything up to the watermark was handed out: what has come since?
            self.look_again();
            self.fill().await?;
            if self.raise().await? {
                self.look_again();
                self.merge(limit).await?;
            }
        }
        let records = std::mem::take(&mut self.ready);
        Ok(JoinPage { records, watermark: self.passed(), positions: self.positions() })
    }

    /// Returns when there may be more: one of the stores says so, what was read has lain for long enough, or a pause is
    /// over. Polling alone is enough.
    pub fn wait(&self, pauses: &Pauses, attempt: u32) -> impl Future<Output = ()> + Send {
        let left = self.read.front().map(|(since, _)| self.lag.saturating_sub(since.elapsed()));
        let pause = pauses.before(attempt).min(left.unwrap_or(Duration::MAX));
        let mut changes: Vec<_> =
            self.inputs.iter().map(|input| input.store.changed(input.partition, input.read_to())).collect();
        let changed = poll_fn(move |context| {
            let is_one = changes.iter_mut().any(|change| change.as_mut().poll(context).is_ready());
            if is_one { Poll::Ready(()) } else { Poll::Pending }
        });
        // The join itself does not come along: it is not `Sync`.
        async move {
            tokio::select! {
                () = changed => {}
                () = sleep(pause) => {}
            }
        }
    }

    /// Where it stands: behind all that was handed out.
    #[must_use]
    pub fn positions(&self) -> JoinPositions {
        self.by_input(Input::position)
    }

    /// How far the logs go, by input and partition, as they were read last.
    #[must_use]
    pub fn heads(&self) -> JoinPositions {
        self.by_input(Input::head)
    }

    fn by_input(&self, position: impl Fn(&Input) -> Position) -> JoinPositions {
        let mut inputs = self.inputs.iter().map(position);
        JoinPositions(self.shape.iter().map(|count| inputs.by_ref().take(*count).collect()).collect())
    }

    /// Makes ready what lies at or before the watermark, in order.
    async fn merge(&mut self, limit: usize) -> Result<()> {
        while self.ready.len() < limit {
            if let Err(error) = self.fill().await {
                // What is ready goes first; the error comes again.
                return if self.ready.is_empty() { Err(error) } else { Ok(()) };
            }
            let due = self.fronts.peek().filter(|Reverse((key, _))| key.0 <= self.watermark);
            let Some(Reverse(((time, ..), number))) = due.copied() else { return Ok(()) };
            self.fronts.pop();
            let popped = self.inputs.get_mut(number).and_then(Input::pop);
            self.ready.extend(popped.map(|(input, record)| Joined { input, record }));
            self.handed_out = time;
            self.queue(number);
        }
        Ok(())
    }

    /// Reads for each input that has no record, as long as it may have one.
    async fn fill(&mut self) -> Result<()> {
        while let Some(number) = self.hungry.last().copied() {
            let Some(input) = self.inputs.get_mut(number) else { return Ok(()) };
            let has_one = input.fill().await?;
            let latest = input.latest();
            self.hungry.pop();
            if has_one {
                self.queue(number);
                self.note(latest);
            }
        }
        Ok(())
    }

    /// Puts an input where it belongs by its next record.
    fn queue(&mut self, number: usize) {
        match self.inputs.get(number).and_then(Input::front) {
            Some(key) => self.fronts.push(Reverse((key, number))),
            None => self.hungry.push(number),
        }
    }

    /// Those that were at their head may not be any more.
    fn look_again(&mut self) {
        let empty = |(number, input): (usize, &Input)| input.front().is_none().then_some(number);
        self.hungry = self.inputs.iter().enumerate().filter_map(empty).collect();
    }

    /// Takes in that records up to a time have been read.
    fn note(&mut self, latest: Option<Timestamp>) {
        let known = self.read.back().map_or(self.due.max(self.watermark), |(_, time)| *time);
        if let Some(latest) = latest.filter(|latest| *latest > known) {
            self.read.push_back((Stopwatch::start(), latest));
        }
    }

    /// Closes all partitions at the time of what was read and has lain for long enough. True when the watermark moved.
    async fn raise(&mut self) -> Result<bool> {
        while let Some((since, time)) = self.read.front().copied()
            && (since.elapsed() >= self.lag || time <= self.watermark)
        {
            self.read.pop_front();
            self.due = time;
        }
        if self.due <= self.watermark {
            return Ok(false);
        }
        let mut seen = HashSet::default();
        let stores = self.inputs.iter().filter(|input| seen.insert(input.store.properties().id));
        let stores: Vec<_> = stores.map(|input| Arc::clone(&input.store)).collect();
        let mut closed = Timestamp::MAX;
        for store in stores {
            let partitions: Vec<_> = store.properties().partitions.all().collect();
            let times = store.close_partitions(&partitions, self.due).await?;
            closed = times.into_iter().fold(closed, Timestamp::min);
        }
        let is_news = closed > self.watermark;
        self.watermark = self.watermark.max(closed);
        Ok(is_news)
    }

    /// Up to where everything was handed out.
    fn passed(&mut self) -> Timestamp {
        let before = |time: Timestamp| time.before(Duration::from_micros(1));
        let next = self.fronts.peek().map_or(Timestamp::MAX, |Reverse((key, _))| before(key.0));
        // An input that ran out in the middle may go on at the time at which the others are.
        let open = if self.hungry.is_empty() { Timestamp::MAX } else { before(self.handed_out) };
        self.passed = self.passed.max(self.watermark.min(next).min(open));
        self.passed
    }
}

impl fmt::Debug for Join {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Join")
            .field("inputs", &self.shape)
            .field("watermark", &self.watermark)
            .finish_non_exhaustive()
    }
}
