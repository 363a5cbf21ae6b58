//! The commands' way through this crate.

use std::sync::Arc;

use crate::cli::bench::account::{Account, Command, Rejection};
use crate::cli::bench::crew::Target;
use crate::cli::bench::plan::Order;
use crate::cli::failure::Failure;
use crate::command::{CommandHandler, Outcome};
use crate::id::TransactionId;
use crate::stream::AggregateId;

/// A command handler, and the accounts by number.
#[derive(Debug, Clone)]
pub(super) struct Ours {
    handler: CommandHandler<Account>,
    accounts: Arc<[AggregateId]>,
}

impl Ours {
    pub(super) fn new(handler: CommandHandler<Account>, accounts: Arc<[AggregateId]>) -> Self {
        Self { handler, accounts }
    }

    pub(super) fn handler(&self) -> &CommandHandler<Account> {
        &self.handler
    }
}

/// The ids of so many accounts.
pub(super) fn accounts(count: u32) -> Result<Arc<[AggregateId]>, Failure> {
    let ids: Result<Vec<_>, _> = (0..count).map(|number| AggregateId::new(format!("{number:08}"))).collect();
    Ok(ids?.into())
}

impl Target for Ours {
    async fn carry_out(&self, orders: Vec<Order>) -> Result<(), Failure> {
        if let [order] = orders.as_slice() {
            let (account, transaction, command) = self.command(order)?;
            return check(order, self.handler.handle(&account, transaction, command).await?);
        }
        let commands: Vec<_> = orders.iter().map(|order| self.command(order)).collect::<Result<_, _>>()?;
        let outcomes = self.handler.handle_many(commands).await;
        orders.iter().zip(outcomes).try_for_each(|(order, outcome)| check(order, outcome?))
    }
}

impl Ours {
    fn command(&self, order: &Order) -> Result<(AggregateId, TransactionId, Command), Failure> {
        let account = self.accounts.get(order.account);
        let account = account.ok_or_else(|| Failure::Run(format!("no account {}", order.account)))?;
        Ok((account.clone(), order.transaction, Command::Hold { cents: order.cents }))
    }
}

fn check(order: &Order, outcome: Outcome<Rejection>) -> Result<(), Failure> {
    match outcome {
        Outcome::Accepted(receipt) if receipt.replay == order.duplicate => Ok(()),
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
