//! How long it takes until the partitions of a worker that is gone have another one, and until all are spread evenly.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sidestream::EventStore;
use sidestream::cluster::{Assignment, ClusterSettings, ClusterStatus};
use sidestream::lease::LeaseTimes;
use sidestream::runtime::{Runtime, RuntimeSettings};
use tokio::task::JoinHandle;

use crate::Failure;

/// How long is waited for an even spread.
const PATIENCE: Duration = Duration::from_secs(60);

/// A worker without processors: it only looks who has what, several times a second.
pub(crate) struct Watcher {
    service: Runtime,
    waited: Arc<Mutex<Waited>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Waited {
    /// What a worker held that is gone, with its epoch, and since when.
    waiting: BTreeMap<Assignment, (u64, Instant)>,
    /// How long others waited.
    done: Vec<Duration>,
}

impl Watcher {
    pub(crate) fn start(store: Arc<dyn EventStore>) -> Result<Self, Failure> {
        let lease = LeaseTimes { ttl: Duration::from_millis(500), margin: Duration::from_millis(50) };
        let cluster = ClusterSettings { name: "watcher".to_owned(), lease, ..ClusterSettings::default() };
        let settings = RuntimeSettings { cluster, ..RuntimeSettings::default() };
        let service = Runtime::builder(store).settings(settings).start()?;
        let (waited, mut status) = (Arc::new(Mutex::new(Waited::default())), service.cluster());
        let seen = Arc::clone(&waited);
        let task = tokio::spawn(async move {
            while status.changed().await.is_ok() {
                look(&mut seen.lock().unwrap_or_else(PoisonError::into_inner), &status.borrow_and_update());
            }
        });
        Ok(Self { service, waited, task })
    }

    /// A worker was killed or stopped just now.
    pub(crate) fn gone(&self, name: &str) {
        let status = self.service.cluster();
        let leases = status.borrow().leases.clone();
        let mut waited = self.waited.lock().unwrap_or_else(PoisonError::into_inner);
        for (assignment, lease) in leases.into_iter().filter(|(_, lease)| lease.owner == name) {
            waited.waiting.entry(assignment).or_insert((lease.epoch, Instant::now()));
        }
    }

    /// Waits until the partitions are spread evenly over these workers and nobody else has any: of each processor, one has
    /// one more than another at most. Tells how long that took.
    pub(crate) async fn even(&self, names: &[String]) -> Result<Duration, Failure> {
        let (began, mut status) = (Instant::now(), self.service.cluster());
        let even = status.wait_for(|status| is_even(status, names));
        match tokio::time::timeout(PATIENCE, even).await {
            Ok(status) => status.map(|_| began.elapsed()).map_err(Failure::from),
            Err(_) => {
                Err(format!("the partitions are not spread evenly over {names:?} after {PATIENCE:?}").into())
            }
        }
    }

    /// How long partitions were without a worker, by the time that they had one again.
    pub(crate) async fn end(self) -> Vec<Duration> {
        self.service.shutdown().await;
        self.task.abort();
        std::mem::take(&mut self.waited.lock().unwrap_or_else(PoisonError::into_inner).done)
    }
}

fn is_even(status: &ClusterStatus, names: &[String]) -> bool {
    let is_there = |name: &String| status.members.iter().any(|member| member.name == *name);
    let mut counts: BTreeMap<_, BTreeMap<&str, usize>> = BTreeMap::new();
    for (assignment, lease) in &status.leases {
        if !names.contains(&lease.owner) {
            return false;
        }
        *counts.entry(&assignment.processor).or_default().entry(&lease.owner).or_default() += 1;
    }
    let differ_by_one = |counts: &BTreeMap<&str, usize>| {
        let shares = names.iter().map(|name| counts.get(name.as_str()).copied().unwrap_or(0));
        shares.clone().max().unwrap_or(0) <= shares.min().unwrap_or(0) + 1
    };
    names.iter().all(is_there) && !counts.is_empty() && counts.values().all(differ_by_one)
}

fn look(waited: &mut Waited, status: &ClusterStatus) {
    let mut done = Vec::new();
    waited.waiting.retain(|assignment, (epoch, since)| {
        let is_taken = status.leases.get(assignment).is_some_and(|lease| lease.epoch > *epoch);
        if is_taken {
            done.push(since.elapsed());
        }
        !is_taken
    });
    waited.done.extend(done);
}
