//! One account at different ages: what a load, a hold and a recovery cost does not grow with it.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use sidestream::clock::Stopwatch;
use sidestream::command::Settings;
use sidestream::limits::Limits;
use sidestream::{AggregateId, CommandHandler, EventStore, TransactionId};

use crate::Failure;
use crate::bank::{self, Accounts};
use crate::rules::{Account, Command};
use crate::show::{bar, grouped, table, time};
use crate::store::{Choice, Store};

/// Commands handed over at once while an account is made older.
const CHUNK: u64 = 2_000;
/// Holds that are timed.
const HOLDS: u64 = 500;
/// Commands after the open request: the tail that its recovery has to look through.
const TAIL: u64 = 20;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How many events the accounts have.
    #[arg(long, value_delimiter = ',', default_value = "1000,100000,1000000")]
    events: Vec<u64>,
    /// The store's file, made where there is none; or `postgres://USER@HOST/DATABASE`. Accounts that are there are only made older.
    #[arg(long)]
    store: Choice,
}

pub(crate) async fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let mut rows = Vec::new();
    for events in &arguments.events {
        rows.push(measure(&arguments.store, *events).await?);
    }
    let heading = [
        "events",
        "load, cold",
        "records read",
        "hold p50",
        "hold p99",
        "read by recovery",
        "snapshot, bytes",
    ];
    println!("{}", table(&heading, rows));
    Ok(ExitCode::SUCCESS)
}

async fn measure(choice: &Choice, events: u64) -> Result<Vec<String>, Failure> {
    let opened = Store::open(choice).await?;
    let store = opened.events();
    let id = bank::account(&format!("aged-{events}"))?;
    make_older(&store, &id, events).await?;
    // A new process's view: nothing of the account is in memory.
    let accounts = CommandHandler::new(store.clone(), Account);
    let (version, _) = bank::size(&store, &id).await?;
    let watch = Stopwatch::start();
    bank::funds(&accounts, &id).await?;
    let (load, loaded) = (watch.elapsed(), accounts.stats().loaded);
    let holds = time_holds(&accounts, &id).await?;
    let scanned = recover(&store, &id).await?;
    let (_, snapshot) = bank::size(&store, &id).await?;
    opened.close().await?;
    Ok(vec![
        grouped(version.get()),
        time(load),
        grouped(loaded),
        time(holds.0),
        time(holds.1),
        grouped(scanned),
        grouped(u64::try_from(snapshot)?),
    ])
}

/// Deposits until the account has as many events.
async fn make_older(store: &Arc<dyn EventStore>, id: &AggregateId, events: u64) -> Result<(), Failure> {
    let accounts = CommandHandler::new(store.clone(), Account);
    let mut made = bank::size(store, id).await?.0.get();
    let progress = bar("growing", events);
    while made < events {
        let chunk = CHUNK.min(events - made);
        let commands = (made..made + chunk).map(|number| {
            let transaction = TransactionId::derive("age", &number.to_string());
            (id.clone(), transaction, Command::Deposit { minor: 100 })
        });
        accounts.handle_many(commands).await.into_iter().collect::<Result<Vec<_>, _>>()?;
        made = bank::size(store, id).await?.0.get();
        progress.set_position(made);
    }
    progress.finish_and_clear();
    Ok(())
}

/// The median and the 99th percentile of one hold, each durable before the next is sent.
async fn time_holds(accounts: &Accounts, id: &AggregateId) -> Result<(Duration, Duration), Failure> {
    let mut times = Vec::new();
    for _ in 0..HOLDS {
        let transaction = TransactionId::new(uuid::Uuid::now_v7());
        let watch = Stopwatch::start();
        accounts.handle(id, transaction, Command::Hold { minor: 1 }).await?;
        times.push(watch.elapsed());
    }
    times.sort_unstable();
    let at = |percent: usize| times.get(times.len() * percent / 100).copied().unwrap_or_default();
    Ok((at(50), at(99)))
}

/// Leaves a step open, lets the account grow past it, and has it recovered.
async fn recover(store: &Arc<dyn EventStore>, id: &AggregateId) -> Result<u64, Failure> {
    // No decision fits this bound, so what it submits stays open.
    let limits = Limits { decision_events: 0, ..Limits::default() };
    let failing = CommandHandler::builder(store.clone(), Account);
    let failing = failing.settings(Settings { limits, ..Settings::default() }).build();
    let transaction = TransactionId::new(uuid::Uuid::now_v7());
    failing.submit(id, transaction, Command::Hold { minor: 1 }, None).await?;
    drop(failing);

    let accounts = CommandHandler::new(store.clone(), Account);
    for _ in 0..TAIL {
        let transaction = TransactionId::new(uuid::Uuid::now_v7());
        accounts.handle(id, transaction, Command::Deposit { minor: 1 }).await?;
    }
    let recovery = accounts.recover(Duration::ZERO).await?;
    if recovery.settled() != 1 {
        return Err(format!("expected one open step, settled {}", recovery.settled()).into());
    }
    Ok(recovery.scanned)
}
