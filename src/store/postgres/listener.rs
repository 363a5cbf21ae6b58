//! Hearing of other processes' appends. A hint and no more: what is missed is found by polling.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::task::AbortHandle;
use tokio_postgres::AsyncMessage;

use crate::clock::sleep;
use crate::partition::PartitionId;
use crate::store::changes::Changes;
use crate::store::postgres::address::Address;
use crate::stream::Position;

const LISTEN: &str = include_str!("sql/listen.sql");
/// The pause before it connects again; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A connection that listens, made anew when it breaks, until this is dropped.
#[derive(Debug)]
pub(super) struct Listener(AbortHandle);

impl Listener {
    pub(super) fn start(address: Address, changes: Arc<Changes>) -> Self {
        let work = async move {
            let mut pause = FIRST_PAUSE;
            loop {
                match listen(&address, &changes).await {
                    // It was connected.
                    Ok(()) => pause = FIRST_PAUSE,
                    Err(error) => tracing::debug!(%error, "PostgreSQL cannot be listened to"),
                }
                sleep(pause).await;
                pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
            }
        };
        Self(tokio::spawn(work).abort_handle())
    }

    pub(super) fn stop(&self) {
        self.0.abort();
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Listens until the connection ends.
async fn listen(address: &Address, changes: &Changes) -> Result<(), tokio_postgres::Error> {
    let (client, mut connection) = address.config.connect(address.tls.clone()).await?;
    let hearing = async {
        loop {
            match poll_fn(|context| connection.poll_message(context)).await {
                Some(Ok(AsyncMessage::Notification(notice))) => take_in(notice.payload(), changes),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error),
                None => return Ok(()),
            }
        }
    };
    // The client has to live for as long as the connection is to.
    let (asking, hearing) = (pin!(client.batch_execute(LISTEN)), pin!(hearing));
    match select(asking, hearing).await {
        Either::Left((asked, hearing)) => {
            asked?;
            // What was written meanwhile, nobody told.
            changes.hint_all();
            hearing.await
        }
        Either::Right((ended, _)) => ended,
    }
}

/// Takes in `partition:head,…`; nothing at all stands for all partitions. What cannot be read is none of ours.
fn take_in(payload: &str, changes: &Changes) {
    if payload.is_empty() {
        return changes.hint_all();
    }
    for (partition, head) in payload.split(',').filter_map(|part| part.split_once(':')) {
        if let (Ok(partition), Ok(head)) = (partition.parse(), head.parse()) {
            changes.hint(PartitionId::new(partition), Position::new(head));
        }
    }
}
