//! Lists on their way to the database: those of one partition go one after the other, and what gathers meanwhile goes
//! together. Partitions go beside each other.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::limits;
use crate::partition::PartitionId;
use crate::store::postgres::batch::Batch;
use crate::store::postgres::commit::{self, Appended};
use crate::store::postgres::gathered::Carrier;
use crate::store::postgres::held::Held;
use crate::store::postgres::plan::{List, Plan};
use crate::store::postgres::pool::Lent;
use crate::store::postgres::session::Session;
use crate::store::postgres::shared::{Answers, Core, answers, refuse, refuse_all};
use crate::store::{AppendFailure, UnitResult};

impl Core {
    /// Appends a list, whatever becomes of whoever waits for it.
    pub(super) async fn append(self: &Arc<Self>, partition: PartitionId, list: List) -> Vec<UnitResult> {
        let units = list.len();
        let results = match self.enqueue(partition, list) {
            Ok(results) => results,
            Err(error) => return refuse(units, &AppendFailure::Refused(error)),
        };
        let ended =
            || AppendFailure::Unknown(Error::new(ErrorKind::Unknown, "the append ended without an answer"));
        results.await.unwrap_or_else(|_| refuse(units, &ended()))
    }

    /// Puts a list behind those that wait, and has somebody carry them.
    fn enqueue(
        self: &Arc<Self>,
        partition: PartitionId,
        list: List,
    ) -> Result<oneshot::Receiver<Vec<UnitResult>>> {
        let lists = self.lists.get(usize::from(partition.get())).ok_or_else(|| {
            Error::invalid(format!("partition {partition} does not exist"))
                .expected(format!("below {}", self.properties.partitions.get()), partition)
        })?;
        let (results, wants_a_carrier) = lists.put(list);
        if wants_a_carrier {
            tokio::spawn(Arc::clone(self).carry_lists(partition));
        }
        Ok(results)
    }

    async fn carry_lists(self: Arc<Self>, partition: PartitionId) {
        let Some(lists) = self.lists.get(usize::from(partition.get())) else { return };
        let mut carrier = Carrier::of(lists);
        loop {
            // First the connection: what comes meanwhile goes along.
            let session = self.writers.session().await;
            let mut units: usize = 0;
            let fits = |list: &List| {
                units = units.saturating_add(list.len());
                units <= limits::LIST_UNITS
            };
            let Some((lists, replies)) = carrier.take(fits) else { return };
            let answers = match session {
                Ok(session) => self.append_now(session, partition, &lists).await,
                Err(error) => refuse_all(&lists, &AppendFailure::Refused(error)),
            };
            for (reply, results) in replies.into_iter().zip(answers) {
                // Whoever went away needs no answer.
                drop(reply.send(results));
            }
        }
    }

    /// One call, where all that is expected holds, as it nearly always does; otherwise under the partition's lock.
    async fn append_now(self: &Arc<Self>, session: Lent, partition: PartitionId, lists: &[List]) -> Answers {
        if let Some(plan) = Plan::hopeful(lists) {
            match self.append_hopefully(&session, partition, &plan).await {
                Ok(Some((base, at))) => return answers(self, partition, plan, base, at),
                Ok(None) => {}
                Err(failure) => return fail_admitted(plan, &failure),
            }
        }
        match Held::begin(self, session, partition).await {
            Ok(held) => held.finish(lists).await,
            Err(error) => refuse_all(lists, &AppendFailure::Refused(error)),
        }
    }

    async fn append_hopefully(
        &self,
        session: &Session,
        partition: PartitionId,
        plan: &Plan<'_>,
    ) -> Result<Option<(u64, Timestamp)>, AppendFailure> {
        let batch = Batch::new(partition, plan);
        if batch.is_empty() && plan.admitted.is_empty() {
            return Ok(Some((0, Timestamp::MIN)));
        }
        match commit::append(session, &batch, self.quorum).await? {
            Appended::Done { base, at } => {
                self.count_commit();
                Ok(Some((base, at)))
            }
            Appended::Elsewhere => Ok(None),
        }
    }
}

/// Those that would have been committed have failed; what failed before stays as it is.
fn fail_admitted(plan: Plan<'_>, failure: &AppendFailure) -> Answers {
    let answer =
        |verdict: Result<usize, AppendFailure>| Err(verdict.err().unwrap_or_else(|| failure.clone()));
    plan.verdicts.into_iter().map(|list| list.into_iter().map(answer).collect()).collect()
}
