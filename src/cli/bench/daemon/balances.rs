//! The projections that are measured.

use crate::cli::bench::account::{Account, Event as Held};
use crate::decider::Decider;
use crate::error::Result;
use crate::feed::Selection;
use crate::projection::{Event, Failure, Projection, SqliteRows};

const TABLE: &str = include_str!("sql/balances.sql");
const ADD: &str = include_str!("sql/add_to_balance.sql");

/// What is held of each account, with one statement an event.
pub(super) struct Balances;

impl Projection<SqliteRows> for Balances {
    const NAME: &'static str = "balances";

    async fn prepare(&self, rows: &mut SqliteRows) -> Result<(), Failure> {
        Ok(rows.execute_all(TABLE)?)
    }

    async fn apply(&self, rows: &mut SqliteRows, event: &Event<'_>) -> Result<(), Failure> {
        // Rare events have the same content.
        let Held::Held { cents } = event.content().decode()?;
        rows.execute(ADD, (event.partition().get(), event.aggregate_id(), cents))?;
        Ok(())
    }

    fn selection(&self) -> Result<Selection> {
        Selection::all().category(Account::CATEGORY)
    }
}

/// Counts what it is given.
pub(super) struct Count(pub(super) Selection);

impl Projection<u64> for Count {
    const NAME: &'static str = "count";

    async fn apply(&self, rows: &mut u64, _event: &Event<'_>) -> Result<(), Failure> {
        *rows = rows.saturating_add(1);
        Ok(())
    }

    fn selection(&self) -> Result<Selection> {
        Ok(self.0.clone())
    }
}
