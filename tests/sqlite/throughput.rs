//! How fast it is on this machine: `cargo test --release --test sqlite throughput -- --ignored --nocapture`.

use sidestream::clock::Stopwatch;
use sidestream::event::{AcceptedAt, RecordKind};
use sidestream::partition::PartitionId;
use sidestream::store::Unit;
use sidestream::stream::Version;
use sidestream::{EventStore, TransactionId};

use crate::support::*;

/// A command as the protocol writes it: request, answer, and one event.
fn command(id: &str, version: u64) -> Unit {
    let transaction = TransactionId::new(uuid::Uuid::now_v7());
    let caused = Some(cause(transaction));
    let accepted = RecordKind::Accepted { version: Version::new(version + 1), at: AcceptedAt::Back(1) };
    let records = vec![
        framework(RecordKind::Requested { aggregate_version: Version::new(version) }, caused.clone()),
        framework(accepted, caused.clone()),
    ];
    let mut held = event("Held", &[1; 24]);
    held.cause = caused;
    Unit {
        appends: vec![
            append(&account(id), Version::new(version), vec![held]),
            append(&side(id, transaction), Version::EMPTY, records),
        ],
    }
}

#[tokio::test]
#[ignore = "measures"]
async fn commands_per_second() {
    for (batch, batches) in [(1_u64, 2_000_u64), (32, 500), (512, 100), (2_048, 50)] {
        let place = Place::new();
        let store = place.open_one();
        let watch = Stopwatch::start();
        for n in 0..batches {
            let units = (0..batch).map(|m| command(&m.to_string(), n)).collect();
            assert!(store.append(PartitionId::new(0), units).await.iter().all(Result::is_ok));
        }
        let seconds = watch.elapsed().as_secs_f64();
        let commands = (batch * batches) as f64;
        let bytes = std::fs::metadata(place.path()).unwrap().len();
        println!(
            "batches of {batch}: {:.0} commands/s, {:.2} ms a commit, {:.0} bytes a command in the file, log {} KiB",
            commands / seconds,
            seconds * 1_000.0 / batches as f64,
            bytes as f64 / commands,
            store.status().wal_bytes / 1_024,
        );
    }
}
