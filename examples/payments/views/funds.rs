//! Balances: what each account has, partition by partition.

use std::collections::BTreeMap;

use sidestream::Decider;
use sidestream::feed::Selection;
use sidestream::projection::postgres::tokio_postgres::types::Type;
use sidestream::projection::{
    Event, Failure, PostgresRows, PostgresView, Projection, SqliteRows, SqliteView,
};

use crate::rules::{self, Account, Funds};

/// The rules of the view.
pub(super) struct Balances;

const TABLE: &str = "CREATE TABLE IF NOT EXISTS balances \
                     (account TEXT PRIMARY KEY, available BIGINT NOT NULL, held BIGINT NOT NULL)";
const READ: &str = "SELECT account, available, held FROM balances";

/// By how much an event changes what is available, and what is held.
fn change(event: &Event<'_>) -> Result<(i64, i64), Failure> {
    Ok(match event.decode::<Account>()? {
        rules::Event::Deposited { minor } => (minor, 0),
        rules::Event::Held { minor } => (-minor, minor),
        rules::Event::Captured { minor } => (0, -minor),
        rules::Event::Released { minor } => (minor, -minor),
    })
}

impl Projection<SqliteRows> for Balances {
    const NAME: &'static str = "balances";

    fn selection(&self) -> sidestream::Result<Selection> {
        Selection::all().category(Account::CATEGORY)
    }

    async fn prepare(&self, rows: &mut SqliteRows) -> Result<(), Failure> {
        Ok(rows.execute_all(TABLE)?)
    }

    async fn apply(&self, rows: &mut SqliteRows, event: &Event<'_>) -> Result<(), Failure> {
        let (available, held) = change(event)?;
        rows.execute(
            "INSERT INTO balances VALUES (?1, ?2, ?3) ON CONFLICT (account) DO UPDATE \
             SET available = available + excluded.available, held = held + excluded.held",
            (event.aggregate_id(), available, held),
        )?;
        Ok(())
    }
}

impl Projection<PostgresRows> for Balances {
    const NAME: &'static str = "balances";

    fn selection(&self) -> sidestream::Result<Selection> {
        Selection::all().category(Account::CATEGORY)
    }

    async fn prepare(&self, rows: &mut PostgresRows) -> Result<(), Failure> {
        Ok(rows.execute_all(&[TABLE]).await?)
    }

    async fn apply(&self, rows: &mut PostgresRows, event: &Event<'_>) -> Result<(), Failure> {
        let (available, held) = change(event)?;
        let sql = "INSERT INTO balances AS b VALUES ($1, $2, $3) ON CONFLICT (account) DO UPDATE \
                   SET available = b.available + excluded.available, held = b.held + excluded.held";
        let id = event.aggregate_id();
        rows.execute(sql, &[(&id, Type::TEXT), (&available, Type::INT8), (&held, Type::INT8)]).await?;
        Ok(())
    }
}

pub(super) async fn in_sqlite(view: &SqliteView) -> sidestream::Result<BTreeMap<String, Funds>> {
    view.read(|connection| {
        let mut rows = connection.prepare(READ)?;
        rows.query_map([], |row| Ok((row.get(0)?, Funds { available: row.get(1)?, held: row.get(2)? })))?
            .collect()
    })
    .await
}

pub(super) async fn in_postgres(view: &PostgresView) -> sidestream::Result<BTreeMap<String, Funds>> {
    let rows = view.read(READ, &[]).await?;
    Ok(rows.iter().map(|row| (row.get(0), Funds { available: row.get(1), held: row.get(2) })).collect())
}
