//! Many writers and readers at once, on threads.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Fixture;
use super::records::{Subject, account, event, events, payloads, unit, v};
use crate::event::Record;
use crate::store::{AppendFailure, Unit};
use crate::stream::{ExpectedVersion, Position, StreamName};
use crate::testkit::parallel;

const WRITERS: usize = 4;
const ROUNDS: usize = 25;

/// > commit a unit only when every stream of it is at the expected version *at that moment*: of many that
/// > expect the same, one is committed
///
/// # Panics
/// When the store breaks it.
pub async fn each_expected_version_has_exactly_one_winner(fixture: &dyn Fixture) {
    let subject = Subject::open(fixture).await;
    let stream = account(1);
    let write = |writer: usize| {
        let (subject, stream) = (subject.clone(), stream.clone());
        async move {
            let mut won = vec![];
            for version in 0..u64::try_from(ROUNDS).expect("small") {
                let mine = event(format!("{writer}"));
                match subject.append_one(unit(&stream, v(version), vec![mine])).await {
                    Ok(_) => won.push((v(version + 1), format!("{writer}"))),
                    Err(AppendFailure::WrongVersion { found, .. }) => assert!(found > v(version)),
                    Err(other) => panic!("version {version}: {other}"),
                }
            }
            won
        }
    };
    let mut won = parallel((0..WRITERS).map(write)).await.concat();
    won.sort();
    let stored: Vec<_> = subject.stream(&stream).await.iter().map(winner).collect();
    assert_eq!(stored, won, "who was told so has won, and nobody else");
    assert_eq!(stored.len(), ROUNDS);
}

fn winner(record: &Record) -> (crate::stream::Version, String) {
    (record.version, String::from_utf8_lossy(&record.data.payload).into_owned())
}

/// > give records versions without gaps from 1 in each stream, and positions without gaps from 1 in each
/// > partition, whoever appends
///
/// # Panics
/// When the store breaks it.
pub async fn versions_and_positions_stay_gapless_under_concurrent_appends(fixture: &dyn Fixture) {
    let subject = Subject::open(fixture).await;
    let acknowledged: usize =
        parallel((0..WRITERS).map(|writer| write(subject.clone(), writer))).await.iter().sum();
    let log = subject.log().await;
    assert_eq!(log.len(), acknowledged, "what was acknowledged, and no more");
    check_log(&log);
    check_adjacent(&log);
}

/// Lists of a unit for everybody's stream and one for a stream of one's own; returns how many records
/// were acknowledged. Each unit has two records with the same payload.
async fn write(subject: Subject, writer: usize) -> usize {
    let pair = |label: String| vec![event(label.clone()), event(label)];
    let mut acknowledged = 0;
    for round in 0..ROUNDS {
        let label = format!("{writer}/{round}");
        let list: Vec<Unit> = vec![
            unit(&account(100), ExpectedVersion::Any, pair(format!("{label} shared"))),
            unit(&account(writer), v(u64::try_from(round * 2).expect("small")), pair(label)),
        ];
        for result in subject.append(list).await {
            result.expect("nobody else expects these versions");
            acknowledged += 2;
        }
    }
    acknowledged
}

/// Positions and versions go on by one.
fn check_log(log: &[Record]) {
    let mut heads: BTreeMap<&StreamName, u64> = BTreeMap::new();
    for (number, record) in log.iter().enumerate() {
        assert_eq!(record.position, Position::new(u64::try_from(number).expect("small") + 1));
        let head = heads.entry(&record.stream).or_default();
        *head += 1;
        assert_eq!(record.version, v(*head), "in {}", record.stream);
    }
}

fn check_adjacent(log: &[Record]) {
    for pair in payloads(log).chunks(2) {
        assert_eq!(pair[0], pair[1], "the records of a unit are next to each other");
    }
}

/// > never show a record while one with a lower position may still appear
///
/// # Panics
/// When the store breaks it.
pub async fn never_shows_a_record_before_one_with_a_lower_position(fixture: &dyn Fixture) {
    let subject = Subject::open(fixture).await;
    let seen = watched(&subject).await;
    check_log(&seen);
    assert_eq!(seen, subject.log().await, "what the reader passed by has not changed since");
}

/// What a reader sees that follows the log while others write to it: pages end where they end, and the
/// reader never looks back.
async fn watched(subject: &Subject) -> Vec<Record> {
    let writing = Arc::new(AtomicUsize::new(WRITERS));
    let task = |writer: usize| {
        let (subject, writing) = (subject.clone(), Arc::clone(&writing));
        async move {
            if writer == WRITERS {
                return follow(&subject, &writing).await;
            }
            let done = Done(&writing);
            write(subject, writer).await;
            drop(done);
            Vec::new()
        }
    };
    parallel((0..=WRITERS).map(task)).await.pop().expect("the reader's answer")
}

/// Counts a writer out, a failed one too: the reader must not wait for it for ever.
struct Done<'a>(&'a AtomicUsize);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn follow(subject: &Subject, writing: &AtomicUsize) -> Vec<Record> {
    let (mut seen, mut after) = (Vec::new(), Position::START);
    loop {
        let last_round = writing.load(Ordering::SeqCst) == 0;
        let page = subject.log_page(after, 7).await;
        assert!(page.read_to <= page.head && page.read_to >= after);
        let more = page.read_to < page.head;
        seen.extend(page.records);
        after = page.read_to;
        if last_round && !more {
            return seen;
        }
        tokio::task::yield_now().await;
    }
}

/// > show no unit that is not durable
///
/// # Panics
/// When the store breaks it.
pub async fn shows_no_unit_that_is_not_durable(fixture: &dyn Fixture) {
    let subject = Subject::open(fixture).await;
    let stream = account(1);
    let writing = Arc::new(AtomicUsize::new(1));
    let task = |is_reader: bool| {
        let (subject, stream, writing) = (subject.clone(), stream.clone(), Arc::clone(&writing));
        async move {
            if is_reader {
                return watch(&subject, &stream, &writing).await;
            }
            let _done = Done(&writing);
            for round in 0..u64::try_from(ROUNDS).expect("small") {
                subject.commit(unit(&stream, v(round * 3), events("a", 3))).await;
            }
            Vec::new()
        }
    };
    let seen = parallel([true, false].map(task)).await.remove(0);
    let subject = subject.reopen(fixture).await;
    assert_eq!(subject.stream(&stream).await, seen, "after opening again");
}

/// Reads a stream again and again while it is written to, and returns what was seen last.
async fn watch(subject: &Subject, stream: &StreamName, writing: &AtomicUsize) -> Vec<Record> {
    let mut seen = Vec::new();
    loop {
        let last_round = writing.load(Ordering::SeqCst) == 0;
        let found = subject.stream(stream).await;
        assert!(found.starts_with(&seen), "what was seen is gone");
        assert_eq!(found.len() % 3, 0, "a unit is seen whole");
        seen = found;
        if last_round {
            return seen;
        }
    }
}
