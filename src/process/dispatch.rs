//! Carrying out what processes ask for.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::buffer::{Answer, Delivery, Sink};
use crate::command::{CommandHandler, Outcome};
use crate::error::{ErrorKind, Result};
use crate::id::TransactionId;
use crate::message::RecordedMessage;
use crate::process::asked;
use crate::process::deadlines::Deadlines;
use crate::process::deciding::Deciding;
use crate::process::manager::{Asked, ProcessManager};
use crate::stream::AggregateId;

/// The scope of the transactions that answers are heard under. It never changes: the ids would.
const ANSWERS: &str = "sidestream.answer";

/// Who carries out a process's commands: by handing them to the command handlers of the aggregates that they are for.
#[async_trait]
pub trait Dispatch<P: ProcessManager>: Send + Sync + 'static {
    /// Carries out one command, and returns what the process hears of it; `None` if nothing.
    ///
    /// Called at least once for each command, for one process one after the other, in the order in which they were asked
    /// for; again after a crash and after an error that a retry may help. `transaction` is the same each time, and made for
    /// this command alone: handled under it, the command takes effect once. A command that is a later step of another
    /// transaction (a capture of what was held) is handled under that one: any will do that is the same each time, with a
    /// step of its own.
    ///
    /// # Errors
    /// Those of the command handlers, as they are. After one that a retry may help it is called again, for as long as it
    /// takes; after others a few times more, then the command is parked, with what its process asks for later
    /// ([`ParkedMessages`](crate::buffer::ParkedMessages)).
    async fn dispatch(&self, command: P::Command, transaction: TransactionId) -> Result<Option<P::Input>>;
}

/// The destination of what processes of one kind ask for.
pub(super) struct Dispatcher<P: ProcessManager> {
    pub(super) processes: CommandHandler<Deciding<P>>,
    pub(super) dispatch: Arc<dyn Dispatch<P>>,
    pub(super) deadlines: Arc<Deadlines<P>>,
}

impl<P: ProcessManager> Dispatcher<P> {
    async fn carry_out(&self, message: &RecordedMessage) -> Result<()> {
        let transaction = TransactionId::new(message.id.as_uuid());
        match asked::read::<P>(message)? {
            Asked::Deadline(after, input) => self.deadlines.put(message, after, &input).await,
            Asked::Command(command) => match self.dispatch.dispatch(command, transaction).await? {
                Some(input) => {
                    let process = AggregateId::new(message.stream.id())?;
                    let answer = TransactionId::derive(ANSWERS, &message.id.to_string());
                    hear(&self.processes, &process, answer, input).await
                }
                None => Ok(()),
            },
        }
    }
}

/// Has a process hear something. What it heard under this transaction before, it has heard, whatever today's code would
/// make of it.
pub(super) async fn hear<P: ProcessManager>(
    processes: &CommandHandler<Deciding<P>>,
    process: &AggregateId,
    transaction: TransactionId,
    input: P::Input,
) -> Result<()> {
    match processes.handle(process, transaction, input).await {
        Ok(Outcome::Accepted(_)) => Ok(()),
        Ok(Outcome::Rejected(_) | Outcome::Overruled(_)) => {
            tracing::warn!(category = %P::CATEGORY, %process, %transaction, "a process refused what it was to hear");
            Ok(())
        }
        Err(error) if error.kind() == ErrorKind::Conflict => {
            tracing::warn!(%error, category = %P::CATEGORY, %process, "a process heard this before, as something else");
            Ok(())
        }
        Err(error) => Err(error),
    }
}

#[async_trait]
impl<P: ProcessManager> Sink for Dispatcher<P> {
    async fn send(&self, delivery: &Delivery) -> Answer {
        match self.carry_out(&delivery.message).await {
            Ok(()) => Answer::Taken,
            Err(error) if error.kind().retry_may_help() => Answer::later(error),
            Err(error) => Answer::refused(error),
        }
    }
}

impl<P: ProcessManager> fmt::Debug for Dispatcher<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatcher").field("category", &P::CATEGORY).finish_non_exhaustive()
    }
}
