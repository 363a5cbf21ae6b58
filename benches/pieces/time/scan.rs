//! Reads of many records, from a store that has grown.

use std::cell::LazyCell;

use criterion::{BatchSize, Criterion, Throughput};
use sidestream::EventStore;
use sidestream::event::EventType;
use sidestream::limits::PAGE_RECORDS;
use sidestream::store::{LogPage, ReadFrom, StreamPage, StreamRead};
use sidestream::stream::{Position, Version};
use sidestream_pieces::grown::{COMMANDS, Grown, busy_stream, here, rare};

/// Records of the tail.
const TAIL: u64 = 1_000;

pub fn benches(criterion: &mut Criterion, grown: &LazyCell<Grown, impl FnOnce() -> Grown>) {
    tail(criterion, grown);
    log(criterion, grown);
    types(criterion, grown);
}

/// What a recovery reads: the end of a stream that many commands share, each record looked at.
fn tail(criterion: &mut Criterion, grown: &LazyCell<Grown, impl FnOnce() -> Grown>) {
    let mut group = criterion.benchmark_group("scan");
    group.throughput(Throughput::Elements(TAIL));
    group.bench_function("tail of 1,000 records, verified", |bencher| {
        let grown = LazyCell::force(grown);
        let head = read(grown, Version::EMPTY).head;
        let after = Version::new(head.get() - TAIL);
        bencher.iter(|| {
            let records = read(grown, after).records;
            assert_eq!(records.len() as u64, TAIL);
            records.iter().for_each(|record| record.verify().unwrap());
        });
    });
}

fn read(grown: &Grown, after: Version) -> StreamPage {
    let read = StreamRead { stream: busy_stream(), from: ReadFrom::After(after), limit: PAGE_RECORDS };
    here(grown.store.read_streams(vec![read])).remove(0).unwrap()
}

/// What a projection reads.
fn log(criterion: &mut Criterion, grown: &LazyCell<Grown, impl FnOnce() -> Grown>) {
    let mut group = criterion.benchmark_group("scan");
    group.throughput(Throughput::Elements(PAGE_RECORDS as u64));
    group.bench_function("read_log, a page of 4,096 records", |bencher| {
        let (grown, mut next) = (LazyCell::force(grown), 0);
        // Pages from all of the log: three records a command, and a page to spare at the end.
        let after = || {
            next = (next + 99_991) % (3 * COMMANDS - PAGE_RECORDS as u64);
            Position::new(next)
        };
        let read = |after| -> LogPage {
            here(grown.store.read_log(grown.partition(), after, PAGE_RECORDS)).unwrap()
        };
        assert_eq!(read(Position::START).records.len(), PAGE_RECORDS);
        bencher.iter_batched(after, read, BatchSize::SmallInput);
    });
}

fn types(criterion: &mut Criterion, grown: &LazyCell<Grown, impl FnOnce() -> Grown>) {
    let mut group = criterion.benchmark_group("scan");
    group.throughput(Throughput::Elements(rare() as u64));
    group.bench_function("read_types, 100 records of a rare type", |bencher| {
        let (grown, types) = (LazyCell::force(grown), [EventType::new("Frozen").unwrap()]);
        bencher.iter(|| {
            let read = grown.store.read_types(grown.partition(), &types, Position::START, PAGE_RECORDS);
            let page = here(read).unwrap();
            assert_eq!(page.records.len(), rare());
            page
        });
    });
}
