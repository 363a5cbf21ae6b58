//! Random lists of units, done by the store under test and by the store in memory: all answers are equal.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use super::Fixture;
use super::records::{
    Subject, accepted, account, event_of, rejected, requested, resumed, side, snapshot, to, unit,
};
use crate::clock::{SystemClock, Timestamp};
use crate::event::{EventType, NewRecord, Record};
use crate::store::ReadFrom::{After, SnapshotBefore};
use crate::store::memory::MemoryStore;
use crate::store::rows::{Row, RowChange, RowExpected};
use crate::store::{AppendFailure, Atomicity, OpenStep, StreamPage, Unit, UnitResult};
use crate::stream::{ExpectedVersion, Position, StreamName, Version};
use crate::testkit::{effort, run};

/// Where failing seeds are kept, one file for all stores: what broke one may break the next.
const SEEDS: &str = "proptest-regressions/conformance.txt";
const STREAMS: usize = 3;

/// A version as a distance from where the stream then is, so that most demands are met.
#[derive(Debug, Clone)]
enum Demand {
    Met,
    Off(u64),
    Any,
}

/// A unit: (stream, demand, records) each, and rows.
type Drawn = (Vec<(usize, Demand, Vec<u8>)>, BTreeMap<u8, (RowExpected, RowChange)>);

#[derive(Debug, Clone)]
enum Step {
    /// Units.
    Append(Vec<Drawn>),
    /// A stream, and how far below its head.
    Truncate(usize, u64),
    Reopen,
}

/// Random lists of units, truncations and openings: results, pages, logs, types and open steps are the
/// same as those of [`MemoryStore`], times aside.
///
/// # Panics
/// When they differ; the smallest such list is shown.
pub fn does_what_the_store_in_memory_does<F: Fixture>(fresh: impl AsyncFn() -> F) {
    let difference = compare_many(effort::proptest_config(64, SEEDS), fresh);
    difference.unwrap_or_else(|difference| panic!("{difference}"));
}

/// The smallest list found that tells a store from [`MemoryStore`], as text; no seed is kept. For tests
/// of the suite itself.
#[must_use]
pub fn differs<F: Fixture>(fresh: impl AsyncFn() -> F) -> Option<String> {
    let config = Config { failure_persistence: None, ..Config::with_cases(64) };
    compare_many(config, fresh).err()
}

fn compare_many<F: Fixture>(config: Config, fresh: impl AsyncFn() -> F) -> Result<(), String> {
    let compare = |steps| {
        run(async {
            let fixture = fresh().await;
            if fixture.is_available() { compare(&fixture, steps).await } else { Ok(()) }
        })
    };
    let mut runner = TestRunner::new(config);
    runner.run(&prop::collection::vec(step(), 1..12), compare).map_err(|error| error.to_string())
}

fn step() -> impl Strategy<Value = Step> {
    let demand =
        prop_oneof![8 => Just(Demand::Met), 1 => (0_u64..4).prop_map(Demand::Off), 1 => Just(Demand::Any)];
    let append = (0..STREAMS * 2, demand, prop::collection::vec(any::<u8>(), 0..4));
    let unit = (prop::collection::vec(append, 1..3), rows());
    let rows_only = rows().prop_map(|rows| (Vec::new(), rows));
    let unit = prop_oneof![4 => unit, 1 => rows_only];
    prop_oneof![
        8 => prop::collection::vec(unit, 0..6).prop_map(Step::Append),
        1 => (0..STREAMS * 2, 0_u64..4).prop_map(|(stream, below)| Step::Truncate(stream, below)),
        1 => Just(Step::Reopen),
    ]
}

/// Some rows. Numbers are small, so that many are as expected.
fn rows() -> impl Strategy<Value = BTreeMap<u8, (RowExpected, RowChange)>> {
    let expected = prop_oneof![
        4 => Just(RowExpected::Any),
        2 => Just(RowExpected::Absent),
        2 => Just(RowExpected::Free),
        2 => (0_u64..4).prop_map(RowExpected::Revision),
        2 => (0_u64..3).prop_map(RowExpected::Epoch),
    ];
    // What lives for no time is expired at once, on whichever clock.
    let lives = || prop::option::of(prop_oneof![Just(Duration::ZERO), Just(Duration::from_secs(3_600))]);
    let value = || any::<u8>().prop_map(|byte| Bytes::from(vec![byte; usize::from(byte % 3)]));
    let change = prop_oneof![
        2 => Just(RowChange::Keep),
        3 => (value(), lives()).prop_map(|(value, lives)| RowChange::Put { value, lives }),
        3 => (value(), lives()).prop_map(|(value, lives)| RowChange::Claim { value, lives }),
        1 => lives().prop_map(|lives| RowChange::Extend { lives }),
        2 => Just(RowChange::Remove),
        1 => Just(RowChange::Forget),
    ];
    let some = prop::collection::btree_map(0_u8..3, (expected, change), 1..3);
    prop_oneof![3 => Just(BTreeMap::new()), 2 => some]
}

async fn compare(fixture: &dyn Fixture, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut subject = Subject::open(fixture).await;
    let model = Model::of(&subject);
    for step in steps {
        match step {
            Step::Append(units) => {
                let units = units_of(&model, units).await;
                let (found, expected) = (subject.append(units.clone()).await, model.append(units).await);
                prop_assert_eq!(answers(&found), answers(&expected));
            }
            Step::Truncate(stream, below) => {
                let through = Version::new(model.head(&stream_of(stream)).await.get().saturating_sub(below));
                let stream = stream_of(stream);
                let found = subject.store.truncate(&stream, through).await.expect("a floor");
                let expected = model.holder(&stream).store.truncate(&stream, through).await.expect("a floor");
                prop_assert_eq!(found, expected);
            }
            Step::Reopen => subject = subject.reopen(fixture).await,
        }
        compare_reads(&subject, &model).await?;
    }
    Ok(())
}

/// What the store must do as: one store in memory, or, where side streams have a log apart, two.
struct Model {
    aggregates: Subject,
    sides: Subject,
}

impl Model {
    fn of(subject: &Subject) -> Self {
        let (partitions, atomicity) = (subject.properties.partitions, subject.properties.atomicity);
        let fresh = || Subject::of(Arc::new(MemoryStore::with(partitions, atomicity, Arc::new(SystemClock))));
        let aggregates = fresh();
        let sides = if subject.properties.shows(&side(0)) { aggregates.clone() } else { fresh() };
        Self { aggregates, sides }
    }

    fn holder(&self, stream: &StreamName) -> &Subject {
        if stream.is_side() { &self.sides } else { &self.aggregates }
    }

    async fn head(&self, stream: &StreamName) -> Version {
        self.holder(stream).head(stream).await
    }

    /// In one list; or in two, each for one of the stores, and the answers in the order given. Units of a list
    /// that share no stream have nothing to do with each other.
    async fn append(&self, units: Vec<Unit>) -> Vec<UnitResult> {
        if Arc::ptr_eq(&self.sides.store, &self.aggregates.store) {
            return self.aggregates.append(units).await;
        }
        let is_side = |unit: &Unit| unit.appends.iter().any(|append| append.stream.is_side());
        let order: Vec<_> = units.iter().map(is_side).collect();
        let (sides, aggregates): (Vec<_>, Vec<_>) = units.into_iter().partition(is_side);
        let mut of_sides = self.sides.append(sides).await.into_iter();
        let mut of_aggregates = self.aggregates.append(aggregates).await.into_iter();
        let next = |is_side| if is_side { of_sides.next() } else { of_aggregates.next() };
        order.into_iter().map(next).map(|result| result.expect("each unit has one answer")).collect()
    }
}

/// The first half are aggregate streams, the others side streams.
fn stream_of(number: usize) -> StreamName {
    if number < STREAMS { account(number) } else { side(number) }
}

async fn units_of(model: &Model, lists: Vec<Drawn>) -> Vec<Unit> {
    let mut heads = Vec::new();
    for number in 0..STREAMS * 2 {
        heads.push(model.head(&stream_of(number)).await.get());
    }
    let batch = model.aggregates.properties.atomicity == Atomicity::Batch;
    let mut units = Vec::new();
    for (list, rows) in lists {
        let row = |(name, (expected, change)): (u8, _)| {
            super::row_records::write(&name.to_string(), expected, change)
        };
        let rows: Vec<_> = rows.into_iter().map(row).collect();
        let mut appends = Vec::new();
        for (number, demand, records) in list {
            let head = heads[number];
            let expected = match demand {
                Demand::Met => ExpectedVersion::from(Version::new(head)),
                Demand::Off(version) => ExpectedVersion::Exact(Version::new(version)),
                Demand::Any => ExpectedVersion::Any,
            };
            let records: Vec<_> = records.into_iter().map(|seed| record(number, seed)).collect();
            heads[number] += u64::try_from(records.len()).expect("small");
            appends.push(to(&stream_of(number), expected, records));
        }
        if batch {
            units.push(Unit { appends, rows });
        } else {
            units.extend(
                appends.into_iter().map(|append| unit(&append.stream, append.expected, append.records)),
            );
            units.push(Unit::of_rows(rows));
        }
    }
    units
}

/// A record that its stream may hold, from one byte.
fn record(stream: usize, seed: u8) -> NewRecord {
    let (kind, number) = (seed % 8, u64::from(seed / 8));
    match (stream < STREAMS, kind) {
        (true, 0..4) => event_of("Common", vec![seed; usize::from(seed)]),
        (true, 4..6) => event_of("Rare", vec![seed]),
        (true, _) => snapshot("state"),
        (false, 0..3) => requested(stream, "a", number),
        (false, 3..5) => resumed(stream, "a", number),
        (false, 5..7) => accepted(stream, "a", number),
        (false, _) => rejected(stream, "a"),
    }
}

async fn compare_reads(subject: &Subject, model: &Model) -> Result<(), TestCaseError> {
    for number in 0..STREAMS * 2 {
        let stream = stream_of(number);
        let head = model.head(&stream).await.get();
        for from in [0, 1, head / 2, head, head + 1].map(Version::new) {
            for (from, limit) in [(After(from), 100), (After(from), 2), (SnapshotBefore(from), 100)] {
                let found = subject.page(&stream, from, limit).await;
                let expected = model.holder(&stream).page(&stream, from, limit).await;
                prop_assert_eq!(page(found), page(expected), "{} {:?} limit {}", stream, from, limit);
            }
        }
    }
    let logs = &model.aggregates;
    prop_assert_eq!(records(subject.log().await), records(logs.log().await));
    for names in [&["Rare"][..], &["$requested", "Common"], &["$snapshot"]] {
        let types: Vec<_> = names.iter().map(|name| EventType::stored(*name).expect("valid")).collect();
        let found = subject.store.read_types(subject.home, &types, Position::START, 100).await;
        let expected = logs.store.read_types(logs.home, &types, Position::START, 100).await;
        let (found, expected) = (found.expect("a page"), expected.expect("a page"));
        prop_assert_eq!((found.read_to, found.head), (expected.read_to, expected.head));
        prop_assert_eq!(records(found.records), records(expected.records));
    }
    let told = |rows: Vec<Row>| rows.into_iter().map(super::row_records::told).collect::<Vec<_>>();
    prop_assert_eq!(told(subject.rows().await), told(logs.rows().await));
    compare_open_steps(subject, &model.sides).await
}

/// Equal as sets: their order rests on times, which each store has from its own clock.
async fn compare_open_steps(subject: &Subject, model: &Subject) -> Result<(), TestCaseError> {
    let found = subject.open_steps().await;
    prop_assert!(found.is_sorted_by_key(|step| (step.touched_at, step.stream.clone())));
    prop_assert_eq!(timeless(found), timeless(model.open_steps().await));
    Ok(())
}

fn timeless(steps: Vec<OpenStep>) -> Vec<OpenStep> {
    let never = Timestamp::default();
    let mut steps: Vec<_> =
        steps.into_iter().map(|step| OpenStep { requested_at: never, touched_at: never, ..step }).collect();
    steps.sort_by(|a, b| a.stream.cmp(&b.stream));
    steps
}

fn page(page: StreamPage) -> (Version, Version, Vec<Record>, Vec<Record>) {
    (page.floor, page.head, records(page.snapshot.into_iter().collect()), records(page.records))
}

fn records(records: Vec<Record>) -> Vec<Record> {
    records.into_iter().map(|record| Record { recorded_at: Timestamp::default(), ..record }).collect()
}

/// What must be equal of an answer: the position, or the kind of failure with its numbers.
fn answers(results: &[UnitResult]) -> Vec<String> {
    let answer = |result: &UnitResult| match result {
        Ok(committed) => format!("from {}", committed.first),
        Err(AppendFailure::Refused(error) | AppendFailure::Unknown(error)) => format!("{}", error.kind()),
        Err(AppendFailure::WrongRow(wrong)) => {
            let found = wrong.found.clone().map(super::row_records::told);
            format!("row {}: expected {}, found {found:?}", wrong.key, wrong.expected)
        }
        Err(failure) => failure.to_string(),
    };
    results.iter().map(answer).collect()
}
