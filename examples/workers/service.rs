//! A worker.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sidestream::EventStore;
use sidestream::cluster::{ClusterSettings, ClusterStatus};
use sidestream::lease::LeaseTimes;
use sidestream::runtime::{Runtime, RuntimeSettings};

use crate::Failure;
use crate::options::Options;
use crate::views::Views;

/// What a worker says of itself when it leaves.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Told {
    /// Runs that a view refused.
    pub(crate) fenced: u64,
    /// Leases that others had by the time.
    pub(crate) lost: u64,
    /// Runs that ended because a lease was trusted no longer.
    pub(crate) distrusted: u64,
}

impl Told {
    pub(crate) fn of(status: &ClusterStatus) -> Self {
        Self { fenced: status.fenced, lost: status.lost, distrusted: status.distrusted }
    }

    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            fenced: self.fenced + other.fenced,
            lost: self.lost + other.lost,
            distrusted: self.distrusted + other.distrusted,
        }
    }
}

/// A service with all projections.
pub(crate) fn start(
    options: &Options,
    store: Arc<dyn EventStore>,
    views: &Views,
    name: &str,
) -> Result<Runtime, Failure> {
    let ttl = Duration::from_millis(options.lease_ms);
    let lease = LeaseTimes { ttl, margin: ttl / 10 };
    let cluster = ClusterSettings { name: name.to_owned(), lease, ..ClusterSettings::default() };
    let settings = RuntimeSettings { cluster, ..RuntimeSettings::default() };
    Ok(views.project(Runtime::builder(store).settings(settings)).start()?)
}

/// A worker's process: it works until standard input ends, then leaves, and says what it went through.
pub(crate) async fn until_told(options: &Options, name: &str) -> Result<(), Failure> {
    let choice = options.store.as_ref().ok_or("a worker needs a store")?;
    let store = choice.open(options.partitions).await?;
    let views = Views::open(options, store.properties().partitions.get()).await?;
    let service = start(options, store, &views, name)?;
    let status = service.cluster();
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    service.shutdown().await;
    println!("{}", serde_json::to_string(&Told::of(&status.borrow()))?);
    Ok(())
}
