//! A processor for simulations: its views are lists of positions, and all that it does is written down and checked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sidestream::cluster::Assignment;
use sidestream::event::RecordKind;
use sidestream::partition::PartitionId;
use sidestream::processor::{Processor, ProcessorId, ProcessorStatus, Run};
use sidestream::store::EventStore;
use sidestream::{Error, ErrorKind, Position, Result};
use tokio::sync::{oneshot, watch};

use crate::dice::Dice;

/// One view, guarded as a real one is: by epoch, revision and position.
#[derive(Debug, Default)]
struct View {
    epoch: u64,
    revision: u64,
    position: Position,
    applied: Vec<Position>,
    /// The epochs of its commits.
    commits: Vec<u64>,
    /// Who opened it under which epoch.
    openers: BTreeMap<u64, String>,
    running: Option<String>,
}

/// All views, and what happened to them.
#[derive(Debug, Default)]
pub struct Book {
    views: Mutex<BTreeMap<Assignment, View>>,
    seen: Mutex<Seen>,
    /// Whether runs may overlap in time: where the store's clock jumps, nothing but the epoch keeps them apart.
    may_overlap: bool,
}

#[derive(Debug, Default, Clone)]
pub struct Seen {
    pub fenced: u64,
    pub commits: u64,
    pub openings: u64,
}

impl Book {
    pub fn new(may_overlap: bool) -> Self {
        Self { may_overlap, ..Self::default() }
    }

    fn view<T>(&self, assignment: &Assignment, look: impl FnOnce(&mut View) -> T) -> T {
        look(self.views.lock().unwrap().entry(assignment.clone()).or_default())
    }

    fn open(&self, assignment: &Assignment, epoch: u64, who: &str) -> Result<(u64, Position)> {
        self.seen.lock().unwrap().openings += 1;
        let opened = self.view(assignment, |view| {
            if view.epoch > epoch {
                return Err(fenced(view.epoch, epoch));
            }
            let other = view.openers.insert(epoch, who.to_owned());
            assert!(
                other.is_none_or(|other| other == who),
                "epoch {epoch} of {assignment:?} was given twice"
            );
            assert!(self.may_overlap || view.running.is_none(), "{assignment:?} runs twice: {who}, {view:?}");
            view.running = Some(who.to_owned());
            (view.epoch, view.revision) = (epoch, view.revision + 1);
            Ok((view.revision, view.position))
        });
        self.count(opened)
    }

    fn commit(
        &self,
        assignment: &Assignment,
        guard: (u64, u64, Position),
        read: (Vec<Position>, Position),
    ) -> Result<()> {
        let done = self.view(assignment, |view| {
            if (view.epoch, view.revision, view.position) != guard {
                return Err(fenced(view.epoch, guard.0));
            }
            view.commits.push(guard.0);
            view.applied.extend(read.0);
            (view.revision, view.position) = (view.revision + 1, read.1);
            Ok(())
        });
        self.seen.lock().unwrap().commits += 1;
        self.count(done)
    }

    fn count<T>(&self, result: Result<T>) -> Result<T> {
        result.inspect_err(|_| self.seen.lock().unwrap().fenced += 1)
    }

    pub fn seen(&self) -> Seen {
        self.seen.lock().unwrap().clone()
    }

    /// Who runs a partition now.
    pub fn running(&self, assignment: &Assignment) -> Option<String> {
        self.view(assignment, |view| view.running.clone())
    }

    /// A view is what its log says, each event once and in order, by epochs that never went back.
    pub async fn is_complete(&self, store: &dyn EventStore, assignment: &Assignment) -> bool {
        let (applied, commits) = self.view(assignment, |view| (view.applied.clone(), view.commits.clone()));
        assert!(commits.is_sorted(), "an epoch went back in {assignment:?}: {commits:?}");
        let events = log(store, assignment.partition, Position::START, usize::MAX).await.unwrap().0;
        assert!(
            events.starts_with(&applied),
            "{assignment:?} is not a fold of its log: {applied:?} of {events:?}"
        );
        events == applied
    }
}

fn fenced(found: u64, mine: u64) -> Error {
    Error::new(ErrorKind::Fenced, "somebody else has the view").expected(mine, found)
}

/// The positions of events after one, and how far the log was read.
async fn log(
    store: &dyn EventStore,
    partition: PartitionId,
    mut after: Position,
    limit: usize,
) -> Result<(Vec<Position>, Position)> {
    let mut found = Vec::new();
    loop {
        let page = store.read_log(partition, after, limit.min(100)).await?;
        let events = page.records.iter().filter(|record| record.data.kind == RecordKind::Event);
        found.extend(events.map(|record| record.position));
        after = page.read_to;
        if page.read_to >= page.head || found.len() >= limit {
            return Ok((found, after));
        }
    }
}

/// A worker's end of the book.
#[derive(Debug, Clone)]
pub struct Scribe {
    pub id: ProcessorId,
    pub who: String,
    pub book: Arc<Book>,
    pub store: Arc<dyn EventStore>,
    pub dice: Arc<Dice>,
    /// True while the process is stopped.
    pub frozen: watch::Receiver<bool>,
}

/// A run that is there: dropped with its future.
struct Running(Scribe, Assignment);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.book.view(&self.1, |view| {
            if view.running.as_ref() == Some(&self.0.who) {
                view.running = None;
            }
        });
    }
}

impl Scribe {
    async fn pause(&self, bound: Duration) {
        tokio::time::sleep(self.dice.time(bound)).await;
        self.frozen.clone().wait_for(|frozen| !frozen).await.ok();
    }

    async fn follow(self, assignment: Assignment, epoch: u64, stop: watch::Receiver<bool>) -> Result<()> {
        self.pause(Duration::from_millis(100)).await;
        let _running = Running(self.clone(), assignment.clone());
        let (mut revision, mut position) = self.book.open(&assignment, epoch, &self.who)?;
        while !*stop.borrow() {
            let (events, to) = log(&*self.store, assignment.partition, position, 3).await?;
            self.pause(Duration::from_millis(400)).await;
            if to <= position {
                continue;
            }
            // What is on its way to the database arrives, whatever becomes of the run: later, where the process is stopped.
            let (sender, done) = oneshot::channel();
            let (scribe, at, guard) = (self.clone(), assignment.clone(), (epoch, revision, position));
            tokio::spawn(async move {
                scribe.pause(Duration::from_millis(300)).await;
                drop(sender.send(scribe.book.commit(&at, guard, (events, to))));
            });
            done.await.expect("an answer")?;
            (revision, position) = (revision + 1, to);
        }
        Ok(())
    }
}

impl Processor for Scribe {
    fn id(&self) -> &ProcessorId {
        &self.id
    }

    fn run(&self, partition: PartitionId, epoch: u64, stop: watch::Receiver<bool>) -> Run {
        Box::pin(self.clone().follow(Assignment { processor: self.id.clone(), partition }, epoch, stop))
    }

    fn status(&self, _partition: PartitionId) -> Option<ProcessorStatus> {
        None
    }
}
