//! Views that follow the payments while they run: what each account has, and what each day came to. They lie in a file of
//! their own beside the store's, or in the same PostgreSQL database.

mod anew;
mod funds;
mod totals;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sidestream::clock::sleep;
use sidestream::partition::PartitionId;
use sidestream::projection::{Daemon, PostgresView, SqliteView, State, Status};
use sidestream::stream::Position;
use sidestream::{AggregateId, EventStore};

use crate::Failure;
use crate::bank::{self, Accounts};
use crate::rules::Funds;
use crate::show::{grouped, money, table};
use crate::store::Choice;

pub(crate) use anew::Anew;
use funds::Balances;
use totals::{DailyTotals, Day, Totals};

/// Where the rows are.
#[derive(Clone)]
enum Rows {
    Sqlite(SqliteView),
    Postgres(PostgresView),
}

/// Views that follow a store.
pub(crate) struct Views {
    store: Arc<dyn EventStore>,
    rows: Rows,
    daemon: Daemon,
}

/// The views' file beside a store's file.
fn beside(store: &Path) -> PathBuf {
    store.with_extension("views.db")
}

impl Views {
    /// Opens the views, and has them follow the store from where they are.
    pub(crate) async fn follow(choice: &Choice, store: Arc<dyn EventStore>) -> Result<Self, Failure> {
        let builder = Daemon::builder(Arc::clone(&store));
        let (rows, builder) = match choice {
            Choice::Sqlite(path) => {
                let view = SqliteView::open(beside(path))?;
                (
                    Rows::Sqlite(view.clone()),
                    builder.project(Balances, view.clone()).project(DailyTotals, view),
                )
            }
            Choice::Postgres(url) => {
                let view = PostgresView::builder(url).migrate(true).open().await?;
                (
                    Rows::Postgres(view.clone()),
                    builder.project(Balances, view.clone()).project(DailyTotals, view),
                )
            }
        };
        Ok(Self { store, rows, daemon: builder.start()? })
    }

    /// Begins to make both anew beside the live ones.
    pub(crate) async fn rebuild(&self) -> Result<Anew, Failure> {
        Anew::start(Arc::clone(&self.store), &self.rows).await
    }

    /// Waits until they have applied all that is there, shows them, and demands that they are what the accounts say and
    /// what was made anew.
    pub(crate) async fn compare(
        self,
        (accounts, ids): (&Accounts, &[AggregateId]),
        anew: Anew,
    ) -> Result<(), Failure> {
        let made = anew.made().await;
        let heads = heads(&*self.store).await?;
        applied(&self.daemon, &heads).await?;
        let (funds, totals) = match &self.rows {
            Rows::Sqlite(view) => (funds::in_sqlite(view).await?, totals::in_sqlite(view).await?),
            Rows::Postgres(view) => (funds::in_postgres(view).await?, totals::in_postgres(view).await?),
        };
        self.daemon.shutdown().await;
        show(&funds, &totals);
        let differs = differences(accounts, ids, &funds).await?;
        if !differs.is_empty() {
            return Err(format!("the view of balances differs: {}", differs.join("; ")).into());
        }
        made?.show();
        let events = grouped(totals.order.events);
        println!(
            "balances = the accounts' own states; both views = themselves made anew, {events} events in one order."
        );
        Ok(())
    }
}

/// How far each partition's log goes.
async fn heads(store: &dyn EventStore) -> Result<Vec<Position>, Failure> {
    let mut heads = Vec::new();
    for partition in store.properties().partitions.all() {
        heads.push(store.read_log(partition, Position::START, 1).await?.head);
    }
    Ok(heads)
}

/// Waits until everything up to these heads is applied.
async fn applied(daemon: &Daemon, heads: &[Position]) -> Result<(), Failure> {
    loop {
        let status = daemon.status();
        if let Some(wrong) = status.iter().find_map(trouble) {
            return Err(wrong.into());
        }
        let is_there = |status: &Status| match &status.joined {
            Some(joined) => {
                let all = status.partition.get()..;
                heads.iter().zip(all).all(|(head, at)| joined.in_partition(PartitionId::new(at)) >= *head)
            }
            None => heads
                .get(usize::from(status.partition.get()))
                .is_some_and(|head| status.checkpoint >= Some(*head)),
        };
        if status.iter().all(is_there) {
            return Ok(());
        }
        sleep(Duration::from_millis(5)).await;
    }
}

/// Why a view does not get there by itself.
fn trouble(status: &Status) -> Option<String> {
    let is_lost = matches!(status.state, State::Failed(_) | State::Stopped(_)) || !status.parked.is_empty();
    let Status { projection, partition, state, parked, .. } = status;
    is_lost.then(|| format!("view {projection}, partition {partition}: {state}; parked: {parked:?}"))
}

/// Where the view and the accounts differ. An account that was never opened has no row.
async fn differences(
    accounts: &Accounts,
    ids: &[AggregateId],
    found: &BTreeMap<String, Funds>,
) -> Result<Vec<String>, Failure> {
    let mut differences = Vec::new();
    for id in ids {
        let (own, row) = (bank::funds(accounts, id).await?, found.get(id.as_str()).copied());
        let row = row.unwrap_or(Funds { available: 0, held: 0 });
        if row != own {
            differences.push(format!("account {id} has {own:?}, the view {row:?}"));
        }
    }
    Ok(differences)
}

fn show(funds: &BTreeMap<String, Funds>, totals: &Totals) {
    let (mut available, mut held) = (0_i64, 0_i64);
    for funds in funds.values() {
        available += funds.available;
        held += funds.held;
    }
    let rows = [
        ("accounts", grouped(u64::try_from(funds.len()).unwrap_or(0))),
        ("available", money(available)),
        ("held", money(held)),
    ];
    let rows = rows.map(|(what, figure)| vec![what.to_owned(), figure]);
    println!("{}", table(&["the view of balances", ""], rows.to_vec()));
    let day = |(day, of): (&i64, &Day)| {
        let amounts = [of.deposited, of.held, of.captured, of.released].map(money);
        let mut row = vec![totals::date(*day)];
        row.extend(amounts);
        row.push(grouped(of.refused));
        row
    };
    let heading = ["daily totals", "deposited", "set aside", "captured", "given back", "refusals"];
    println!("{}", table(&heading, totals.days.iter().map(day).collect()));
}
