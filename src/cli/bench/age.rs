//! Gives an account a long history.

use crate::cli::bench::account::{AGE_EVENTS, Account, Command};
use crate::cli::bench::report::ColdLoad;
use crate::cli::bench::stores::Store;
use crate::cli::failure::Failure;
use crate::clock::{Clock, Stopwatch, SystemClock};
use crate::command::{CommandHandler, Settings};
use crate::id::TransactionId;
use crate::stream::AggregateId;

/// Commands in flight while a history is made.
const AT_ONCE: usize = 32;

/// Makes events until the account's stream has as many records.
pub(super) async fn make_older(
    handler: &CommandHandler<Account>,
    account: &AggregateId,
    events: u64,
) -> Result<(), Failure> {
    loop {
        let missing = events.saturating_sub(version(handler, account).await?);
        if missing == 0 {
            return Ok(());
        }
        grow(handler, account, missing).await?;
    }
}

/// Makes events, as many as were asked for or as fit into one go.
pub(super) async fn grow(
    handler: &CommandHandler<Account>,
    account: &AggregateId,
    events: u64,
) -> Result<(), Failure> {
    let mut left = events;
    let sizes = std::iter::from_fn(|| {
        let size = u32::try_from(left).unwrap_or(u32::MAX).min(AGE_EVENTS);
        left = left.saturating_sub(u64::from(size));
        (size > 0).then_some(size)
    });
    let commands = sizes
        .take(AT_ONCE)
        .map(|events| (account.clone(), TransactionId::new(SystemClock.new_id()), Command::Age { events }));
    for outcome in handler.handle_many(commands).await {
        let outcome = outcome?;
        if !outcome.is_accepted() {
            return Err(Failure::Run(format!("account {account} could not be made older: {outcome:?}")));
        }
    }
    Ok(())
}

/// Loads the account from a handler that does not know it.
pub(super) async fn load_cold(store: &Store, account: &AggregateId) -> Result<ColdLoad, Failure> {
    let handler = store.handler(Settings::default());
    let watch = Stopwatch::start();
    version(&handler, account).await?;
    let milliseconds = watch.elapsed().as_secs_f64() * 1_000.0;
    Ok(ColdLoad { milliseconds, rows: handler.stats().loaded })
}

async fn version(handler: &CommandHandler<Account>, account: &AggregateId) -> Result<u64, Failure> {
    Ok(handler.query(account, |_, version| version.get()).await?)
}
