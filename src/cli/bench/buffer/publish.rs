//! Everything that a store has to send, into a channel.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::buffer::{ChannelSink, Destination, EventBuffer, Received};
use crate::cli::bench::buffer::options::BufferOptions;
use crate::cli::bench::buffer::report::Rate;
use crate::cli::bench::buffer::teller::{PAID, Teller};
use crate::cli::failure::Failure;
use crate::clock::{Stopwatch, within};
use crate::decider::Decider;
use crate::error::Result;
use crate::feed::{Cursor, Selection};
use crate::message::MessageId;
use crate::store::EventStore;
use crate::stream::Position;

/// Messages that wait in the channel.
const ROOM: usize = 4_096;
/// How long nothing comes before the run is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// Sends all messages of the store to a destination of this run, which begins at the log's beginning.
pub(super) async fn measure(
    store: &Arc<dyn EventStore>,
    options: &BufferOptions,
    run: u64,
) -> Result<Rate, Failure> {
    let expected = recorded(store).await?;
    let (sink, received) = ChannelSink::new(ROOM);
    let destination = Destination::new(&format!("bench-{run:016x}"), sink, [PAID])?;
    let name = destination.name().clone();
    let buffer = EventBuffer::new(Arc::clone(store)).of::<Teller>().to(destination);
    let (stop, mut runs) = (watch::Sender::new(false), JoinSet::new());
    let publisher = buffer.processors()?.into_iter().next();
    let publisher = publisher.ok_or_else(|| Failure::Run("the buffer has no publisher".to_owned()))?;
    let watch = Stopwatch::start();
    for partition in store.properties().partitions.all() {
        runs.spawn(publisher.run(partition, 1, stop.subscribe()));
    }
    let counted = tokio::spawn(take(received, expected)).await??;
    let rate = Rate::new(counted, watch.elapsed());
    stop.send_replace(true);
    while let Some(ended) = runs.join_next().await {
        ended??;
    }
    buffer.forget(&name).await?;
    if counted < options.messages {
        return Err(Failure::Run(format!("{counted} messages came of {}", options.messages)));
    }
    Ok(rate)
}

/// Takes messages until so many different ones came.
async fn take(mut received: mpsc::Receiver<Received>, expected: u64) -> Result<u64, Failure> {
    let mut ids: HashSet<MessageId> = HashSet::new();
    let count = |ids: &HashSet<MessageId>| u64::try_from(ids.len()).unwrap_or(u64::MAX);
    while count(&ids) < expected {
        let Some(Some(message)) = within(PATIENCE, received.recv()).await else {
            return Err(Failure::Run(format!("{} messages came, and no more: report this", ids.len())));
        };
        ids.insert(message.message().id);
        message.taken();
    }
    Ok(count(&ids))
}

/// How many messages the store has.
async fn recorded(store: &Arc<dyn EventStore>) -> Result<u64> {
    let mut messages = 0_u64;
    for partition in store.properties().partitions.all() {
        let selection = Selection::messages().category(Teller::CATEGORY.messages())?;
        let mut cursor = Cursor::new(Arc::clone(store), partition, selection, Position::START);
        loop {
            let page = cursor.next().await?;
            messages = messages.saturating_add(u64::try_from(page.records.len()).unwrap_or(0));
            if !page.has_more() {
                break;
            }
        }
    }
    Ok(messages)
}
