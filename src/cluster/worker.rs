//! A worker: it holds its share of the partitions, and runs them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};

use crate::clock::{self, Clock, Stopwatch};
use crate::cluster::exchange::{Answered, Exchange, holders};
use crate::cluster::held::{Ended, Held};
use crate::cluster::settings::ClusterSettings;
use crate::cluster::spread::{Assignment, Member, plan};
use crate::cluster::status::{ClusterStatus, HeldStatus};
use crate::cluster::table::{self, Answer, Holder};
use crate::cluster::unowned::Watch;
use crate::cluster::workers::{self, Seat};
use crate::error::{Error, ErrorKind, Result};
use crate::lease::Trust;
use crate::limits;
use crate::metric;
use crate::partition::PartitionCount;
use crate::processor::{Processor, ProcessorId};
use crate::store::EventStore;

/// Runs its share of the partitions of its processors, together with the other workers of the store.
pub struct Worker {
    me: Member,
    settings: ClusterSettings,
    partitions: PartitionCount,
    processors: BTreeMap<ProcessorId, Arc<dyn Processor>>,
    exchange: Exchange,
    seat: Option<Seat>,
    held: BTreeMap<Assignment, Held>,
    /// Leases that name this worker, and that it does not hold: a claim whose answer was lost. They are renewed first.
    found: BTreeMap<Assignment, u64>,
    runs: JoinSet<Ended>,
    unowned: Watch,
    status: watch::Sender<ClusterStatus>,
}

impl Worker {
    /// A worker with the code of these processors.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) when the settings break a bound, two processors share a name, or there are too many.
    pub fn new(
        store: Arc<dyn EventStore>,
        processors: Vec<Arc<dyn Processor>>,
        settings: ClusterSettings,
        clock: &dyn Clock,
    ) -> Result<Self> {
        settings.check()?;
        let processors = by_name(processors)?;
        let (id, name) = (clock.new_id(), settings.name.clone());
        let names = processors.keys().cloned().collect();
        let spans = |processor: &Arc<dyn Processor>| processor.spans_partitions();
        let spanning = processors.iter().filter(|(_, processor)| spans(processor)).map(|(id, _)| id.clone());
        let (spanning, most) = (spanning.collect(), settings.most_partitions);
        let me = Member { id, name: name.clone(), processors: names, spanning, most };
        let exchange = Exchange {
            holder: Holder { worker: id, name: name.clone() },
            ttl: settings.lease.ttl,
            // Four answers are waited for in a round: it takes two thirds of the trust at most.
            patience: settings.lease.renew_after().checked_div(2).unwrap_or_default(),
            since: Stopwatch::start(),
            store,
        };
        Ok(Self {
            partitions: exchange.store.properties().partitions,
            me,
            settings,
            processors,
            exchange,
            seat: None,
            held: BTreeMap::new(),
            found: BTreeMap::new(),
            runs: JoinSet::new(),
            unowned: Watch::default(),
            status: watch::Sender::new(ClusterStatus { worker: id, name, ..ClusterStatus::default() }),
        })
    }

    /// How it is doing, after each round.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<ClusterStatus> {
        self.status.subscribe()
    }

    /// Works until it is told to stop; then it stops its runs, each after its batch, releases its leases and its seat.
    /// Runs that have not ended after a lease time are dropped.
    ///
    /// Dropped, it ends as a process that is killed: its leases expire.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            let next = self.exchange.since.elapsed().saturating_add(self.settings.lease.renew_after());
            self.round().await;
            loop {
                let rest = next.saturating_sub(self.exchange.since.elapsed());
                tokio::select! {
                    biased;
                    _ = async { stop.wait_for(|stop| *stop).await.map(drop) } => return self.leave().await,
                    Some(ended) = self.runs.join_next_with_id() => self.ended(ended).await,
                    () = clock::sleep(rest) => break,
                }
            }
        }
    }

    /// Says that it is there, renews what it holds, reads what others hold, hands over and claims.
    async fn round(&mut self) {
        let exchange = self.exchange.clone();
        let mut mine = self.found.clone();
        mine.extend(self.held.iter().map(|(assignment, held)| (assignment.clone(), held.epoch)));
        let attend = workers::attend(&*exchange.store, self.seat.clone(), (&self.me, exchange.ttl));
        let (attended, answered) = tokio::join!(exchange.answer(attend), exchange.renew_and_read(&mine));
        self.take_in(&answered);
        let (members, trouble) = match attended {
            Ok((seat, present)) => {
                self.seat = Some(seat);
                self.share(&present.recent, &answered).await;
                (Some(present.all), None)
            }
            Err(error) => {
                tracing::warn!(%error, worker = %self.me.name, "a worker could not say that it is there");
                (None, Some(error))
            }
        };
        self.end_late().await;
        self.tell(members, &answered, trouble);
    }

    /// Takes in what became of its leases.
    fn take_in(&mut self, answered: &[Answered]) {
        for Answered { partition, sent, renewed, leases } in answered {
            for (processor, epoch, answer) in renewed {
                let assignment = Assignment { processor: processor.clone(), partition: *partition };
                match answer {
                    Answer::Ours => self.renewed(assignment, *epoch, *sent),
                    Answer::Lost => self.lost(&assignment, *epoch),
                    Answer::Unclear => {}
                }
            }
            let Ok(leases) = leases else { continue };
            for processor in self.processors.keys() {
                let assignment = Assignment { processor: processor.clone(), partition: *partition };
                let mine = leases.holder(processor).filter(|found| found.holder.worker == self.me.id);
                if let (Some(found), false) = (mine, self.held.contains_key(&assignment)) {
                    self.found.insert(assignment, found.epoch);
                }
            }
        }
    }

    /// A renewal whose request was sent then was acknowledged: it is ours under this epoch, and runs.
    fn renewed(&mut self, assignment: Assignment, epoch: u64, sent: Duration) {
        if let Some(held) = self.held.get(&assignment).filter(|held| held.epoch == epoch) {
            held.renewed(sent);
            if held.is_idle() {
                self.begin(&assignment);
            }
        } else if self.found.remove(&assignment).is_some() {
            self.granted(assignment, epoch, sent);
        }
    }

    fn granted(&mut self, assignment: Assignment, epoch: u64, sent: Duration) {
        metric::lease_changed(&assignment.processor, metric::CLAIMED);
        tracing::info!(processor = %assignment.processor, partition = %assignment.partition, epoch, "a lease is held");
        self.held.insert(assignment.clone(), Held::new(epoch, Trust::new(self.settings.lease, sent)));
        self.begin(&assignment);
    }

    fn begin(&mut self, assignment: &Assignment) {
        let Some(processor) = self.processors.get(&assignment.processor) else { return };
        let Some(held) = self.held.get_mut(assignment) else { return };
        let epoch = held.epoch;
        held.begin(&mut self.runs, self.exchange.since, |stop| {
            processor.run(assignment.partition, epoch, stop)
        });
    }

    /// Somebody else claimed it.
    fn lost(&mut self, assignment: &Assignment, epoch: u64) {
        self.found.remove(assignment);
        if self.held.get(assignment).is_some_and(|held| held.epoch == epoch) {
            self.held.remove(assignment);
            self.status.send_modify(|status| status.lost = status.lost.saturating_add(1));
            metric::lease_changed(&assignment.processor, metric::LOST);
            let Assignment { processor, partition } = assignment;
            tracing::warn!(%processor, %partition, epoch, "a lease was lost: another worker has it");
        }
    }

    /// Hands over what is above its share among these members, and claims what is below.
    async fn share(&mut self, members: &BTreeSet<Member>, answered: &[Answered]) {
        let held = self.held.keys().chain(self.found.keys()).cloned().collect();
        let holders = holders(answered, &self.me.processors);
        let plan = plan(self.me.id, self.partitions, members, &holders, &held);
        let now = self.exchange.since.elapsed();
        let mut idle = Vec::new();
        for assignment in plan.hand_over {
            let Some(held) = self.held.get_mut(&assignment) else { continue };
            held.hand_over(now);
            if !held.is_running() {
                idle.push(assignment);
            }
        }
        self.release(idle).await;
        if plan.claim.is_empty() {
            return;
        }
        for Answered { partition, sent, renewed, leases } in self.exchange.claim(plan.claim).await {
            let Ok(leases) = leases else { continue };
            for (processor, _, answer) in renewed {
                let mine = leases.holder(&processor).filter(|found| found.holder.worker == self.me.id);
                if let (Answer::Ours, Some(found)) = (answer, mine) {
                    self.granted(Assignment { processor, partition }, found.epoch, sent);
                }
            }
        }
    }

    async fn ended(&mut self, ended: Result<(Id, Ended), JoinError>) {
        let (task, ended) = match ended {
            Ok((task, ended)) => (task, Ok(ended)),
            Err(error) => (error.id(), Err(error)),
        };
        let Some((assignment, held)) = self.held.iter_mut().find(|(_, held)| held.is(task)) else { return };
        let assignment = assignment.clone();
        held.ended();
        let is_over = match ended {
            _ if held.leaving.is_some() => true,
            Ok(Ended::Returned(Err(error))) => {
                let Assignment { processor, partition } = &assignment;
                tracing::error!(%error, %processor, %partition, "a run ended");
                let must_be_looked_at = matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::LostHistory);
                let is_fenced = error.kind() == ErrorKind::Fenced;
                held.failed = must_be_looked_at.then_some(error);
                self.status.send_modify(|status| {
                    status.fenced = status.fenced.saturating_add(u64::from(is_fenced));
                });
                // The view knows a higher epoch than the lease: the next claim has a higher one.
                is_fenced
            }
            Ok(Ended::Distrusted) => {
                self.status.send_modify(|status| status.distrusted = status.distrusted.saturating_add(1));
                metric::lease_changed(&assignment.processor, metric::DISTRUSTED);
                false
            }
            // The next renewal starts it again.
            Ok(Ended::Returned(Ok(()))) | Err(_) => false,
        };
        if is_over {
            self.release(vec![assignment]).await;
        }
    }

    /// Gives leases up whose runs have ended.
    async fn release(&mut self, assignments: Vec<Assignment>) {
        let give_up = |assignment: Assignment| {
            let held = self.held.remove(&assignment)?;
            metric::lease_changed(&assignment.processor, metric::RELEASED);
            Some((assignment, held.epoch))
        };
        let leases = assignments.into_iter().filter_map(give_up).collect();
        self.exchange.release(leases).await;
    }

    /// Drops runs that were told to stop a lease time ago.
    async fn end_late(&mut self) {
        let now = self.exchange.since.elapsed();
        let is_late =
            |held: &Held| held.leaving.is_some_and(|at| at.saturating_add(self.exchange.ttl) <= now);
        let late = self.held.iter().filter(|(_, held)| is_late(held));
        let late = late.map(|(assignment, _)| assignment.clone()).collect();
        self.release(late).await;
    }

    async fn leave(mut self) {
        let now = self.exchange.since.elapsed();
        self.held.values_mut().for_each(|held| held.hand_over(now));
        let mut runs = std::mem::take(&mut self.runs);
        let ended = async { while runs.join_next().await.is_some() {} };
        let in_time = clock::within(self.exchange.ttl, ended).await;
        if in_time.is_none() {
            tracing::warn!(worker = %self.me.name, "runs did not end in time and are dropped");
            runs.shutdown().await;
        }
        self.release(self.held.keys().cloned().collect()).await;
        if let Some(seat) = self.seat.take() {
            let left = self.exchange.answer(workers::leave(&*self.exchange.store, &seat)).await;
            if let Err(error) = left {
                tracing::warn!(%error, worker = %self.me.name, "a seat was not given up: it will expire");
            }
        }
        self.tell(None, &[], None);
    }

    fn tell(&mut self, members: Option<BTreeSet<Member>>, answered: &[Answered], trouble: Option<Error>) {
        let held = self.held.iter().map(|(assignment, held)| HeldStatus {
            assignment: assignment.clone(),
            epoch: held.epoch,
            is_running: held.is_running(),
            failed: held.failed.clone(),
            processor: self
                .processors
                .get(&assignment.processor)
                .and_then(|p| p.status(assignment.partition)),
        });
        let held: Vec<_> = held.collect();
        let (partitions, ttl) = (self.partitions, self.exchange.ttl);
        let unowned = members.as_ref().map(|members| self.unowned.look(answered, (members, partitions), ttl));
        if let Some(unowned) = &unowned {
            metric::unowned(unowned.len());
        }
        self.status.send_modify(|status| {
            (status.held, status.trouble) = (held, trouble);
            for Answered { partition, leases, .. } in answered {
                let Ok(leases) = leases else { continue };
                status.leases.retain(|assignment, _| assignment.partition != *partition);
                status.leases.extend(leases.by_assignment(*partition));
            }
            status.rounds = status.rounds.saturating_add(1);
            status.unowned = unowned.unwrap_or_else(|| std::mem::take(&mut status.unowned));
            status.members = members.unwrap_or_else(|| std::mem::take(&mut status.members));
        });
    }
}

/// Forgets a processor that nobody has the code of any more: its partitions are no alarm from then on. Its leases'
/// epochs stay used, so it may come back.
///
/// # Errors
/// [`Invalid`](ErrorKind::Invalid) when a worker still holds one of its partitions; those of the store. Partitions before
/// the one that failed are done.
pub async fn retire(store: &dyn EventStore, processor: &ProcessorId) -> Result<()> {
    for partition in store.properties().partitions.all() {
        if table::retire(store, partition, processor).await? != [Answer::Ours] {
            return Err(Error::invalid(format!("{processor} is not retired in partition {partition}"))
                .advice("stop the workers that have its code, wait for a lease time, and retire it again"));
        }
    }
    Ok(())
}

fn by_name(processors: Vec<Arc<dyn Processor>>) -> Result<BTreeMap<ProcessorId, Arc<dyn Processor>>> {
    if processors.len() > limits::WORKER_PROCESSORS {
        return Err(Error::invalid("a worker has too many processors")
            .expected(format!("at most {}", limits::WORKER_PROCESSORS), processors.len()));
    }
    let mut by_name = BTreeMap::new();
    for processor in processors {
        let id = processor.id().clone();
        if by_name.insert(id.clone(), processor).is_some() {
            return Err(Error::invalid(format!("processor {id} is given twice")));
        }
    }
    Ok(by_name)
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("me", &self.me).field("held", &self.held).finish_non_exhaustive()
    }
}
