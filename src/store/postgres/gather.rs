//! Lists on their way to the database: those of one partition go one after the other, and what gathers meanwhile goes
//! together, whatever its partition: a call has a price of its own, however little it carries.

use std::sync::{Arc, PoisonError};

use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::limits;
use crate::partition::PartitionId;
use crate::store::postgres::batch::Batch;
use crate::store::postgres::commit::{self, Appended};
use crate::store::postgres::held::Held;
use crate::store::postgres::plan::{Admitted, Heads, List, Plan};
use crate::store::postgres::pool::Lent;
use crate::store::postgres::session::Session;
use crate::store::postgres::shared::{Answers, Core, answers, refuse, refuse_all, unanswered};
use crate::store::postgres::waiting::{Behind, Carrier, Load};
use crate::store::stream_key::StreamKey;
use crate::store::{AppendFailure, UnitResult};
use crate::stream::{StreamName, Version};

impl Core {
    /// Appends a list, whatever becomes of whoever waits for it.
    pub(super) async fn append(self: &Arc<Self>, partition: PartitionId, list: List) -> Vec<UnitResult> {
        let units = list.len();
        let results = match self.enqueue(partition, list) {
            Ok(results) => results,
            Err(error) => return refuse(units, &AppendFailure::Refused(error)),
        };
        results.await.unwrap_or_else(|_| refuse(units, &unanswered()))
    }

    /// Puts a list behind those that wait, and has somebody carry them.
    fn enqueue(
        self: &Arc<Self>,
        partition: PartitionId,
        list: List,
    ) -> Result<oneshot::Receiver<Vec<UnitResult>>> {
        self.demand_partition(partition)?;
        let (results, carrier) = self.lists.put(partition, list);
        if let Some(carrier) = carrier {
            tokio::spawn(Arc::clone(self).carry(carrier));
        }
        Ok(results)
    }

    /// Appends what waits, until nothing does.
    async fn carry(self: Arc<Self>, mut carrier: Carrier) {
        loop {
            carrier.turn.come().await;
            // First the connection: what comes meanwhile goes along.
            let session = self.writers.session().await;
            let mut units: usize = 0;
            let fits = |list: &List| {
                units = units.saturating_add(list.len());
                units <= limits::LIST_UNITS
            };
            let Some(loads) = carrier.take(fits) else { return };
            let single = loads.len() == 1;
            let left = match session {
                Ok(session) => self.append_loads(session, loads).await,
                Err(error) => refuse_loads(loads, &error),
            };
            for load in left {
                let left = if single { vec![load] } else { self.append_alone(load).await };
                for load in left {
                    let behind = carrier.leave(load.partition);
                    tokio::spawn(Arc::clone(&self).append_behind(behind, load));
                }
            }
            if !carrier.goes_on() {
                return;
            }
        }
    }

    /// What cannot go with others, on its own. Gives it back where that does not do either.
    async fn append_alone(self: &Arc<Self>, load: Load) -> Vec<Load> {
        match self.writers.session().await {
            Ok(session) => self.append_loads(session, vec![load]).await,
            Err(error) => refuse_loads(vec![load], &error),
        }
    }

    /// Waits for a partition's lock and appends under it, while the carriers see to the other partitions.
    fn append_behind(self: Arc<Self>, mut behind: Behind, load: Load) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let held = async {
                let session = self.holders.session().await?;
                Held::begin(&self, session, load.partition).await
            };
            let answers = match held.await {
                Ok(held) => held.finish(&load.lists).await,
                Err(error) => refuse_all(&load.lists, &AppendFailure::Refused(error)),
            };
            load.answer(answers);
            if let Some(carrier) = behind.come_back() {
                tokio::spawn(self.carry(carrier));
            }
        })
    }

    /// One call, where all that is expected holds, as it nearly always does. Where streams are elsewhere, what rests on
    /// them has failed, and the rest is sent again. Gives back what was not appended: several loads that cannot go
    /// together, or one that needs the partition's lock first, since somebody has it or its streams keep moving.
    async fn append_loads(self: &Arc<Self>, session: Lent, loads: Vec<Load>) -> Vec<Load> {
        let (mut told, mut looks_all_up) = (Heads::default(), false);
        for _ in 0..limits::HOPEFUL_APPENDS {
            let guess = |stream: &StreamName| self.remembered(stream);
            let plans = loads.iter().map(|load| Plan::hopeful(&load.lists, &told, guess));
            let plans: Option<Vec<_>> = plans.collect();
            let Some(plans) = plans else { break };
            match self.append_hopefully(&session, &loads, &plans, looks_all_up).await {
                Ok(Hoped::Done(landed)) => {
                    drop(session);
                    plans.iter().for_each(|plan| self.remember(plan));
                    let landed = loads.iter().zip(plans).zip(landed);
                    let answers = landed.map(|((load, plan), at)| answers(self, load.partition, plan, at));
                    let answers = answers.collect();
                    return answer_all(loads, answers);
                }
                Ok(Hoped::Told(streams)) => told.extend(streams),
                Ok(Hoped::LookUp) if looks_all_up => break,
                Ok(Hoped::LookUp) => looks_all_up = true,
                Ok(Hoped::Locked) => return loads,
                Ok(Hoped::NotTogether) => break,
                Err(AppendFailure::Refused(_)) if loads.len() > 1 => break,
                Err(failure) => {
                    let answers = plans.into_iter().map(|plan| fail_admitted(plan, &failure)).collect();
                    return answer_all(loads, answers);
                }
            }
        }
        loads
    }

    async fn append_hopefully(
        &self,
        session: &Session,
        loads: &[Load],
        plans: &[Plan<'_>],
        looks_all_up: bool,
    ) -> Result<Hoped, AppendFailure> {
        if plans.iter().all(|plan| plan.admitted.is_empty()) {
            return Ok(Hoped::Done(loads.iter().map(|_| (0, Timestamp::MIN)).collect()));
        }
        let mut batch = Batch::new(loads.iter().map(|load| load.partition).zip(plans));
        if loads.len() > 1 && batch.open_steps.columns().is_some() {
            return Ok(Hoped::NotTogether);
        }
        if looks_all_up {
            batch.look_all_up();
        }
        match commit::append(session, &batch, self.terms()).await? {
            Appended::Done(landed) => {
                self.count_commit();
                Ok(Hoped::Done(landed))
            }
            Appended::Elsewhere(streams) => Ok(Hoped::Told(streams)),
            Appended::IsThere => Ok(Hoped::LookUp),
            Appended::Locked => Ok(Hoped::Locked),
        }
    }

    /// Where a stream of which nothing is expected was when it was written last, or else its beginning.
    fn remembered(&self, stream: &StreamName) -> Version {
        let heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
        heads.get(&StreamKey::of(stream)).unwrap_or(Version::EMPTY)
    }

    /// Remembers where the streams are of which nothing was expected.
    fn remember(&self, plan: &Plan<'_>) {
        let mut written = plan.admitted.iter().flat_map(Admitted::heads_after).peekable();
        if written.peek().is_some() {
            let mut heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
            written.for_each(|(stream, head)| heads.put(StreamKey::of(stream), head));
        }
    }
}

/// Answers the loads; none is left.
fn answer_all(loads: Vec<Load>, answers: Vec<Answers>) -> Vec<Load> {
    loads.into_iter().zip(answers).for_each(|(load, answers)| load.answer(answers));
    Vec::new()
}

/// Refuses the loads; none is left.
fn refuse_loads(loads: Vec<Load>, error: &Error) -> Vec<Load> {
    let failure = AppendFailure::Refused(error.clone());
    let answers = loads.iter().map(|load| refuse_all(&load.lists, &failure)).collect();
    answer_all(loads, answers)
}

/// What became of a plan that was sent in hope.
enum Hoped {
    /// It is committed; by partition, the position before its first record, and the time.
    Done(Vec<(u64, Timestamp)>),
    /// These streams are elsewhere.
    Told(Vec<(StreamName, Version)>),
    /// A stream is there that was not looked up.
    LookUp,
    /// Somebody keeps a partition locked.
    Locked,
    /// The partitions cannot go in one call.
    NotTogether,
}

/// Those that would have been committed have failed; what failed before stays as it is.
fn fail_admitted(plan: Plan<'_>, failure: &AppendFailure) -> Answers {
    let answer =
        |verdict: Result<usize, AppendFailure>| Err(verdict.err().unwrap_or_else(|| failure.clone()));
    plan.verdicts.into_iter().map(|list| list.into_iter().map(answer).collect()).collect()
}
