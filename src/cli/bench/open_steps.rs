//! How long recovery takes: steps are left open, their accounts grow past them, and a new handler settles them.

use std::time::Duration;

use futures_util::stream::{self, StreamExt, TryStreamExt};

use crate::cli::bench::account::{Account, Command};
use crate::cli::bench::age;
use crate::cli::bench::options::Options;
use crate::cli::bench::ours;
use crate::cli::bench::place::Place;
use crate::cli::bench::plan::{Order, Plan};
use crate::cli::bench::report::RecoveryReport;
use crate::cli::bench::stores::Store;
use crate::cli::failure::Failure;
use crate::clock::Stopwatch;
use crate::command::{CommandHandler, Recovery, Settings};
use crate::stream::AggregateId;

/// Steps, or accounts, that are worked on at once.
const AT_ONCE: usize = 1_024;
/// Open steps of one account, where there are accounts enough.
const STEPS_OF_AN_ACCOUNT: u64 = 10;

/// Leaves steps open and has them recovered.
pub(super) async fn measure(options: &Options, place: &Place) -> Result<RecoveryReport, Failure> {
    let plan = Plan::new(options);
    let wanted = options.open_steps.div_ceil(STEPS_OF_AN_ACCOUNT).max(1);
    let used = u32::try_from(wanted).unwrap_or(u32::MAX).min(options.used_accounts());
    let accounts = ours::accounts(used)?;

    let store = Store::open(place).await?;
    store.note(plan.run()).await?;
    leave_open(&failing(&store), &plan, &accounts, options.open_steps).await?;
    grow(&store.handler(Settings::default()), &accounts, options.tail).await?;

    let store = store.reopen(place).await?;
    let handler = store.handler(Settings::default());
    let watch = Stopwatch::start();
    let recovery = handler.recover(Duration::ZERO).await?;
    let time = watch.elapsed();
    let stats = handler.stats();
    let read = stats.loaded.saturating_add(stats.scanned);
    store.close().await?;
    check(&recovery, options.open_steps)?;
    Ok(RecoveryReport {
        open_steps: Some(options.open_steps),
        tail: Some(options.tail),
        recover_seconds: Some(time.as_secs_f64()),
        recover_settled: Some(recovery.settled()),
        recover_scanned: Some(recovery.scanned),
        recover_rows_read: Some(read),
    })
}

/// A handler whose decisions fit no bound: what is submitted to it is requested, and stays open.
fn failing(store: &Store) -> CommandHandler<Account> {
    let mut settings = Settings::default();
    settings.limits.decision_events = 0;
    store.handler(settings)
}

async fn leave_open(
    handler: &CommandHandler<Account>,
    plan: &Plan,
    accounts: &[AggregateId],
    steps: u64,
) -> Result<(), Failure> {
    let orders = (0..steps).map(|number| plan.order(number, false));
    let sends = accounts.iter().cycle().zip(orders).map(|(account, order)| submit(handler, account, order));
    stream::iter(sends).buffer_unordered(AT_ONCE).try_collect().await
}

async fn submit(
    handler: &CommandHandler<Account>,
    account: &AggregateId,
    order: Order,
) -> Result<(), Failure> {
    Ok(handler.submit(account, order.transaction, Command::Hold { cents: order.cents }, None).await?)
}

async fn grow(handler: &CommandHandler<Account>, accounts: &[AggregateId], tail: u64) -> Result<(), Failure> {
    let grown = accounts.iter().map(|account| age::grow(handler, account, tail));
    stream::iter(grown).buffer_unordered(AT_ONCE).try_collect().await
}

fn check(recovery: &Recovery, steps: u64) -> Result<(), Failure> {
    if recovery.accepted == steps && recovery.failed == 0 {
        return Ok(());
    }
    Err(Failure::Run(format!("recovery of {steps} open steps was wrong: {recovery:?}")))
}
