//! A store with scripted faults: calls that fail, outcomes that get lost, appends that land late, and
//! processes that die between any two calls.
//!
//! Everything is counted in calls, nothing in time: the same script gives the same run.
//!
//! ```
//! use std::sync::Arc;
//! use sidestream::store::memory::MemoryStore;
//! use sidestream::testkit::faults::{Done, Fault, FaultyStore, Script};
//!
//! let script = Script::new().append(1, Fault::Unknown(Done::All)).call(3, Fault::Crash(Done::Nothing));
//! let process = FaultyStore::new(Arc::new(MemoryStore::new()), script);
//! // … work with `process` inside `process.until_crash(…)`, and after the crash with:
//! let restarted = process.restart();
//! # assert_eq!(restarted.calls(), 0);
//! ```

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::watch;

use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::event::EventType;
use crate::partition::PartitionId;
use crate::store::rows::{RowsPage, RowsRead};
use crate::store::{
    AppendFailure, EventStore, LogPage, OpenStep, OpenStepsRead, StoreProperties, StreamPage, StreamRead,
    Unit, UnitResult,
};
use crate::stream::{Position, StreamName, Version};

mod reads;
mod script;

pub use reads::StreamReads;
pub use script::{Done, Fault, Rates, Script};

/// One process's handle on a store, with faults on the way.
///
/// Clones are the same process. [`restart`](Self::restart) gives the next one: it shares the store, the
/// script, the counters, and what is still under way.
#[derive(Debug, Clone)]
pub struct FaultyStore {
    network: Arc<Network>,
    dead: Arc<watch::Sender<bool>>,
}

/// What all processes share.
#[derive(Debug)]
struct Network {
    inner: Arc<dyn EventStore>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    script: Script,
    calls: u64,
    appends: u64,
    late: Vec<Late>,
    reads: BTreeMap<StreamName, StreamReads>,
}

/// A write that is still under way, and the call before which it arrives.
#[derive(Debug)]
struct Late {
    before_call: u64,
    write: Write,
}

#[derive(Debug, Clone)]
enum Write {
    Append(PartitionId, Vec<Unit>),
    Truncate(StreamName, Version),
    Close(Vec<PartitionId>, Timestamp),
}

impl FaultyStore {
    /// The first process on `inner`.
    #[must_use]
    pub fn new(inner: Arc<dyn EventStore>, script: Script) -> Self {
        let state = State { script, calls: 0, appends: 0, late: Vec::new(), reads: BTreeMap::new() };
        Self::on(Arc::new(Network { inner, state: Mutex::new(state) }))
    }

    /// The process that comes after this one. Script and counters go on, and late writes may still
    /// arrive. This handle lives on, if it did: two processes at once are allowed.
    #[must_use]
    pub fn restart(&self) -> Self {
        Self::on(Arc::clone(&self.network))
    }

    fn on(network: Arc<Network>) -> Self {
        Self { network, dead: Arc::new(watch::Sender::new(false)) }
    }

    /// Kills this process: no call through it ever returns again.
    pub fn kill(&self) {
        self.dead.send_replace(true);
    }

    /// Whether this process is dead.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        *self.dead.borrow()
    }

    /// Runs `work`, the process's, until it is done or the process dies. `None` means dead: `work` is
    /// dropped where it stood, as memory is lost. Spawned tasks are the caller's to abort.
    pub async fn until_crash<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut dead = self.dead.subscribe();
        let work = pin!(work);
        tokio::select! {
            biased;
            _ = dead.wait_for(|dead| *dead) => None,
            done = work => Some(done),
        }
    }

    /// How many calls were made, by all processes. `properties` is none: it answers from memory.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    /// How many of the calls were appends.
    #[must_use]
    pub fn appends(&self) -> u64 {
        self.state().appends
    }

    /// How many writes are still under way.
    #[must_use]
    pub fn late(&self) -> usize {
        self.state().late.len()
    }

    /// Lets all late writes arrive now, in the order sent.
    pub async fn land_late(&self) {
        let all = std::mem::take(&mut self.state().late);
        self.land(all).await;
    }

    /// Lets late writes get lost.
    pub fn lose_late(&self) {
        self.state().late.clear();
    }

    /// Replaces the script; counters go on.
    pub fn set_script(&self, script: Script) {
        self.state().script = script;
    }

    /// What was read of each stream by [`read_streams`](EventStore::read_streams), by all processes.
    #[must_use]
    pub fn reads(&self) -> BTreeMap<StreamName, StreamReads> {
        self.state().reads.clone()
    }

    /// Starts counting reads anew.
    pub fn reset_reads(&self) {
        self.state().reads.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing below panics half way through a change.
        self.network.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call, lets arrive what is due before it, and says what goes wrong with it.
    async fn begin(&self, is_append: bool) -> Option<Fault> {
        self.stop_if_dead().await;
        let (fault, due) = self.state().begin(is_append);
        self.land(due).await;
        if let Some(Fault::Delay(turns)) = fault {
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
            self.stop_if_dead().await;
        }
        fault
    }

    /// A dead process hears nothing, sends nothing and goes no further.
    async fn stop_if_dead(&self) {
        if self.is_dead() {
            std::future::pending::<()>().await;
        }
    }

    async fn crash<T>(&self) -> T {
        self.kill();
        std::future::pending().await
    }

    async fn land(&self, writes: Vec<Late>) {
        for Late { write, .. } in writes {
            // Nobody is there any more to hear the answers.
            match write {
                Write::Append(partition, units) => drop(self.network.inner.append(partition, units).await),
                Write::Truncate(stream, through) => {
                    drop(self.network.inner.truncate(&stream, through).await);
                }
                Write::Close(partitions, through) => {
                    drop(self.network.inner.close_partitions(&partitions, through).await);
                }
            }
        }
    }

    async fn read<T>(&self, what: &str, read: impl Future<Output = Result<T>>) -> Result<T> {
        let answer = match self.begin(false).await {
            None | Some(Fault::Delay(_)) => read.await,
            // A read that failed did nothing, whatever became of it: it has no unknown outcome.
            Some(Fault::Unavailable | Fault::Unknown(_) | Fault::UnknownFrom(_) | Fault::Late(_)) => {
                Err(unavailable(what))
            }
            Some(Fault::Crash(_)) => self.crash().await,
        };
        self.stop_if_dead().await;
        answer
    }

    /// A change that is done or not, as a list of one unit is.
    async fn change<T>(&self, what: &str, late: Write, change: impl Future<Output = Result<T>>) -> Result<T> {
        let answer = match self.begin(false).await {
            None | Some(Fault::Delay(_)) => change.await,
            Some(Fault::Unavailable) => Err(unavailable(what)),
            Some(Fault::Unknown(done)) => {
                if done.of(1) == 1 {
                    drop(change.await);
                }
                Err(unknown(what))
            }
            Some(Fault::UnknownFrom(_)) => Err(unknown(what)),
            Some(Fault::Late(after_calls)) => {
                self.send_late(after_calls, late);
                Err(unknown(what))
            }
            Some(Fault::Crash(done)) => {
                if done.of(1) == 1 {
                    drop(change.await);
                }
                self.crash().await
            }
        };
        self.stop_if_dead().await;
        answer
    }

    /// Appends the first units of a list only.
    async fn append_some(&self, partition: PartitionId, mut units: Vec<Unit>, done: Done) -> Vec<UnitResult> {
        units.truncate(done.of(units.len()));
        if units.is_empty() { Vec::new() } else { self.network.inner.append(partition, units).await }
    }

    fn send_late(&self, after_calls: u64, write: Write) {
        let mut state = self.state();
        let before_call = state.calls.saturating_add(after_calls.max(1));
        state.late.push(Late { before_call, write });
    }
}

impl State {
    fn begin(&mut self, is_append: bool) -> (Option<Fault>, Vec<Late>) {
        self.calls += 1;
        self.appends += u64::from(is_append);
        let fault = self.script.fault(self.calls, is_append.then_some(self.appends));
        let calls = self.calls;
        (fault, self.late.extract_if(.., |late| late.before_call <= calls).collect())
    }
}

fn unavailable(what: &str) -> Error {
    Error::new(ErrorKind::Unavailable, format!("scripted: {what} failed before it was done"))
}

fn unknown(what: &str) -> Error {
    Error::new(ErrorKind::Unknown, format!("scripted: the outcome of {what} was lost"))
}

fn lost(units: usize) -> Vec<UnitResult> {
    (0..units).map(|_| Err(AppendFailure::Unknown(unknown("an append")))).collect()
}

#[async_trait]
impl EventStore for FaultyStore {
    fn properties(&self) -> StoreProperties {
        self.network.inner.properties()
    }

    async fn append(&self, partition: PartitionId, units: Vec<Unit>) -> Vec<UnitResult> {
        let count = units.len();
        let results = match self.begin(true).await {
            None | Some(Fault::Delay(_)) => self.network.inner.append(partition, units).await,
            Some(Fault::Unavailable) => {
                units.iter().map(|_| Err(AppendFailure::Refused(unavailable("an append")))).collect()
            }
            Some(Fault::Unknown(done)) => {
                drop(self.append_some(partition, units, done).await);
                lost(count)
            }
            Some(Fault::UnknownFrom(first)) => {
                let mut results = self.append_some(partition, units, Done::Units(first)).await;
                results.extend(lost(count - results.len()));
                results
            }
            Some(Fault::Late(after_calls)) => {
                self.send_late(after_calls, Write::Append(partition, units));
                lost(count)
            }
            Some(Fault::Crash(done)) => {
                drop(self.append_some(partition, units, done).await);
                self.crash().await
            }
        };
        self.stop_if_dead().await;
        results
    }

    async fn read_streams(&self, reads: Vec<StreamRead>) -> Vec<Result<StreamPage>> {
        let (count, asked) = (reads.len(), reads.clone());
        let pages = self.read("a read", async { Ok(self.network.inner.read_streams(reads).await) }).await;
        match pages {
            Ok(pages) => {
                let mut state = self.state();
                asked.iter().zip(&pages).for_each(|(read, page)| reads::count(&mut state.reads, read, page));
                pages
            }
            Err(error) => vec![Err(error); count],
        }
    }

    async fn read_log(&self, partition: PartitionId, after: Position, limit: usize) -> Result<LogPage> {
        self.read("a read of the log", self.network.inner.read_log(partition, after, limit)).await
    }

    async fn read_types(
        &self,
        partition: PartitionId,
        types: &[EventType],
        after: Position,
        limit: usize,
    ) -> Result<LogPage> {
        let read = self.network.inner.read_types(partition, types, after, limit);
        self.read("a read by types", read).await
    }

    async fn open_steps(&self, read: OpenStepsRead) -> Result<Vec<OpenStep>> {
        self.read("a read of open steps", self.network.inner.open_steps(read)).await
    }

    async fn truncate(&self, stream: &StreamName, through: Version) -> Result<Version> {
        let late = Write::Truncate(stream.clone(), through);
        self.change("a truncation", late, self.network.inner.truncate(stream, through)).await
    }

    async fn rows(&self, read: RowsRead) -> Result<RowsPage> {
        self.read("a read of rows", self.network.inner.rows(read)).await
    }

    async fn close_partitions(
        &self,
        partitions: &[PartitionId],
        through: Timestamp,
    ) -> Result<Vec<Timestamp>> {
        let late = Write::Close(partitions.to_vec(), through);
        let close = self.network.inner.close_partitions(partitions, through);
        self.change("closing partitions", late, close).await
    }

    /// A hint that nothing depends on: it is no call, and meets no fault.
    async fn changed(&self, partition: PartitionId, after: Position) {
        self.network.inner.changed(partition, after).await;
        self.stop_if_dead().await;
    }
}
