//! What a value costs on its way into a record and out of it.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sidestream::Decider;
use sidestream::codec::Codecs;
use sidestream::event::{EventType, NewRecord, RecordKind};
use sidestream::id::Fingerprint;
use sidestream_pieces::account::{Account, held, hold};
use sidestream_pieces::memory;

pub fn benches(criterion: &mut Criterion) {
    for (name, codecs) in [("bincode", Codecs::bincode()), ("json", Codecs::json())] {
        value(criterion, name, &codecs, "command", &hold(1));
        value(criterion, name, &codecs, "event", &held(1));
    }
    fingerprint(criterion);
    checksum(criterion);
}

fn value<T: Serialize + DeserializeOwned>(
    criterion: &mut Criterion,
    codec: &str,
    codecs: &Codecs,
    what: &str,
    value: &T,
) {
    let record = record(codecs, value);
    let mut group = criterion.benchmark_group("codec");
    let id = |does: &str| BenchmarkId::new(format!("{does} {what}"), codec);
    group.bench_function(id("encode"), |bencher| {
        bencher.iter(|| codecs.encode(black_box(value)).unwrap());
    });
    group.bench_function(id("decode"), |bencher| {
        bencher.iter(|| codecs.open(black_box(&record)).decode::<T>().unwrap());
    });
}

fn record<T: Serialize + DeserializeOwned>(codecs: &Codecs, value: &T) -> NewRecord {
    let (codec, payload) = codecs.encode(value).unwrap();
    let event_type = EventType::new("Held").unwrap();
    NewRecord { kind: RecordKind::Event, event_type, schema: 1, codec, cause: None, requester: None, payload }
}

fn fingerprint(criterion: &mut Criterion) {
    let (step, command) = (Account::step(&hold(1)), hold(1));
    criterion.bench_function("fingerprint/command", |bencher| {
        bencher.iter(|| Fingerprint::of(black_box(&step), 1, black_box(&command)).unwrap());
    });
}

/// Of a small record, whose fixed parts cost more than its payload, and of a large one.
fn checksum(criterion: &mut Criterion) {
    let (_, small) = memory::records();
    let mut large = small.clone();
    large.data.payload = vec![7; 4_096].into();
    let mut group = criterion.benchmark_group("checksum");
    for (name, record) in [("record", small), ("record with 4 KiB of payload", large)] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| black_box(&record.data).checksum(&record.stream, record.version));
        });
    }
}
