//! Where a place's events come from: the log of one partition, or a join of several selections over all of them.

use std::sync::Arc;
use std::time::Duration;

use crate::error::Result;
use crate::event::Record;
use crate::feed::{Cursor, FeedPage, Join, JoinPage, JoinPositions, Joined, Pauses, Wake};
use crate::hash::HashMap;
use crate::partition::PartitionId;
use crate::projection::checkpoint::Checkpoint;
use crate::projection::definition::Definition;
use crate::projection::settings::Settings;
use crate::store::EventStore;
use crate::stream::Position;

/// A place's events from a checkpoint on.
pub(super) enum Source {
    Log { store: Arc<dyn EventStore>, partition: PartitionId, cursor: Box<Cursor>, wake: Wake },
    Join(Box<Merged>),
}

/// A join, and how many events it has handed out.
pub(super) struct Merged {
    join: Join,
    store: Arc<dyn EventStore>,
    owner: Owner,
    handed_out: Position,
    /// Behind all that was handed out. The join itself may have a copy of the last event left that does not count.
    at: JoinPositions,
    limit: usize,
    pauses: Pauses,
    /// Looks in vain.
    in_vain: u32,
}

/// Says which input's copy of a record counts.
type Owner = Box<dyn Fn(&Record) -> Option<usize> + Send>;

/// Events on their way, and what the checkpoint is behind each of them. Of a join, the feed's positions count the events
/// that were handed out, and its head adds what lies behind in the logs.
pub(super) struct Page {
    pub(super) feed: FeedPage,
    pub(super) path: Path,
}

/// What the checkpoint is around the events of a page.
pub(super) enum Path {
    /// The page ends there.
    Log(Position),
    Join(Box<JoinPath>),
}

pub(super) struct JoinPath {
    from: Position,
    start: JoinPositions,
    end: JoinPositions,
    /// What was handed out, in order.
    order: Vec<(PartitionId, Position)>,
    /// The number of each, from 1.
    numbers: HashMap<(PartitionId, Position), usize>,
}

impl Source {
    /// What a definition follows, behind a checkpoint.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when the positions are those of another join.
    pub(super) fn open<R: 'static>(
        (store, partition): (&Arc<dyn EventStore>, PartitionId),
        definition: &Definition<R>,
        settings: &Settings,
        checkpoint: Checkpoint,
    ) -> Result<Self> {
        let store = Arc::clone(store);
        if !definition.is_join() {
            let selection = definition.selection().clone();
            let cursor = Cursor::new(Arc::clone(&store), partition, selection, checkpoint.position)
                .page_records(settings.batch_records);
            let (cursor, wake) = (Box::new(cursor), Wake::new(settings.polling));
            return Ok(Self::Log { store, partition, cursor, wake });
        }
        let selections = definition.joined().to_vec();
        let inputs = selections.iter().map(|selection| (Arc::clone(&store), selection.clone()));
        let join = Join::new(inputs, &checkpoint.joined.unwrap_or_default())?
            .lag(Duration::from_millis(settings.join_lag_ms));
        let at = join.positions();
        let owner = move |record: &Record| selections.iter().position(|selection| selection.matches(record));
        Ok(Self::Join(Box::new(Merged {
            join,
            store,
            owner: Box::new(owner),
            handed_out: checkpoint.position,
            at,
            limit: settings.batch_records,
            pauses: settings.polling,
            in_vain: 0,
        })))
    }

    /// The next events; none where nothing can be handed out now.
    ///
    /// # Errors
    /// Those of the feed.
    pub(super) async fn next(&mut self) -> Result<Page> {
        match self {
            Self::Log { cursor, wake, .. } => {
                let feed = cursor.next().await?;
                if feed.read_to > feed.from {
                    wake.found();
                }
                let path = Path::Log(feed.read_to);
                Ok(Page { feed, path })
            }
            Self::Join(merged) => merged.next().await,
        }
    }

    /// Returns when there may be more.
    pub(super) async fn wait(&mut self) {
        match self {
            Self::Log { store, partition, cursor, wake } => {
                wake.wait(&**store, *partition, cursor.position()).await;
            }
            Self::Join(merged) => {
                let attempt = merged.in_vain;
                merged.in_vain = attempt.saturating_add(1);
                merged.join.wait(&merged.pauses, attempt).await;
            }
        }
    }
}

impl Merged {
    async fn next(&mut self) -> Result<Page> {
        let JoinPage { records, positions, .. } = self.join.next(self.limit).await?;
        let own = |joined: &Joined| (self.owner)(&joined.record) == Some(joined.input);
        let records: Vec<Record> = records.into_iter().filter(own).map(|joined| joined.record).collect();
        let order: Vec<_> = records.iter().map(|record| (record.partition, record.position)).collect();
        let (from, start) = (self.handed_out, self.at.clone());
        self.at.advance(&positions);
        order.iter().for_each(|(partition, position)| self.at.hand_out(*partition, *position));
        let end = self.at.clone();
        self.handed_out = from.plus(u64::try_from(records.len()).unwrap_or(u64::MAX));
        if start != end {
            self.in_vain = 0;
        }
        let oldest = records.first().map(|record| record.recorded_at);
        let head = self.handed_out.plus(self.behind(&end));
        let feed = FeedPage { records, from, read_to: self.handed_out, head, oldest };
        Ok(Page { feed, path: Path::Join(Box::new(JoinPath::new(from, (start, end), order))) })
    }

    /// How many records lie in the logs behind these positions, selected or not.
    fn behind(&self, positions: &JoinPositions) -> u64 {
        let heads = self.join.heads();
        let partitions = self.store.properties().partitions.all();
        let of = |partition| {
            let (head, at) = (heads.furthest_in(partition), positions.in_partition(partition));
            head.get().saturating_sub(at.get())
        };
        partitions.map(of).fold(0, u64::saturating_add)
    }
}

impl Page {
    /// Whether nothing lies behind it. A join may have read what it cannot hand out yet.
    pub(super) fn is_at_head(&self) -> bool {
        match &self.path {
            Path::Log(_) => true,
            Path::Join(_) => self.feed.head <= self.feed.read_to,
        }
    }

    /// Cuts it behind a position of its place; what lies above, where there is something.
    pub(super) fn cut(mut self, at: Position) -> (Self, Option<Self>) {
        let at = at.max(self.feed.from);
        if self.feed.read_to <= at {
            return (self, None);
        }
        let behind = self.feed.records.partition_point(|record| self.path.position(record) <= at);
        let records = self.feed.records.split_off(behind);
        let oldest = records.first().map(|record| record.recorded_at);
        let feed = FeedPage { records, from: at, read_to: self.feed.read_to, head: self.feed.head, oldest };
        self.feed.read_to = at;
        let (below, above) = self.path.cut(at, behind);
        (Self { feed: self.feed, path: below }, Some(Self { feed, path: above }))
    }

    /// Whether it leads on from a checkpoint.
    pub(super) fn leads_on(&self, position: Position, joined: Option<&JoinPositions>) -> bool {
        let moves = match &self.path {
            Path::Log(_) => false,
            Path::Join(path) => joined != Some(&path.end),
        };
        moves || self.feed.read_to > position
    }
}

impl Path {
    /// Behind all of the page.
    pub(super) fn end(&self) -> Checkpoint {
        match self {
            Self::Log(read_to) => Checkpoint::from(*read_to),
            Self::Join(path) => {
                Checkpoint { position: path.position(path.order.len()), joined: Some(path.end.clone()) }
            }
        }
    }

    /// Cuts it behind a position, and so many records.
    fn cut(self, at: Position, records: usize) -> (Self, Self) {
        match self {
            Self::Log(read_to) => (Self::Log(at), Self::Log(read_to)),
            Self::Join(path) => {
                let (below, above) = path.cut(records);
                (Self::Join(Box::new(below)), Self::Join(Box::new(above)))
            }
        }
    }

    /// Behind a record.
    pub(super) fn behind(&self, record: &Record) -> Checkpoint {
        match self {
            Self::Log(_) => Checkpoint::from(record.position),
            Self::Join(path) => path.after(path.number(record)),
        }
    }

    /// Before a record, behind the one that stands before it in the page.
    pub(super) fn before(&self, record: &Record) -> Checkpoint {
        match self {
            Self::Log(_) => Checkpoint::from(record.position.minus(1)),
            Self::Join(path) => path.after(path.number(record).saturating_sub(1)),
        }
    }

    /// The place's position behind a record.
    pub(super) fn position(&self, record: &Record) -> Position {
        match self {
            Self::Log(_) => record.position,
            Self::Join(path) => path.position(path.number(record)),
        }
    }
}

impl JoinPath {
    fn cut(mut self, records: usize) -> (Self, Self) {
        let Checkpoint { position, joined } = self.after(records);
        let between = joined.unwrap_or_default();
        let order = self.order.split_off(records.min(self.order.len()));
        let above = Self::new(position, (between.clone(), self.end), order);
        (Self::new(self.from, (self.start, between), self.order), above)
    }

    fn new(
        from: Position,
        (start, end): (JoinPositions, JoinPositions),
        order: Vec<(PartitionId, Position)>,
    ) -> Self {
        let numbers = order.iter().copied().zip(1..).collect();
        Self { from, start, end, order, numbers }
    }

    fn number(&self, record: &Record) -> usize {
        self.numbers.get(&(record.partition, record.position)).copied().unwrap_or(0)
    }

    fn position(&self, number: usize) -> Position {
        self.from.plus(u64::try_from(number).unwrap_or(u64::MAX))
    }

    fn after(&self, number: usize) -> Checkpoint {
        let mut joined = self.start.clone();
        for (partition, position) in self.order.iter().take(number) {
            joined.hand_out(*partition, *position);
        }
        Checkpoint { position: self.position(number), joined: Some(joined) }
    }
}
