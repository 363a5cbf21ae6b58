//! The order of a move.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::clock::Stopwatch;
use crate::error::{Error, ErrorKind, Result};
use crate::partition::PartitionId;
use crate::store::transfer::compare::{Compared, Stores};
use crate::store::transfer::mark::Mark;
use crate::store::transfer::part::Part;
use crate::store::transfer::progress::{Phase, Progress, Watcher};
use crate::store::transfer::spi::{LogHead, Transfer};
use crate::store::transfer::{floors, rows, steps};
use crate::stream::Position;

/// Partitions that are copied, or compared, at the same time.
const AT_ONCE: usize = 4;
/// So often the log is followed before the source is sealed, at most: a source that is written to faster than it is
/// copied would never be caught up with.
const ROUNDS: usize = 8;
/// Positions that may be left when the source is sealed.
const REST: u64 = 4_096;

/// What both stores are called in messages and marks: no password stands in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// The source.
    pub source: String,
    /// The target.
    pub target: String,
}

/// What became of a move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Each partition, from 0 on.
    pub partitions: Vec<ReportedPartition>,
    /// Records that this run copied; those of earlier runs were there.
    pub copied: u64,
    /// Streams whose beginnings are removed, in both.
    pub floors: u64,
    /// Steps that are open, in both.
    pub open_steps: u64,
    /// Guarded rows, removed ones too, in both.
    pub rows: u64,
    /// How long nothing could be written to either.
    pub closed: Duration,
    /// All of it was compared.
    pub verified: bool,
}

/// What became of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportedPartition {
    /// Its last position.
    pub head: Position,
    /// Its records.
    pub records: u64,
    /// Over position, stream, version, time and checksum of all records, equal on both sides.
    pub hash: String,
}

/// Moves a store, or goes on with a move that was cut short. The target is one that was opened as a copy of the source.
/// `None` where an earlier run had done all of it.
///
/// # Errors
/// [`Invalid`](ErrorKind::Invalid), before anything is written, when the two cannot be source and target;
/// [`Corrupt`](ErrorKind::Corrupt) when the source has damaged records, or the copy differs. The target then stays
/// closed. Any other error ends this run; the next goes on where it ended.
pub async fn copy(
    source: Arc<dyn Transfer>,
    target: Arc<dyn Transfer>,
    places: &Places,
    watcher: Watcher,
) -> Result<Option<Report>> {
    let mut copier = Copier { source, target, watcher, compared: Vec::new(), copied: 0 };
    if copier.check(places).await? {
        return Ok(None);
    }
    copier.begin(places).await?;
    copier.follow().await?;
    let closed = Stopwatch::start();
    copier.source.set_mark(Mark::Moved { to: places.target.clone() }).await?;
    copier.finish().await?;
    let report = copier.report(closed).await?;
    copier.target.set_mark(Mark::None).await?;
    Ok(Some(Report { closed: closed.elapsed(), ..report }))
}

/// Takes the mark of a move off its source: it serves again. What was written to the copy since is not in it.
///
/// # Errors
/// [`Invalid`](ErrorKind::Invalid) when the store is a copy under way.
pub async fn unseal(source: &dyn Transfer) -> Result<Mark> {
    let mark = source.mark().await?;
    if mark == Mark::Copying {
        return Err(Error::invalid("the store is a copy under way, and no source")
            .advice("finish the copy, or remove it"));
    }
    source.set_mark(Mark::None).await?;
    Ok(mark)
}

struct Copier {
    source: Arc<dyn Transfer>,
    target: Arc<dyn Transfer>,
    watcher: Watcher,
    compared: Vec<Compared>,
    copied: u64,
}

impl Copier {
    /// Whether the two may be source and target, and whether they were so already.
    async fn check(&self, places: &Places) -> Result<bool> {
        let (source, target) = (self.source.properties(), self.target.properties());
        let (from, to) = tokio::try_join!(self.source.mark(), self.target.mark())?;
        match &from {
            Mark::Copying => {
                return Err(Error::invalid(format!("{} is a copy under way itself", places.source))
                    .advice("finish that copy first, or give its source here"));
            }
            Mark::Copied { to } | Mark::Moved { to } if *to != places.target => {
                return Err(Error::invalid("the source is being copied, or was moved, to another place")
                    .expected(to, &places.target)
                    .advice("go on with that copy, or take the mark off with `--unseal`"));
            }
            _ => {}
        }
        if source != target {
            return Err(Error::invalid(format!("{} is no copy of {}", places.target, places.source))
                .expected(format!("{source:?}"), format!("{target:?}"))
                .advice("copy into a new, empty store; nothing was written"));
        }
        match (&from, to) {
            (_, Mark::Copying) => Ok(false),
            (Mark::Moved { .. }, Mark::None | Mark::Copied { .. }) => Ok(true),
            _ => Err(Error::invalid(format!("{} is no copy under way", places.target))
                .expected(
                    "a new, empty store, or a copy that was cut short",
                    "a store in use, of the same id",
                )
                .advice("is it the source itself, or an older copy? nothing was written")),
        }
    }

    async fn begin(&self, places: &Places) -> Result<()> {
        if !matches!(self.source.mark().await?, Mark::Moved { .. }) {
            self.source.set_mark(Mark::Copied { to: places.target.clone() }).await?;
        }
        let is_new = self.target.log_heads().await?.iter().all(|head| head.position == Position::START);
        if is_new {
            floors::copy(&*self.source, &*self.target).await
        } else {
            floors::compare(&*self.source, &*self.target).await.map(drop)
        }
    }

    /// Copies and compares while the source serves, until little is left.
    async fn follow(&mut self) -> Result<()> {
        self.compared = self.source.log_heads().await?.iter().map(|_| Compared::default()).collect();
        for _ in 0..ROUNDS {
            self.copy_all(Phase::Copying).await?;
            self.compare_all(Phase::Comparing).await?;
            let (ends, heads) = tokio::try_join!(self.source.log_heads(), self.target.log_heads())?;
            if left(&ends, &heads) <= REST {
                break;
            }
        }
        Ok(())
    }

    /// Copies and compares what is left of a source that is sealed.
    async fn finish(&mut self) -> Result<()> {
        self.copy_all(Phase::Sealed).await?;
        steps::copy(&*self.source, &*self.target).await?;
        rows::copy(&*self.source, &*self.target).await?;
        self.compare_all(Phase::Sealed).await
    }

    async fn copy_all(&mut self, phase: Phase) -> Result<()> {
        let (ends, heads) = tokio::try_join!(self.source.log_heads(), self.target.log_heads())?;
        (self.watcher)(Progress::Begins(phase, left(&ends, &heads)));
        let ids = self.source.properties().partitions.all().map(|partition| self.part(partition));
        let parts = ids.zip(heads).zip(ends);
        let mut waiting = parts.collect::<Vec<_>>().into_iter();
        let mut at_work = JoinSet::new();
        loop {
            while at_work.len() < AT_ONCE
                && let Some(((part, at), end)) = waiting.next()
            {
                at_work.spawn(async move { part.copy(at.position, end.position).await });
            }
            let Some(ended) = at_work.join_next().await else { return Ok(()) };
            self.copied = self.copied.saturating_add(ended.map_err(died)??);
        }
    }

    fn part(&self, partition: PartitionId) -> Part {
        let (source, target) = (Arc::clone(&self.source), Arc::clone(&self.target));
        Part { source, target, partition, watcher: Arc::clone(&self.watcher) }
    }

    /// Compares what the copy holds by now and was not compared yet.
    async fn compare_all(&mut self, phase: Phase) -> Result<()> {
        let heads = self.target.log_heads().await?;
        let left = self
            .compared
            .iter()
            .zip(&heads)
            .map(|(done, head)| head.position.get().saturating_sub(done.through.get()));
        (self.watcher)(Progress::Begins(phase, left.fold(0, u64::saturating_add)));
        let ids = self.source.properties().partitions.all();
        let mut waiting = ids.zip(heads).zip(self.compared.clone());
        let mut at_work = JoinSet::new();
        loop {
            while at_work.len() < AT_ONCE
                && let Some(((partition, head), done)) = waiting.next()
            {
                let stores = self.stores(partition);
                at_work.spawn(async move {
                    Ok::<_, Error>((partition, done.go_on(stores, head.position).await?))
                });
            }
            let Some(ended) = at_work.join_next().await else { return Ok(()) };
            let (partition, compared) = ended.map_err(died)??;
            if let Some(known) = self.compared.get_mut(usize::from(partition.get())) {
                *known = compared;
            }
        }
    }

    fn stores(&self, partition: PartitionId) -> Stores {
        let (source, target) = (Arc::clone(&self.source), Arc::clone(&self.target));
        Stores { source, target, partition, watcher: Arc::clone(&self.watcher) }
    }

    /// Compares all that is not in the log, and says what there is.
    async fn report(&self, closed: Stopwatch) -> Result<Report> {
        let (expected, found) = tokio::try_join!(self.source.log_heads(), self.target.log_heads())?;
        for (partition, (expected, found)) in expected.iter().zip(&found).enumerate() {
            let is_empty = expected.position == Position::START && found.position == Position::START;
            if expected != found && !is_empty {
                return Err(Error::corrupt(format!(
                    "the copy's log of partition {partition} ends elsewhere"
                ))
                .expected(told(expected), told(found))
                .advice("the copy stays closed: run `sidestream copy` again"));
            }
        }
        let floors = floors::compare(&*self.source, &*self.target).await?;
        let open_steps = steps::compare(&*self.source, &*self.target).await?;
        let rows = rows::compare(&*self.source, &*self.target).await?;
        let of = |done: &Compared| ReportedPartition {
            head: done.through,
            records: done.records,
            hash: done.hash(),
        };
        let partitions = self.compared.iter().map(of).collect();
        Ok(Report {
            partitions,
            copied: self.copied,
            floors,
            open_steps,
            rows,
            closed: closed.elapsed(),
            verified: true,
        })
    }
}

/// How many positions lie between logs that end at `heads` and those that end at `ends`.
fn left(ends: &[LogHead], heads: &[LogHead]) -> u64 {
    let left = ends.iter().zip(heads).map(|(end, at)| end.position.get().saturating_sub(at.position.get()));
    left.fold(0, u64::saturating_add)
}

fn told(head: &LogHead) -> String {
    format!("position {}, {}", head.position, head.recorded_at)
}

fn died(source: tokio::task::JoinError) -> Error {
    Error::new(ErrorKind::Unavailable, "a task of the copy died")
        .caused_by(source)
        .advice("run the copy again")
}
