//! No room: the batch is refused whole, reads go on, and work resumes with room.

use sidestream::EventStore;
use sidestream::partition::PartitionId;
use sidestream::store::AppendFailure;

use crate::support::*;

#[tokio::test]
async fn a_full_database_refuses_whole_batches_and_reads_on() {
    let place = Place::new();
    let store = place
        .options()
        .partitions(sidestream::partition::PartitionCount::new(1).unwrap())
        .most_pages(60)
        .open()
        .unwrap();
    let mut acknowledged = Vec::new();
    let payload = vec![b'x'; 3_000];
    let refused = loop {
        let stream = account(&acknowledged.len().to_string());
        let units = vec![unit(&stream, 0, &payload), unit(&stream, 1, &payload)];
        let results = store.append(PartitionId::new(0), units).await;
        if let Err(AppendFailure::Refused(error)) = &results[0] {
            assert!(results.iter().all(Result::is_err));
            break error.clone();
        }
        results.into_iter().for_each(|result| assert!(result.is_ok()));
        acknowledged.push(stream);
    };
    assert_eq!(refused.code(), "unavailable", "{refused}");
    assert!(refused.to_string().contains("full"), "{refused}");
    assert!(acknowledged.len() > 5);
    for stream in &acknowledged {
        assert_eq!(read(&store, stream, 0).await.unwrap().records.len(), 2);
    }
    assert_eq!(check_log(&store, PartitionId::new(0)).await, 2 * acknowledged.len() as u64);
    drop(store);
    let store = place.open();
    put(&store, &account("new"), 0, &payload).await.unwrap();
    assert_eq!(check_log(&store, PartitionId::new(0)).await, 2 * acknowledged.len() as u64 + 1);
    assert!(place.fatal.0.lock().unwrap().is_empty());
}
