//! The recovery sweep: open steps, by age, settled by reading only tails.

use std::time::Duration;

use serde::Serialize;

use crate::command::CommandHandler;
use crate::command::list::Lists;
use crate::command::task::Purpose;
use crate::decider::Decider;
use crate::error::{Error, Result};
use crate::hash::HashSet;
use crate::store::{OpenStep, OpenStepsRead};
use crate::stream::StreamName;

/// Most failures that a [`Recovery`] names.
const NAMED_FAILURES: usize = 100;
/// Most steps that a sweep tries in vain before it leaves the rest to the next one.
const VAIN_TRIES: usize = 10_000;

/// What a sweep did.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Recovery {
    /// Open steps that were settled as accepted.
    pub accepted: u64,
    /// Open steps that were settled as refused.
    pub rejected: u64,
    /// Open steps that somebody else had settled by the time.
    pub gone: u64,
    /// Open steps that were passed over: resumed so often that they wait longer.
    pub backing_off: u64,
    /// Open steps that stay open.
    pub failed: u64,
    /// Records after the requests' versions that were looked through, summed over the steps. One read may
    /// serve several steps of an account.
    pub scanned: u64,
    /// The first hundred failures.
    #[serde(skip)]
    pub failures: Vec<(StreamName, Error)>,
}

impl Recovery {
    /// Open steps that were settled.
    #[must_use]
    pub const fn settled(&self) -> u64 {
        self.accepted.saturating_add(self.rejected)
    }
}

impl<D: Decider> CommandHandler<D> {
    /// Settles every open step whose last record is at least `older_than` old, by the store's clock. A
    /// step that was resumed n times must be 2ⁿ times as old (n up to 16): rules that keep failing do not
    /// fill its stream.
    ///
    /// Run it at every start with a zero age, once nobody else writes, and from time to time with an age
    /// above the time that a command takes. Sweeps may run side by side with each other and with commands:
    /// each step is settled once. A step that cannot be settled is counted, logged and left open.
    ///
    /// # Errors
    /// The first failure to list a partition's open steps. All partitions are tried, so that a database that is
    /// down does not keep the steps of others open; what was settled stays settled.
    pub async fn recover(&self, older_than: Duration) -> Result<Recovery> {
        let mut recovery = Recovery::default();
        let (mut failed, mut listed) = (HashSet::default(), Ok(()));
        for partition in self.shared.properties.partitions.all() {
            let limit = self.shared.settings.limits.sweep_page.max(1);
            let category = D::CATEGORY.side().to_string();
            let read = OpenStepsRead { partition, category, older_than, after: None, limit };
            let swept = self.sweep(read, &mut recovery, &mut failed).await;
            listed = listed.and(swept);
        }
        listed.map(|()| recovery)
    }

    /// Settles the open steps of one partition.
    async fn sweep(
        &self,
        mut read: OpenStepsRead,
        recovery: &mut Recovery,
        failed: &mut HashSet<StreamName>,
    ) -> Result<()> {
        loop {
            let page = self.shared.store.open_steps(read.clone()).await?;
            let Some(last) = page.last() else { return Ok(()) };
            read.after = Some((last.touched_at, last.stream.clone()));
            // A step that was resumed in vain is the latest touched now, and would be listed for ever.
            let page: Vec<_> = page.into_iter().filter(|step| !failed.contains(&step.stream)).collect();
            if page.is_empty() || failed.len() > VAIN_TRIES {
                return Ok(());
            }
            self.settle(page, read.older_than, recovery, failed).await;
        }
    }

    /// Settles a page of open steps together, so that those of one account share a scan.
    async fn settle(
        &self,
        page: Vec<OpenStep>,
        older_than: Duration,
        recovery: &mut Recovery,
        failed: &mut HashSet<StreamName>,
    ) {
        let mut lists = Lists::new(self);
        let mut sent = Vec::with_capacity(page.len());
        let now = self.shared.clock.now();
        for step in page {
            let pause = older_than.saturating_mul(1 << step.resumed.min(16));
            // A clock that was set back must not hide a step from whoever asks for all of them.
            if !older_than.is_zero() && step.touched_at > now.before(pause) {
                recovery.backing_off = recovery.backing_off.saturating_add(1);
                failed.insert(step.stream);
                continue;
            }
            let Some((aggregate, transaction)) = step.stream.side_parts() else { continue };
            lists.push(self, Ok((aggregate, transaction, Purpose::Recover))).await;
            sent.push(step.stream);
        }
        for (stream, ending) in sent.into_iter().zip(lists.finish(self).await) {
            if ending.is_err() {
                failed.insert(stream.clone());
            }
            recovery.add(stream, ending);
        }
    }
}

impl Recovery {
    fn add<R>(&mut self, stream: StreamName, ending: Result<super::caller::Finished<R>>) {
        let counter = match &ending {
            Ok(finished) => {
                self.scanned = self.scanned.saturating_add(finished.scanned);
                match &finished.settled {
                    Some((_, outcome)) if outcome.is_accepted() => &mut self.accepted,
                    Some(_) => &mut self.rejected,
                    None => &mut self.gone,
                }
            }
            Err(_) => &mut self.failed,
        };
        *counter = counter.saturating_add(1);
        if let Err(error) = ending {
            tracing::warn!(%error, %stream, "an open step could not be settled");
            if self.failures.len() < NAMED_FAILURES {
                self.failures.push((stream, error));
            }
        }
    }
}
