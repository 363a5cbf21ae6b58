//! Open steps are listed from their request to their settlement.

use std::time::Duration;

use sidestream::event::RecordKind;
use sidestream::partition::PartitionId;
use sidestream::store::sqlite::SqliteStore;
use sidestream::store::{OpenStep, OpenStepsRead, Unit};
use sidestream::stream::{StreamName, Version};
use sidestream::{EventStore, TransactionId};

use crate::support::*;

fn all(after: Option<&OpenStep>, limit: usize) -> OpenStepsRead {
    OpenStepsRead {
        partition: PartitionId::new(0),
        category: ACCOUNT.side().to_string(),
        older_than: Duration::ZERO,
        after: after.map(|step| (step.touched_at, step.stream.clone())),
        limit,
    }
}

async fn write(
    store: &SqliteStore,
    stream: &StreamName,
    expected: u64,
    kind: RecordKind,
    transaction: TransactionId,
) {
    let record = framework(kind, Some(cause(transaction)));
    put_unit(store, Unit::one(append(stream, Version::new(expected), vec![record]))).await.unwrap();
}

#[tokio::test]
async fn a_step_is_listed_until_it_is_settled() {
    let place = Place::new();
    let mut store = place.open_one();
    let mut streams = Vec::new();
    for n in 0..5_u64 {
        let transaction = TransactionId::derive("test", &n.to_string());
        streams.push((side("7", transaction), transaction));
        let kind = RecordKind::Requested { aggregate_version: Version::new(n) };
        write(&store, &streams[n as usize].0, 0, kind, transaction).await;
        place.clock.advance(Duration::from_secs(1));
    }
    let (oldest, transaction) = streams[0].clone();
    write(&store, &oldest, 1, RecordKind::Resumed { scanned_to: Version::new(9) }, transaction).await;
    write(&store, &streams[2].0, 1, RecordKind::Rejected, streams[2].1).await;
    for _ in 0..2 {
        let mut listed: Vec<OpenStep> = Vec::new();
        loop {
            let page = store.open_steps(all(listed.last(), 2)).await.unwrap();
            if page.is_empty() {
                break;
            }
            listed.extend(page);
        }
        let order: Vec<_> = listed.iter().map(|step| step.stream.clone()).collect();
        assert_eq!(order, [1, 3, 4, 0].map(|n: usize| streams[n].0.clone()), "the longest untouched first");
        let resumed = &listed[3];
        assert_eq!((resumed.aggregate_version.get(), resumed.scanned_to.get(), resumed.resumed), (0, 9, 1));
        assert_eq!(resumed.cause, cause(transaction));
        assert!(resumed.touched_at > resumed.requested_at);
        let read = OpenStepsRead { older_than: Duration::from_secs(3), ..all(None, 10) };
        assert_eq!(store.open_steps(read).await.unwrap().len(), 1);
        drop(store);
        store = place.open_one();
    }
}

#[tokio::test]
async fn a_step_settled_by_the_unit_that_requested_it_is_never_listed() {
    let place = Place::new();
    let store = place.open_one();
    let transaction = TransactionId::derive("test", "1");
    let stream = side("7", transaction);
    let kinds = [RecordKind::Requested { aggregate_version: Version::EMPTY }, RecordKind::Rejected];
    let records = kinds.map(|kind| framework(kind, Some(cause(transaction)))).to_vec();
    put_unit(&store, Unit::one(append(&stream, Version::EMPTY, records))).await.unwrap();
    assert_eq!(store.open_steps(all(None, 10)).await.unwrap(), []);
}
