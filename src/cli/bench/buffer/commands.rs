//! Commands with a message, and without.

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::cli::bench::buffer::options::BufferOptions;
use crate::cli::bench::buffer::report::{Commands, Rate};
use crate::cli::bench::buffer::teller::{Pay, Teller};
use crate::cli::bench::figures::median;
use crate::cli::failure::Failure;
use crate::clock::Stopwatch;
use crate::command::CommandHandler;
use crate::error::Result;
use crate::id::TransactionId;
use crate::store::EventStore;
use crate::stream::AggregateId;

/// Takes turns: each round has its commands with a message and as many without, every other round in the other order.
pub(super) async fn measure(
    store: &Arc<dyn EventStore>,
    options: &BufferOptions,
    run: u64,
) -> Result<Commands, Failure> {
    let tellers = CommandHandler::new(Arc::clone(store), Teller);
    let each = options.messages.div_ceil(options.rounds);
    // Accounts are loaded, and everything is warm, before anything is measured.
    let warm = round(&tellers, options, (0, each.min(options.accounts)), (run, false)).await?;
    let (mut with, mut without) = (Vec::new(), Vec::new());
    let mut from = warm.count;
    for number in 0..options.rounds {
        for tells in [number.is_multiple_of(2), !number.is_multiple_of(2)] {
            let rate = round(&tellers, options, (from, each), (run, tells)).await?;
            from = from.saturating_add(each);
            if tells { with.push(rate.per_second) } else { without.push(rate.per_second) }
        }
    }
    let (with, without) = (median(with).unwrap_or(0.0), median(without).unwrap_or(0.0));
    let ratio = if without > 0.0 { with / without } else { 0.0 };
    Ok(Commands {
        rounds: options.rounds,
        commands_a_round: each,
        with_message_per_second: with,
        without_per_second: without,
        ratio,
    })
}

/// Handles so many commands from a number on, with so many under way.
async fn round(
    tellers: &CommandHandler<Teller>,
    options: &BufferOptions,
    (from, count): (u64, u64),
    (run, tells): (u64, bool),
) -> Result<Rate, Failure> {
    let watch = Stopwatch::start();
    let mut tasks: JoinSet<Result<()>> = JoinSet::new();
    for worker in 0..options.at_once.min(count) {
        let (tellers, options) = (tellers.clone(), options.clone());
        tasks.spawn(async move {
            let mut number = worker;
            while number < count {
                pay(&tellers, &options, from.saturating_add(number), (run, tells)).await?;
                number = number.saturating_add(options.at_once);
            }
            Ok(())
        });
    }
    while let Some(worked) = tasks.join_next().await {
        worked??;
    }
    Ok(Rate::new(count, watch.elapsed()))
}

async fn pay(
    tellers: &CommandHandler<Teller>,
    options: &BufferOptions,
    number: u64,
    (run, tells): (u64, bool),
) -> Result<()> {
    let account = number.checked_rem(options.accounts).unwrap_or(0);
    let transaction = TransactionId::derive("bench buffer", &format!("{run}-{number}"));
    let id = AggregateId::new(format!("acc-{account:08}"))?;
    tellers.handle(&id, transaction, Pay { cents: 1, tells }).await.map(drop)
}
