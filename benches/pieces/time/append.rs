//! Lists of units into the SQLite store, each on disk before it is answered. The store grows meanwhile, as it does in
//! use.

use std::path::Path;

use criterion::{BatchSize, BenchmarkId, Criterion, SamplingMode, Throughput};
use sidestream::partition::{PartitionCount, PartitionId};
use sidestream::store::Unit;
use sidestream::{EventStore, SqliteStore};
use sidestream_pieces::holds::Holds;
use sidestream_pieces::runtime;
use tokio::runtime::Runtime;

pub fn benches(criterion: &mut Criterion, place: &Path) {
    let mut group = criterion.benchmark_group("append");
    // Long iterations: fewer of them, the same number in each sample.
    group.sampling_mode(SamplingMode::Flat).sample_size(50);
    for units in [1_usize, 16, 128, 2_048] {
        group.throughput(Throughput::Elements(units as u64));
        group.bench_function(BenchmarkId::new("units of 3 records, in one list", units), |bencher| {
            let directory = tempfile::tempdir_in(place).unwrap();
            let options = SqliteStore::builder(directory.path().join("events.db"));
            let store = options.partitions(PartitionCount::new(1).unwrap()).open().unwrap();
            let (runtime, mut holds) = (runtime(), Holds::new());
            // One at a time: a list demands the versions that the one before it left.
            bencher.iter_batched(
                || holds.list(units),
                |list| append(&runtime, &store, list),
                BatchSize::PerIteration,
            );
        });
    }
}

fn append(runtime: &Runtime, store: &SqliteStore, list: Vec<Unit>) {
    for result in runtime.block_on(store.append(PartitionId::new(0), list)) {
        result.unwrap();
    }
}
