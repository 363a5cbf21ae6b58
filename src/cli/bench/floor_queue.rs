//! The way to a bare loop: a channel in which commands wait for their commit, with what they are to write.

use std::fmt;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::cli::bench::crew::Target;
use crate::cli::bench::plan::Order;
use crate::cli::failure::Failure;
use crate::id::TransactionId;

/// Most commands that wait; further clients wait for room.
const QUEUE: usize = 4_096;
/// A commit takes no further jobs from so many commands on.
const BATCH: usize = 2_048;

/// Makes what a command writes. Clients do that, side by side.
pub(super) trait Stamp: Send + Sync + 'static {
    /// What one command writes.
    type Rows: Send + 'static;

    /// What the command of this transaction writes.
    fn of(&self, transaction: TransactionId) -> Self::Rows;
}

/// A client's commands, which wait for their commit.
pub(super) struct Job<R> {
    pub(super) rows: Vec<R>,
    reply: oneshot::Sender<()>,
}

impl<R> Job<R> {
    /// Tells the client that its commands are durable. One that went away does not need its answer.
    pub(super) fn answer(self) {
        self.reply.send(()).ok();
    }
}

/// The clients' end.
pub(super) struct Way<S: Stamp> {
    sender: mpsc::Sender<Job<S::Rows>>,
    stamp: Arc<S>,
}

/// A way, and where its jobs come out.
pub(super) fn way<S: Stamp>(stamp: S) -> (Way<S>, mpsc::Receiver<Job<S::Rows>>) {
    let (sender, jobs) = mpsc::channel(QUEUE);
    (Way { sender, stamp: Arc::new(stamp) }, jobs)
}

/// Takes the jobs that wait, as many as one commit may have, behind the first one.
pub(super) fn take_waiting<R>(jobs: &mut mpsc::Receiver<Job<R>>, first: Job<R>, batch: &mut Vec<Job<R>>) {
    let mut commands = first.rows.len();
    batch.push(first);
    while commands < BATCH {
        let Ok(job) = jobs.try_recv() else { break };
        commands = commands.saturating_add(job.rows.len());
        batch.push(job);
    }
}

impl<S: Stamp> Way<S> {
    /// What the rows are made by.
    pub(super) fn stamp(&self) -> Arc<S> {
        Arc::clone(&self.stamp)
    }
}

impl<S: Stamp> Target for Way<S> {
    async fn carry_out(&self, orders: Vec<Order>) -> Result<(), Failure> {
        let (reply, answer) = oneshot::channel();
        let died = || Failure::Run("the bare loop stopped before it answered".to_owned());
        let rows = orders.into_iter().map(|order| self.stamp.of(order.transaction)).collect();
        self.sender.send(Job { rows, reply }).await.map_err(|_| died())?;
        answer.await.map_err(|_| died())
    }
}

impl<S: Stamp> Clone for Way<S> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone(), stamp: Arc::clone(&self.stamp) }
    }
}

impl<S: Stamp> fmt::Debug for Way<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Way").finish_non_exhaustive()
    }
}
