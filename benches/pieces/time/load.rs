//! What a command needs before it is decided, from a store that has grown. Its pages are in the machine's memory: a
//! disk adds its own time for each record that is not. Reads run on this thread; a service's go to another and back.

use std::cell::LazyCell;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use sidestream::Decider;
use sidestream::store::StreamRead;
use sidestream_pieces::account::Account;
use sidestream_pieces::grown::{COMMANDS, Grown, from_snapshot, side};
use sidestream_pieces::memory::{account, transaction, whole};

/// From one command to the next that is read: a prime, so that all of the log is visited.
const STRIDE: u64 = 7_919;

pub fn benches(criterion: &mut Criterion, grown: &LazyCell<Grown, impl FnOnce() -> Grown>) {
    existing(criterion, grown);
    absent(criterion, grown);
    aggregate(criterion, grown);
}

fn existing(criterion: &mut Criterion, grown: &LazyCell<Grown, impl FnOnce() -> Grown>) {
    let mut group = criterion.benchmark_group("load");
    for count in [1_u64, 100] {
        group.throughput(Throughput::Elements(count));
        group.bench_function(BenchmarkId::new("existing side streams", count), |bencher| {
            let (grown, mut next) = (LazyCell::force(grown), 0);
            let mut reads = || -> Vec<StreamRead> {
                let numbers = (0..count).map(|_| {
                    next = (next + STRIDE) % COMMANDS;
                    next
                });
                numbers.map(|number| whole(side(number))).collect()
            };
            assert_eq!(grown.read(reads()) as u64, 2 * count);
            bencher.iter_batched(reads, |reads| grown.read(reads), BatchSize::SmallInput);
        });
    }
}

fn absent(criterion: &mut Criterion, grown: &LazyCell<Grown, impl FnOnce() -> Grown>) {
    let count = 1_000_u64;
    let mut group = criterion.benchmark_group("load");
    group.throughput(Throughput::Elements(count));
    group.bench_function(BenchmarkId::new("absent side streams", count), |bencher| {
        let (grown, mut next) = (LazyCell::force(grown), COMMANDS);
        let mut reads = || -> Vec<StreamRead> {
            next += count;
            let side = |number| Account::CATEGORY.side_stream(&account(number % 100), transaction(number));
            (next..next + count).map(|number| whole(side(number))).collect()
        };
        assert_eq!(grown.read(reads()), 0);
        bencher.iter_batched(reads, |reads| grown.read(reads), BatchSize::SmallInput);
    });
}

fn aggregate(criterion: &mut Criterion, grown: &LazyCell<Grown, impl FnOnce() -> Grown>) {
    let mut group = criterion.benchmark_group("load");
    group.bench_function("aggregate from its snapshot, 50 records behind it", |bencher| {
        let (grown, mut next) = (LazyCell::force(grown), 0);
        assert_eq!(grown.read(vec![from_snapshot(0)]), 51);
        let read = || {
            next += STRIDE;
            vec![from_snapshot(next)]
        };
        bencher.iter_batched(read, |read| grown.read(read), BatchSize::SmallInput);
    });
}
