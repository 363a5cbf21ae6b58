//! The mark that a run leaves in its store: a store without one is not ours to write to.

use bytes::Bytes;

use crate::cli::failure::Failure;
use crate::error::{Error, Result};
use crate::event::{CodecName, EventType, NewRecord, RecordKind};
use crate::store::{EventStore, ReadFrom, StreamAppend, StreamRead, Unit};
use crate::stream::{AggregateId, Category, ExpectedVersion, StreamName, Version};

const CATEGORY: Category = Category::new("benchRuns");

fn stream() -> Result<StreamName> {
    Ok(CATEGORY.stream(&AggregateId::new("all")?))
}

/// How many runs wrote to this store.
pub(super) async fn count(store: &impl EventStore) -> Result<u64> {
    let read = StreamRead { stream: stream()?, from: ReadFrom::After(Version::EMPTY), limit: 1 };
    let page = store.read_streams(vec![read]).await.into_iter().next();
    page.unwrap_or_else(|| Err(Error::corrupt("the store answered no read"))).map(|page| page.head.get())
}

/// Marks the store as one of ours.
pub(super) async fn note(store: &impl EventStore, run: u64) -> Result<(), Failure> {
    let record = NewRecord {
        kind: RecordKind::Event,
        event_type: EventType::new("BenchRun")?,
        schema: 1,
        codec: CodecName::new("text")?,
        cause: None,
        requester: None,
        payload: Bytes::from(format!("{run:016x}")),
    };
    let stream = stream()?;
    let partition = store.properties().partitions.of(stream.cardinal());
    let append = StreamAppend { stream, expected: ExpectedVersion::Any, records: vec![record] };
    let results = store.append(partition, vec![Unit::one(append)]).await;
    match results.into_iter().next() {
        Some(Ok(_)) => Ok(()),
        Some(Err(failure)) => Err(Failure::Run(format!("the run could not be noted: {failure}"))),
        None => Err(Failure::Run("the store answered no append".to_owned())),
    }
}
