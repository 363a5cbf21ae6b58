//! One round's calls to the store: each partition by itself, so that one whose database is down holds no other up.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::clock::{self, Stopwatch};
use crate::cluster::spread::{Assignment, Holders};
use crate::cluster::table::{self, Answer, Holder, Leases};
use crate::error::{Error, ErrorKind, Result};
use crate::partition::PartitionId;
use crate::processor::ProcessorId;
use crate::store::EventStore;

/// The way to the store.
#[derive(Debug, Clone)]
pub(super) struct Exchange {
    pub(super) store: Arc<dyn EventStore>,
    pub(super) holder: Holder,
    /// How long a lease lives.
    pub(super) ttl: Duration,
    /// How long is waited for an answer.
    pub(super) patience: Duration,
    /// The worker's own clock.
    pub(super) since: Stopwatch,
}

/// What a partition answered.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) partition: PartitionId,
    /// When the request was sent, by the worker's own clock.
    pub(super) sent: Duration,
    /// What became of the leases that were to be renewed or claimed; the epoch of those is told by the read.
    pub(super) renewed: Vec<(ProcessorId, u64, Answer)>,
    /// The leases, where they could be read.
    pub(super) leases: Result<Leases>,
}

impl Exchange {
    /// Waits for an answer, and no longer than that is worth waiting for.
    pub(super) async fn answer<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        clock::within(self.patience, work).await.unwrap_or_else(|| {
            Err(Error::new(ErrorKind::Unavailable, "the store did not answer in time")
                .expected("an answer within a round", format!("none in {:?}", self.patience)))
        })
    }

    /// Renews these leases, and reads all partitions' leases afterwards.
    pub(super) async fn renew_and_read(&self, mine: &BTreeMap<Assignment, u64>) -> Vec<Answered> {
        let mut by_partition: BTreeMap<PartitionId, Vec<(ProcessorId, u64)>> = BTreeMap::new();
        for partition in self.store.properties().partitions.all() {
            by_partition.insert(partition, Vec::new());
        }
        for (Assignment { processor, partition }, epoch) in mine {
            by_partition.entry(*partition).or_default().push((processor.clone(), *epoch));
        }
        let ask = |(partition, leases)| {
            let exchange = self.clone();
            async move { exchange.renew_one(partition, leases).await }
        };
        all(by_partition.into_iter().map(ask)).await
    }

    async fn renew_one(self, partition: PartitionId, leases: Vec<(ProcessorId, u64)>) -> Answered {
        let sent = self.since.elapsed();
        let renewal = self.answer(table::renew(&*self.store, partition, &leases, self.ttl)).await;
        let answers = renewal.unwrap_or_else(|error| {
            tracing::warn!(%error, %partition, "leases were not renewed");
            leases.iter().map(|_| Answer::Unclear).collect()
        });
        let renewed = leases.into_iter().zip(answers);
        let renewed = renewed.map(|((processor, epoch), answer)| (processor, epoch, answer)).collect();
        let leases = self.answer(table::read(&*self.store, partition)).await;
        Answered { partition, sent, renewed, leases }
    }

    /// Claims free leases, and reads what came of it.
    pub(super) async fn claim(&self, wanted: Vec<Assignment>) -> Vec<Answered> {
        let mut by_partition: BTreeMap<PartitionId, Vec<ProcessorId>> = BTreeMap::new();
        for Assignment { processor, partition } in wanted {
            by_partition.entry(partition).or_default().push(processor);
        }
        let ask = |(partition, processors)| {
            let exchange = self.clone();
            async move { exchange.claim_one(partition, processors).await }
        };
        all(by_partition.into_iter().map(ask)).await
    }

    async fn claim_one(self, partition: PartitionId, processors: Vec<ProcessorId>) -> Answered {
        let sent = self.since.elapsed();
        let holder = (&self.holder, self.ttl);
        let claimed = self.answer(table::claim(&*self.store, partition, &processors, holder)).await;
        let leases = match &claimed {
            Ok(_) => self.answer(table::read(&*self.store, partition)).await,
            Err(error) => Err(error.clone()),
        };
        let answers = processors.into_iter().zip(claimed.unwrap_or_default());
        let renewed = answers.map(|(processor, answer)| (processor, 0, answer)).collect();
        Answered { partition, sent, renewed, leases }
    }

    /// Gives leases up, side by side. What is not answered expires by itself.
    pub(super) async fn release(&self, leases: Vec<(Assignment, u64)>) {
        let mut tasks = JoinSet::new();
        for (Assignment { processor, partition }, epoch) in leases {
            let exchange = self.clone();
            tasks.spawn(async move {
                let store = &*exchange.store;
                let released = exchange.answer(table::release(store, partition, (&processor, epoch))).await;
                if let Err(error) = released {
                    tracing::warn!(%error, %processor, %partition, "a lease was not released: it will expire");
                }
            });
        }
        while tasks.join_next().await.is_some() {}
    }
}

/// Who has which lease of these processors, by what was answered.
pub(super) fn holders(answered: &[Answered], processors: &BTreeSet<ProcessorId>) -> Holders {
    let read =
        answered.iter().filter_map(|answered| Some((answered.partition, answered.leases.as_ref().ok()?)));
    let of_partition = |(partition, leases): (PartitionId, &Leases)| {
        let holder = |processor: &ProcessorId| leases.holder(processor).map(|found| found.holder.worker);
        let of = |processor: &ProcessorId| {
            (Assignment { processor: processor.clone(), partition }, holder(processor))
        };
        processors.iter().map(of).collect::<Vec<_>>()
    };
    read.flat_map(of_partition).collect()
}

/// Runs futures side by side. One that panics answers nothing.
async fn all<F>(futures: impl Iterator<Item = F>) -> Vec<Answered>
where
    F: Future<Output = Answered> + Send + 'static,
{
    let mut tasks: JoinSet<Answered> = JoinSet::new();
    for future in futures {
        tasks.spawn(future);
    }
    let mut answered = Vec::with_capacity(tasks.len());
    while let Some(done) = tasks.join_next().await {
        answered.extend(done.ok());
    }
    answered.sort_by_key(|answered| answered.partition);
    answered
}
