//! The clients. Whom they send to is a parameter, so that the bare loop hears from the very same ones.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::task::JoinSet;

use crate::cli::bench::latency::Latency;
use crate::cli::bench::machine;
use crate::cli::bench::options::Manner;
use crate::cli::bench::plan::{Draws, Order, Plan};
use crate::cli::bench::shift::{Course, Shift};
use crate::cli::failure::Failure;
use crate::clock::Stopwatch;

/// Whom the clients send to.
pub(super) trait Target: Clone + Send + Sync + 'static {
    /// Carries commands out, durably, and makes sure that each answer is the right one. They are handed over together
    /// and answered together.
    fn carry_out(&self, orders: Vec<Order>) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// What one round came to.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) commands: u64,
    pub(super) time: Duration,
    pub(super) latency: Latency,
    pub(super) cpu_seconds: Option<f64>,
}

/// All clients of one target. They go on in each round where they ended in the one before.
#[derive(Debug)]
pub(super) struct Crew<T> {
    target: T,
    plan: Plan,
    manner: Manner,
    clients: Vec<Client>,
    course: Arc<Course>,
    worked: Duration,
}

impl<T: Target> Crew<T> {
    pub(super) fn new(target: T, plan: Plan, manner: Manner, course: &Arc<Course>) -> Self {
        let client = |number| Client { number, made: 0, repeated: 0, draws: Draws::new(&plan, number) };
        let clients = (0..u64::from(manner.clients)).map(client).collect();
        Self { target, plan, manner, clients, course: Arc::clone(course), worked: Duration::ZERO }
    }

    /// Sends so many commands and waits for all answers.
    pub(super) async fn round(&mut self, commands: u64) -> Result<Round, Failure> {
        let cpu = machine::cpu_seconds();
        let shift = Arc::new(Shift::begin(&self.course, commands, self.worked)?);
        let mut working = JoinSet::new();
        for client in self.clients.drain(..) {
            let (target, plan, shift) = (self.target.clone(), self.plan, Arc::clone(&shift));
            working.spawn(client.work(target, plan, self.manner, shift));
        }
        while let Some(ended) = working.join_next().await {
            self.clients.push(ended??);
        }
        let (time, latency) = shift.end();
        self.worked = self.worked.saturating_add(time);
        let cpu_seconds = machine::cpu_seconds().zip(cpu).map(|(after, before)| after - before);
        Ok(Round { commands, time, latency, cpu_seconds })
    }

    /// Commands that repeated an earlier one.
    pub(super) fn repeated(&self) -> u64 {
        self.clients.iter().fold(0, |sum, client| sum.saturating_add(client.repeated))
    }
}

/// One client. The n-th client of N makes the commands n, n + N, n + 2N and so on, and repeats only its own: of
/// those it knows that they were answered, without remembering one.
#[derive(Debug)]
struct Client {
    number: u64,
    /// Commands of its own that it has made.
    made: u64,
    repeated: u64,
    draws: Draws,
}

impl Client {
    async fn work<T: Target>(
        mut self,
        target: T,
        plan: Plan,
        manner: Manner,
        shift: Arc<Shift>,
    ) -> Result<Self, Failure> {
        let in_flight = usize::try_from(manner.in_flight)?;
        let mut times = Vec::with_capacity(in_flight);
        loop {
            let count = shift.take(u64::from(manner.in_flight));
            if count == 0 {
                return Ok(self);
            }
            let answered = self.made;
            let orders: Vec<_> = (0..count).map(|_| self.next(&plan, manner, answered)).collect();
            let sent = send(&target, orders, manner.lists, &mut times).await;
            sent.inspect_err(|_| shift.stop())?;
            shift.note(&times);
            times.clear();
        }
    }

    fn next(&mut self, plan: &Plan, manner: Manner, answered: u64) -> Order {
        let duplicate = answered > 0 && self.draws.is_in(manner.duplicates);
        let own = if duplicate {
            self.repeated = self.repeated.saturating_add(1);
            self.draws.below(answered)
        } else {
            self.made = self.made.saturating_add(1);
            self.made.saturating_sub(1)
        };
        let number = own.wrapping_mul(u64::from(manner.clients)).wrapping_add(self.number);
        plan.order(number, duplicate)
    }
}

/// Sends commands, waits for all answers, and notes how long each took.
async fn send<T: Target>(
    target: &T,
    orders: Vec<Order>,
    as_list: bool,
    times: &mut Vec<Duration>,
) -> Result<(), Failure> {
    if as_list {
        let count = orders.len();
        let time = timed(target, orders).await?;
        times.extend(std::iter::repeat_n(time, count));
        return Ok(());
    }
    let mut sent: FuturesUnordered<_> = orders.into_iter().map(|order| timed(target, vec![order])).collect();
    while let Some(time) = sent.next().await {
        times.push(time?);
    }
    Ok(())
}

async fn timed<T: Target>(target: &T, orders: Vec<Order>) -> Result<Duration, Failure> {
    let watch = Stopwatch::start();
    target.carry_out(orders).await?;
    Ok(watch.elapsed())
}
