//! The measurements: each from the log's beginning to its head, over all partitions at once.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::cli::bench::daemon::balances::{Balances, Count};
use crate::cli::bench::daemon::report::{Rare, Rate};
use crate::cli::failure::Failure;
use crate::clock::{self, Stopwatch};
use crate::error::Result;
use crate::feed::{Cursor, Selection};
use crate::partition::PartitionId;
use crate::projection::{Builder, Daemon, MemoryView, SqliteView, Status};
use crate::store::EventStore;
use crate::stream::Position;

const SUM: &str = include_str!("sql/sum_of_balances.sql");

/// How often it is looked whether a daemon is through.
const LOOK: Duration = Duration::from_millis(2);

/// The feed by itself: events a second that cursors hand out.
pub(super) async fn feed(store: &Arc<dyn EventStore>, selection: &Selection) -> Result<Rate, Failure> {
    let watch = Stopwatch::start();
    let mut tasks = JoinSet::new();
    for partition in store.properties().partitions.all() {
        tasks.spawn(read_all(Arc::clone(store), partition, selection.clone()));
    }
    let mut events = 0_u64;
    while let Some(count) = tasks.join_next().await {
        events = events.saturating_add(count??);
    }
    Ok(Rate::new(events, watch.elapsed()))
}

async fn read_all(store: Arc<dyn EventStore>, partition: PartitionId, selection: Selection) -> Result<u64> {
    let mut cursor = Cursor::new(store, partition, selection, Position::START);
    let mut events = 0_u64;
    loop {
        let page = cursor.next().await?;
        events = events.saturating_add(u64::try_from(page.records.len()).unwrap_or(0));
        if !page.has_more() {
            return Ok(events);
        }
    }
}

/// A daemon with a handler that does nothing but count.
pub(super) async fn handler(store: &Arc<dyn EventStore>, selection: &Selection) -> Result<Rate, Failure> {
    let view = MemoryView::<u64>::new();
    let builder = Daemon::builder(Arc::clone(store)).project(Count(selection.clone()), view.clone());
    let elapsed = catch_up(store, builder).await?;
    let mut events = 0_u64;
    view.for_each("count", |_, count| events = events.saturating_add(*count));
    Ok(Rate::new(events, elapsed))
}

/// A daemon that keeps balances in a file of its own.
pub(super) async fn view(store: &Arc<dyn EventStore>, path: &Path) -> Result<Rate, Failure> {
    let view = SqliteView::open(path)?;
    let elapsed = catch_up(store, Daemon::builder(Arc::clone(store)).project(Balances, view.clone())).await?;
    let events: i64 = view.read(|connection| connection.query_row(SUM, [], |row| row.get(0))).await?;
    Ok(Rate::new(u64::try_from(events).unwrap_or(0), elapsed))
}

/// Rare types: by cursors, which tell how many rows were read, and by a daemon.
pub(super) async fn rare(store: &Arc<dyn EventStore>, types: &[&str]) -> Result<Rare, Failure> {
    let selection = Selection::all().types(types.iter().copied())?;
    let read = feed(store, &selection).await?;
    let handled = handler(store, &selection).await?;
    let (rows, events) = (read.events, handled.events);
    Ok(Rare {
        types: types.len(),
        rows_read: rows,
        events,
        feed_ms: read.seconds * 1_000.0,
        handler_ms: handled.seconds * 1_000.0,
    })
}

/// Runs a daemon until every partition is at its head.
async fn catch_up(store: &Arc<dyn EventStore>, builder: Builder) -> Result<Duration, Failure> {
    let mut heads = Vec::new();
    for partition in store.properties().partitions.all() {
        heads.push(store.read_log(partition, Position::START, 1).await?.head);
    }
    let watch = Stopwatch::start();
    let daemon = builder.start()?;
    let elapsed = loop {
        let all = daemon.status();
        if all.iter().zip(&heads).all(|(status, head)| is_there(status, *head)) {
            break watch.elapsed();
        }
        if let Some(status) = all.iter().find(|status| !status.parked.is_empty()) {
            return Err(Failure::Run(format!("an event could not be applied: {:?}", status.parked)));
        }
        clock::sleep(LOOK).await;
    };
    daemon.shutdown().await;
    Ok(elapsed)
}

fn is_there(status: &Status, head: Position) -> bool {
    status.checkpoint.is_some_and(|checkpoint| checkpoint >= head)
}
