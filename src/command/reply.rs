//! Replies to those who submitted and did not wait.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::mpsc;

use crate::command::outcome::Outcome;
use crate::decider::Decider;
use crate::id::{StepName, TransactionId};
use crate::stream::AggregateId;

/// A settled step that was submitted with a requester's address.
#[derive(Debug, Clone)]
pub struct Reply<R> {
    /// The address, as it was given to [`submit`](crate::CommandHandler::submit).
    pub requester: String,
    /// The aggregate.
    pub aggregate: AggregateId,
    /// The transaction.
    pub transaction: TransactionId,
    /// The step.
    pub step: StepName,
    /// What it came to. It is durable.
    pub outcome: Outcome<R>,
}

/// Dispatches replies to their requesters.
///
/// `reply` is called once for each submitted step that this process settles, after the outcome is durable,
/// one at a time, on a task of its own: it may take its time and hold nothing up. It is *not* called again
/// after a crash between the settlement and the call; a requester that hears nothing asks
/// [`outcome`](crate::CommandHandler::outcome), which never forgets. When more than 4,096 replies wait,
/// further ones are dropped, logged and counted, for the same reason. A panic loses that reply alone.
#[async_trait]
pub trait ReplyHandler<D: Decider>: Send + Sync + 'static {
    /// Sends one reply.
    async fn reply(&self, reply: Reply<D::Rejection>);
}

/// The replies that wait for their handler.
pub(super) type Replies<D> = mpsc::Sender<Reply<<D as Decider>::Rejection>>;

/// Runs `handler` on a task of its own until every sender is gone.
pub(super) fn dispatch<D: Decider>(handler: Arc<dyn ReplyHandler<D>>, queue: usize) -> Replies<D> {
    let (sender, mut waiting) = mpsc::channel::<Reply<D::Rejection>>(queue);
    tokio::spawn(async move {
        while let Some(reply) = waiting.recv().await {
            let (handler, transaction) = (Arc::clone(&handler), reply.transaction);
            // A task of its own, so that a panic ends no other reply.
            if tokio::spawn(async move { handler.reply(reply).await }).await.is_err() {
                tracing::error!(%transaction, "the reply handler panicked; the requester was not told");
            }
        }
    });
    sender
}
