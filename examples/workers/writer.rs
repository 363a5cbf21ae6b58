//! Events of many accounts, at a steady rate.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sidestream::event::{CodecName, EventType, NewRecord, RecordKind};
use sidestream::store::{StreamAppend, Unit};
use sidestream::stream::ExpectedVersion;
use sidestream::{AggregateId, Category, EventStore};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::Failure;

const ACCOUNT: Category = Category::new("account");
pub(crate) const DEPOSITED: &str = "Deposited";
pub(crate) const WITHDRAWN: &str = "Withdrawn";
/// Accounts that are written to.
const ACCOUNTS: u64 = 1_000;
/// How often events are written.
const PACE: Duration = Duration::from_millis(50);

pub(crate) struct Writer {
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<u64, Failure>>,
}

/// Starts to write so many events a second.
pub(crate) fn start(store: Arc<dyn EventStore>, rate: u64) -> Writer {
    let stop = watch::Sender::new(false);
    let mut told = stop.subscribe();
    let task = tokio::spawn(async move {
        let (mut written, each) = (0, (rate / 20).max(1));
        let mut pace = tokio::time::interval(PACE);
        loop {
            tokio::select! {
                _ = pace.tick() => {}
                _ = told.changed() => return Ok(written),
            }
            for _ in 0..each {
                write(&*store, written).await?;
                written += 1;
            }
        }
    });
    Writer { stop, task }
}

impl Writer {
    /// Says how many events were written.
    pub(crate) async fn stop(self) -> Result<u64, Failure> {
        self.stop.send_replace(true);
        self.task.await?
    }
}

async fn write(store: &dyn EventStore, number: u64) -> Result<(), Failure> {
    let stream = ACCOUNT.stream(&AggregateId::new((number * 7 % ACCOUNTS).to_string())?);
    let record = NewRecord {
        kind: RecordKind::Event,
        event_type: EventType::new(if number.is_multiple_of(3) { WITHDRAWN } else { DEPOSITED })?,
        schema: 1,
        codec: CodecName::new("json")?,
        cause: None,
        requester: None,
        payload: Bytes::from_static(b"1"),
    };
    let partition = store.properties().partitions.of(stream.cardinal());
    let append = StreamAppend { stream, expected: ExpectedVersion::Any, records: vec![record] };
    let result = store.append(partition, vec![Unit::one(append)]).await.into_iter().next();
    match result {
        Some(Ok(_)) => Ok(()),
        other => Err(format!("an event was not written: {other:?}").into()),
    }
}
