//! How long it takes until the partitions of a worker that is gone have another one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sidestream::EventStore;
use sidestream::cluster::{Assignment, ClusterSettings, ClusterStatus};
use sidestream::lease::LeaseTimes;
use sidestream::runtime::{Runtime, RuntimeSettings};
use tokio::task::JoinHandle;

use crate::Failure;

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

    /// How long partitions were without a worker, by the time that they had one again.
    pub(crate) async fn end(self) -> Vec<Duration> {
        self.service.shutdown().await;
        self.task.abort();
        std::mem::take(&mut self.waited.lock().unwrap_or_else(PoisonError::into_inner).done)
    }
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
