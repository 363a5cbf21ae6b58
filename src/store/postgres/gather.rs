//! Lists on their way to the database: those of one partition go one after the other, and what gathers meanwhile goes
//! together, whatever its partition: a call costs the server what eight commands do.

use std::sync::Arc;

use futures_util::future::join_all;
use tokio::sync::oneshot;

use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::limits;
use crate::partition::PartitionId;
use crate::store::postgres::batch::Batch;
use crate::store::postgres::commit::{self, Appended};
use crate::store::postgres::held::Held;
use crate::store::postgres::plan::{List, Plan};
use crate::store::postgres::pool::Lent;
use crate::store::postgres::session::Session;
use crate::store::postgres::shared::{Answers, Core, answers, refuse, refuse_all};
use crate::store::postgres::waiting::Carrier;
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
        self.demand_partition(partition)?;
        let (results, wants_a_carrier) = self.lists.put(partition, list);
        if wants_a_carrier {
            tokio::spawn(Arc::clone(self).carry_lists());
        }
        Ok(results)
    }

    async fn carry_lists(self: Arc<Self>) {
        let mut carrier = Carrier::of(&self.lists);
        loop {
            // First the connection: what comes meanwhile goes along.
            let session = self.writers.session().await;
            let mut units: usize = 0;
            let fits = |list: &List| {
                units = units.saturating_add(list.len());
                units <= limits::LIST_UNITS
            };
            let Some(loads) = carrier.take(fits) else { return };
            let (parts, replies): (Vec<Part>, Vec<_>) =
                loads.into_iter().map(|load| ((load.partition, load.lists), load.replies)).unzip();
            let answers = match session {
                Ok(session) => self.append_parts(session, &parts).await,
                Err(error) => refuse_parts(&parts, &AppendFailure::Refused(error)),
            };
            for (reply, results) in replies.into_iter().flatten().zip(answers.into_iter().flatten()) {
                // Whoever went away needs no answer.
                drop(reply.send(results));
            }
        }
    }

    /// One call, where all that is expected holds, as it nearly always does; otherwise each partition by itself, so
    /// that nobody waits for, or fails with, another partition.
    async fn append_parts(self: &Arc<Self>, session: Lent, parts: &[Part]) -> Vec<Answers> {
        let plans: Option<Vec<_>> = parts.iter().map(|(_, lists)| Plan::hopeful(lists)).collect();
        if let Some(plans) = plans {
            match self.append_hopefully(&session, parts, &plans).await {
                Ok(Some(landed)) => return self.answer(parts, plans, &landed),
                Ok(None) => {}
                Err(AppendFailure::Refused(_)) if parts.len() > 1 => {}
                Err(failure) => {
                    return plans.into_iter().map(|plan| fail_admitted(plan, &failure)).collect();
                }
            }
        }
        if let [(partition, lists)] = parts {
            return vec![self.append_held(session, *partition, lists).await];
        }
        drop(session);
        join_all(parts.iter().map(|part| self.append_alone(part))).await
    }

    async fn append_alone(self: &Arc<Self>, part: &Part) -> Answers {
        let (_, lists) = part;
        let session = match self.writers.session().await {
            Ok(session) => session,
            Err(error) => return refuse_all(lists, &AppendFailure::Refused(error)),
        };
        let answers = Box::pin(self.append_parts(session, std::slice::from_ref(part))).await;
        answers.into_iter().next().unwrap_or_default()
    }

    /// Under the partition's lock.
    async fn append_held(self: &Arc<Self>, session: Lent, partition: PartitionId, lists: &[List]) -> Answers {
        match Held::begin(self, session, partition).await {
            Ok(held) => held.finish(lists).await,
            Err(error) => refuse_all(lists, &AppendFailure::Refused(error)),
        }
    }

    /// Where each partition was, and when; none where something is not as expected.
    async fn append_hopefully(
        &self,
        session: &Session,
        parts: &[Part],
        plans: &[Plan<'_>],
    ) -> Result<Option<Landed>, AppendFailure> {
        if plans.iter().all(|plan| plan.admitted.is_empty()) {
            return Ok(Some(parts.iter().map(|_| (0, Timestamp::MIN)).collect()));
        }
        let batch = Batch::new(parts.iter().map(|(partition, _)| *partition).zip(plans));
        if parts.len() > 1 && batch.open_steps.columns().is_some() {
            return Ok(None);
        }
        match commit::append(session, &batch, self.terms()).await? {
            Appended::Done(landed) => {
                self.count_commit();
                Ok(Some(landed))
            }
            Appended::Elsewhere => Ok(None),
        }
    }

    fn answer(&self, parts: &[Part], plans: Vec<Plan<'_>>, landed: &Landed) -> Vec<Answers> {
        let parts = parts.iter().zip(plans).zip(landed);
        parts
            .map(|(((partition, _), plan), (base, at))| answers(self, *partition, plan, *base, *at))
            .collect()
    }
}

/// The lists of one partition.
type Part = (PartitionId, Vec<List>);

/// By partition: the position before its first record, and the time.
type Landed = Vec<(u64, Timestamp)>;

fn refuse_parts(parts: &[Part], failure: &AppendFailure) -> Vec<Answers> {
    parts.iter().map(|(_, lists)| refuse_all(lists, failure)).collect()
}

/// Those that would have been committed have failed; what failed before stays as it is.
fn fail_admitted(plan: Plan<'_>, failure: &AppendFailure) -> Answers {
    let answer =
        |verdict: Result<usize, AppendFailure>| Err(verdict.err().unwrap_or_else(|| failure.clone()));
    plan.verdicts.into_iter().map(|list| list.into_iter().map(answer).collect()).collect()
}
