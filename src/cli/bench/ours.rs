//! The commands' way through this crate.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::cli::bench::account::{Account, Command, Rejection};
use crate::cli::bench::crew::Target;
use crate::cli::bench::plan::Order;
use crate::cli::failure::Failure;
use crate::clock;
use crate::command::{CommandHandler, Outcome};
use crate::error::{Error, ErrorKind};
use crate::id::TransactionId;
use crate::stream::AggregateId;

/// Times that a command is sent to a store that others write to, too, before the run fails.
const TRIES: u32 = 100;
/// The pause before a command is sent again.
const PAUSE: Duration = Duration::from_millis(5);

/// A command handler, and the accounts by number.
#[derive(Debug, Clone)]
pub(super) struct Ours {
    handler: CommandHandler<Account>,
    accounts: Arc<[AggregateId]>,
    tries: u32,
    resent: Arc<Resent>,
}

/// Commands that were sent again, by why.
#[derive(Debug, Default)]
struct Resent {
    contended: AtomicU64,
    errors: AtomicU64,
}

impl Ours {
    /// On a store of this process's own: any failure ends the run.
    pub(super) fn new(handler: CommandHandler<Account>, accounts: Arc<[AggregateId]>) -> Self {
        Self { handler, accounts, tries: 1, resent: Arc::default() }
    }

    /// On a store that others write to: commands are sent again where that may help, and counted.
    pub(super) fn patient(self) -> Self {
        Self { tries: TRIES, ..self }
    }

    pub(super) fn handler(&self) -> &CommandHandler<Account> {
        &self.handler
    }

    /// Answers `Contended`, and other failures after which a command was sent again.
    pub(super) fn resent(&self) -> (u64, u64) {
        (self.resent.contended.load(Ordering::Relaxed), self.resent.errors.load(Ordering::Relaxed))
    }
}

/// The ids of so many accounts.
pub(super) fn accounts(count: u32) -> Result<Arc<[AggregateId]>, Failure> {
    let ids: Result<Vec<_>, _> = (0..count).map(|number| AggregateId::new(format!("{number:08}"))).collect();
    Ok(ids?.into())
}

impl Target for Ours {
    async fn carry_out(&self, orders: Vec<Order>) -> Result<(), Failure> {
        let mut waiting = self.send(orders, Answer::AsExpected, self.tries == 1).await?;
        for left in (0..self.tries.saturating_sub(1)).rev() {
            if waiting.is_empty() {
                break;
            }
            clock::sleep(PAUSE).await;
            waiting = self.send(waiting, Answer::OrReplay, left == 0).await?;
        }
        Ok(())
    }
}

/// What may be heard. Whoever sends again may hear that it had been done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    AsExpected,
    OrReplay,
}

impl Ours {
    /// Sends commands together, and gives those back that are to be sent again: none of them at the last try.
    async fn send(&self, orders: Vec<Order>, answer: Answer, is_last: bool) -> Result<Vec<Order>, Failure> {
        let mut again = Vec::new();
        if let [order] = orders.as_slice() {
            let (account, transaction, command) = self.command(order)?;
            let outcome = self.handler.handle(&account, transaction, command).await;
            again.extend(self.judge(order, outcome, answer, is_last)?);
            return Ok(again);
        }
        let commands: Vec<_> = orders.iter().map(|order| self.command(order)).collect::<Result<_, _>>()?;
        let outcomes = self.handler.handle_many(commands).await;
        for (order, outcome) in orders.iter().zip(outcomes) {
            again.extend(self.judge(order, outcome, answer, is_last)?);
        }
        Ok(again)
    }

    fn judge(
        &self,
        order: &Order,
        outcome: Result<Outcome<Rejection>, Error>,
        answer: Answer,
        is_last: bool,
    ) -> Result<Option<Order>, Failure> {
        match outcome {
            Ok(outcome) => check(order, outcome, answer).map(|()| None),
            Err(error) if !is_last && error.kind().retry_may_help() => {
                let contended = error.kind() == ErrorKind::Contended;
                let count = if contended { &self.resent.contended } else { &self.resent.errors };
                count.fetch_add(1, Ordering::Relaxed);
                Ok(Some(*order))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn command(&self, order: &Order) -> Result<(AggregateId, TransactionId, Command), Failure> {
        let account = self.accounts.get(order.account);
        let account = account.ok_or_else(|| Failure::Run(format!("no account {}", order.account)))?;
        Ok((account.clone(), order.transaction, Command::Hold { cents: order.cents }))
    }
}

fn check(order: &Order, outcome: Outcome<Rejection>, answer: Answer) -> Result<(), Failure> {
    match outcome {
        Outcome::Accepted(receipt) if receipt.replay == order.duplicate => Ok(()),
        Outcome::Accepted(receipt) if receipt.replay && answer == Answer::OrReplay => Ok(()),
        outcome => Err(Failure::Run(format!(
            "a wrong answer: account {}, transaction {}, sent {}: {outcome:?}",
            order.account,
            order.transaction,
            if order.duplicate { "again" } else { "for the first time" },
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::TransactionId;
    use crate::store::memory::MemoryStore;

    /// What the whole run rests on: an answer that is not the expected one ends it.
    #[tokio::test]
    async fn a_wrong_answer_is_a_failure() {
        let handler = CommandHandler::new(MemoryStore::new(), Account);
        let ours = Ours::new(handler, accounts(1).expect("ids"));
        let order = |name, cents, duplicate| Order {
            account: 0,
            transaction: TransactionId::derive("test", name),
            cents,
            duplicate,
        };
        ours.carry_out(vec![order("1", 5, false)]).await.expect("new");
        ours.carry_out(vec![order("1", 5, true)]).await.expect("a replay");
        for wrong in [
            order("1", 5, false),
            order("2", 5, true),
            order("1", 6, true),
            order("3", i64::MAX, false),
            Order { account: 1, ..order("4", 5, false) },
        ] {
            let failure = ours.carry_out(vec![wrong]).await.expect_err("wrong");
            assert!(matches!(failure, Failure::Run(_)), "{failure}");
        }
    }
}
