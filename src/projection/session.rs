//! A place that is open: where it stands, and one transaction after the other.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::clock::Clock;
use crate::codec::Codecs;
use crate::error::{Error, ErrorKind};
use crate::event::Record;
use crate::feed::JoinPositions;
use crate::metric::Figures;
use crate::partition::PartitionId;
use crate::projection::batch::Batch;
use crate::projection::bound::Bound;
use crate::projection::checkpoint::Checkpoint;
use crate::projection::definition::Definition;
use crate::projection::failure::ViewFailure;
use crate::projection::parked::Parked;
use crate::projection::place::Place;
use crate::projection::settings::Settings;
use crate::projection::source::Path;
use crate::projection::status::{State, Status};
use crate::projection::view::{Change, Limits, View, Work};
use crate::store::EventStore;
use crate::stream::Position;

/// What a runner is made of, and does not change.
pub(super) struct Parts<V: View> {
    pub(super) store: Arc<dyn EventStore>,
    pub(super) view: Arc<V>,
    pub(super) definition: Definition<V::Rows>,
    pub(super) place: Place,
    pub(super) epoch: u64,
    pub(super) settings: Settings,
    pub(super) codecs: Codecs,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) status: watch::Sender<Status>,
    pub(super) figures: Figures,
    /// Set where a generation is being built.
    pub(super) bound: Option<Arc<dyn Bound>>,
}

impl<V: View> Parts<V> {
    pub(super) fn limits(&self) -> Limits {
        let timeout = Duration::from_millis(self.settings.handler_ms.max(1));
        Limits { timeout, now: self.clock.now() }
    }

    /// Most aggregates that may be parked.
    pub(super) fn most_parked(&self) -> usize {
        self.settings.most_parked().min(self.view.most_parked())
    }

    /// The partition that an aggregate of this place is in.
    pub(super) fn partition_of(&self, cardinal: &str) -> PartitionId {
        if self.definition.is_join() {
            self.store.properties().partitions.of(cardinal)
        } else {
            self.place.partition
        }
    }

    pub(super) fn tell(&self, state: State) {
        self.status.send_modify(|status| status.state = state);
    }

    /// Opens the place.
    ///
    /// # Errors
    /// Those of the view.
    pub(super) async fn open(&self) -> Result<Session, ViewFailure> {
        let opened = self.view.open(&self.place, self.epoch, &self.definition, &self.limits()).await;
        let opened = opened.inspect_err(|failure| self.count(failure))?;
        let parked = opened.parked.into_iter().map(|parked| (parked.cardinal.clone(), parked)).collect();
        let (position, revision) = (opened.position, opened.revision);
        if self.definition.is_join() != opened.joined.is_some() && position > Position::START {
            return Err(another_kind(&self.place).into());
        }
        let joined = self.definition.is_join().then(|| opened.joined.unwrap_or_default());
        let session = Session { position, joined, revision, parked, held: VecDeque::new() };
        self.tell_place(&session);
        Ok(session)
    }

    /// Applies records and commits them with the position behind them.
    ///
    /// # Errors
    /// Those of the view. After any but a handler's failure the session is of no more use.
    pub(super) async fn commit(
        &self,
        session: &mut Session,
        (records, range): (&Arc<Vec<Record>>, Range<usize>),
        to: impl Into<Checkpoint> + Send,
        mut changes: Vec<Change>,
    ) -> Result<(), ViewFailure> {
        let (events, Checkpoint { position: to, joined }) = (range.len(), to.into());
        changes.extend(joined.filter(|joined| session.joined.as_ref() != Some(joined)).map(Change::Joined));
        let batch = Batch::of(&self.definition, (&self.codecs, self.bound.is_some()), records, range);
        changes.extend(session.waiting(to));
        let told = changes.clone();
        let work = Work {
            revision: session.revision,
            from: session.position,
            to,
            batch: (!batch.is_empty()).then_some(batch),
            changes,
            limits: self.limits(),
        };
        let done = self.view.run(&self.place, self.epoch, work).await;
        done.inspect_err(|failure| self.count(failure))?;
        self.figures.applied(events);
        session.moved(to, told);
        self.tell_place(session);
        Ok(())
    }

    /// Counts a write that was refused because somebody else has the place.
    fn count(&self, failure: &ViewFailure) {
        if matches!(failure, ViewFailure::View(error) if error.kind() == ErrorKind::Fenced) {
            self.figures.fenced();
        }
    }

    /// Gives out how far behind it is.
    pub(super) fn tell_figures(&self) {
        let status = self.status.borrow();
        self.figures.lag(status.lag_records(), status.lag(self.clock.now()));
        self.figures.parked(status.parked.len());
    }

    fn tell_place(&self, session: &Session) {
        self.status.send_modify(|status| {
            status.checkpoint = Some(session.position);
            if status.joined.as_deref() != session.joined.as_ref() {
                status.joined = session.joined.clone().map(Arc::new);
            }
            status.head = status.head.max(session.position);
            if *status.parked != session.parked {
                status.parked = Arc::new(session.parked.clone());
            }
        });
        self.tell_figures();
    }
}

/// Where an open place stands.
pub(super) struct Session {
    pub(super) position: Position,
    /// Of a join, the positions behind what it has handed out.
    pub(super) joined: Option<JoinPositions>,
    revision: u64,
    pub(super) parked: BTreeMap<String, Parked>,
    /// Events of parked aggregates behind the position, by position.
    held: VecDeque<(Position, String)>,
}

impl Session {
    /// Up to where a partition's log was handed out.
    pub(super) fn reached(&self, partition: PartitionId) -> Position {
        self.joined.as_ref().map_or(self.position, |joined| joined.in_partition(partition))
    }

    /// Takes out the events of parked aggregates: they wait.
    pub(super) fn hold(&mut self, records: &mut Vec<Record>, path: &Path) {
        if self.parked.is_empty() {
            return;
        }
        let (parked, held) = (&self.parked, &mut self.held);
        records.retain(|record| {
            let is_parked = parked.contains_key(record.stream.cardinal());
            if is_parked {
                held.push_back((path.position(record), record.stream.cardinal().to_owned()));
            }
            !is_parked
        });
        // Those that were held before may lie behind.
        self.held.make_contiguous().sort_unstable();
    }

    /// How many more wait, of each parked aggregate, up to a position.
    fn waiting(&self, to: Position) -> Vec<Change> {
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for (_, cardinal) in self.held.iter().take_while(|(position, _)| *position <= to) {
            let count = counts.entry(cardinal).or_default();
            *count = count.saturating_add(1);
        }
        counts.into_iter().map(|(cardinal, more)| Change::Waiting(cardinal.to_owned(), more)).collect()
    }

    /// What was committed is so here, too.
    fn moved(&mut self, to: Position, changes: Vec<Change>) {
        self.position = to;
        self.revision = self.revision.saturating_add(1);
        while self.held.front().is_some_and(|(position, _)| *position <= to) {
            self.held.pop_front();
        }
        for change in changes {
            match change {
                Change::Park(parked) => drop(self.parked.insert(parked.cardinal.clone(), parked)),
                Change::Waiting(cardinal, more) => {
                    if let Some(parked) = self.parked.get_mut(&cardinal) {
                        parked.waiting = parked.waiting.saturating_add(more);
                    }
                }
                Change::Unpark(cardinal) => drop(self.parked.remove(&cardinal)),
                Change::Joined(joined) => self.joined = Some(joined),
                Change::Audit(_) => {}
            }
        }
    }
}

fn another_kind(place: &Place) -> Error {
    Error::invalid(format!("{place} was filled by a join, and is none now, or the other way round"))
        .advice("give the projection another version: it is made anew beside the view that there is")
}

/// Why a runner does not go on.
pub(super) enum Halt {
    /// It was told to stop.
    Told,
    /// It has to open the place again, and may go on at once.
    Again,
    /// It cannot.
    Failed(Error),
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}
