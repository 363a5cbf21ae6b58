//! From records to what they mean.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use sidestream::side_stream::SideStream;
use sidestream_pieces::account::Command;
use sidestream_pieces::memory;

/// Events of the aggregate.
const EVENTS: u32 = 100;

pub fn benches(criterion: &mut Criterion) {
    side_stream(criterion);
    aggregate(criterion);
}

fn side_stream(criterion: &mut Criterion) {
    let (records, _) = memory::records();
    assert_eq!(records.len(), 2);
    criterion.bench_function("fold/side stream of 2 records", |bencher| {
        bencher.iter(|| SideStream::fold(black_box(&records)).unwrap());
    });
}

/// A query, with its way to the lane and back, of one of two accounts in turn where one only is kept in memory.
fn aggregate(criterion: &mut Criterion) {
    let handler = memory::forgetful();
    let [one, other] = neighbours();
    handler.handle(&one, memory::transaction(1), Command::Age { events: EVENTS });
    handler.handle(&other, memory::transaction(2), Command::Age { events: EVENTS });
    let mut group = criterion.benchmark_group("fold");
    group.throughput(Throughput::Elements(EVENTS.into()));
    group.bench_function("aggregate of 100 events from the memory store", |bencher| {
        let (before, mut asked) = (handler.handler.stats().loaded, 0_u64);
        bencher.iter(|| {
            asked += 1;
            handler.held(if asked.is_multiple_of(2) { &one } else { &other })
        });
        let loaded = handler.handler.stats().loaded - before;
        // The first one may still have been in memory.
        assert!(loaded >= (asked - 1) * u64::from(EVENTS), "{loaded} events were loaded for {asked} queries");
    });
}

/// Two accounts of one partition: each partition's lane has a memory of its own.
fn neighbours() -> [sidestream::AggregateId; 2] {
    let partition =
        |id: &sidestream::AggregateId| sidestream::partition::PartitionCount::default().of(id.cardinal());
    let one = memory::account(1);
    let other = (2..).map(memory::account).find(|id| partition(id) == partition(&one));
    [one, other.unwrap()]
}
