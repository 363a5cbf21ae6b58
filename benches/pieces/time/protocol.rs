//! The state machine alone, from an attempt's start to its reply. What it asks for is answered at once.

use criterion::{BatchSize, Criterion};
use sidestream::side_stream::SideStream;
use sidestream_pieces::{attempt, memory};

pub fn benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("protocol");
    for (name, side) in [("new command", SideStream::default()), ("replay", memory::settled())] {
        let goal = attempt::goal();
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || (goal.clone(), side.clone()),
                |(goal, side)| attempt::drive(goal, side),
                BatchSize::SmallInput,
            );
        });
    }
}
