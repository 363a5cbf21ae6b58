//! Reading a partition's log, whole or by types.

use super::Fixture;
use super::records::{
    ACCOUNT, Subject, account, event_of, events, message, messages_of, rejected, requested, side, snapshot,
    to, unit, v,
};
use crate::event::{EventType, Record, RecordKind};
use crate::limits;
use crate::store::LogPage;
use crate::store::ReadFrom::After;
use crate::stream::{AggregateId, Position};

/// > return records by position, at most `limit` and 4,096
///
/// # Panics
/// When the store breaks it.
pub async fn returns_records_by_position_up_to_the_limit(fixture: &dyn Fixture) {
    let subject = Subject::open(fixture).await;
    let empty = subject.log_page(Position::START, 10).await;
    assert_eq!(empty, LogPage { records: vec![], read_to: Position::START, head: Position::START });
    for list in 0..2 {
        let units = (0..41).map(|number| unit(&account(list * 41 + number), v(0), events("a", 50)));
        assert!(subject.append(units.collect()).await.iter().all(Result::is_ok));
    }
    other_partitions_have_their_own_log(&subject).await;
    let head = 4_100;
    for (after, limit, count, read_to) in [
        (0, usize::MAX, limits::PAGE_RECORDS, 4_096),
        (0, 10, 10, 10),
        (0, 0, 0, 0),
        (4_000, 99, 99, 4_099),
        (4_000, 100, 100, head),
        (4_000, 101, 100, head),
        (head, 10, 0, head),
    ] {
        let page = subject.log_page(Position::new(after), limit).await;
        assert_eq!((page.head, page.read_to), (Position::new(head), Position::new(read_to)));
        let expected: Vec<_> = (after + 1..).take(count).collect();
        assert_eq!(positions(&page), expected, "after {after}, at most {limit}");
    }
}

fn positions(page: &LogPage) -> Vec<u64> {
    page.records.iter().map(|record| record.position.get()).collect()
}

async fn other_partitions_have_their_own_log(subject: &Subject) {
    let Some(id) = subject.elsewhere() else { return };
    let partition = subject.properties.partitions.of(&id);
    let away = ACCOUNT.stream(&AggregateId::new(id).expect("valid"));
    subject.store.append(partition, vec![unit(&away, v(0), events("away", 2))]).await.remove(0).expect("new");
    let page = subject.store.read_log(partition, Position::START, 10).await.expect("the log");
    assert_eq!((positions(&page), page.head), (vec![1, 2], Position::new(2)));
}

/// Records of several types, the framework's included, over several streams.
async fn write_types(subject: &Subject) {
    for round in 0..30_u64 {
        let number = usize::try_from(round).expect("small");
        let mut records = vec![event_of("Common", "c"), event_of("Common", "c")];
        if round % 7 == 3 {
            records.push(event_of("Rare", "r"));
        }
        if round % 10 == 5 {
            records.push(snapshot("s"));
        }
        let mut unit_of_both = unit(&account(number), v(0), records);
        if round % 4 == 1 {
            unit_of_both.appends.push(to(&messages_of(number), v(0), vec![message(number, 0)]));
        }
        subject.commit(unit_of_both).await;
        subject.commit(unit(&side(number), v(0), vec![requested(number, "a", 0)])).await;
    }
}

/// > show all records of the streams that its `LogScope` names, and no others: side streams that are not
/// > shown have positions of their own, and a record that a store keeps for itself leaves a hole, as removed
/// > ones do
///
/// # Panics
/// When the store breaks it.
pub async fn shows_the_streams_that_its_scope_names(fixture: &dyn Fixture) {
    let mut subject = Subject::open(fixture).await;
    let (mut shown, mut apart) = (Vec::new(), 0);
    for round in 0..3 {
        let before = shown.len();
        for (stream, records) in [
            (account(round), events("a", 2)),
            (side(round), vec![requested(round, "a", 0)]),
            (account(round), vec![snapshot("s")]),
            (side(round), vec![rejected(round, "a")]),
        ] {
            let version = subject.head(&stream).await;
            let committed = subject.commit(unit(&stream, version, records)).await;
            let new = subject.page(&stream, After(version), 10).await.records;
            assert_eq!(Some(committed.first), new.first().map(|first| first.position), "in {stream}");
            if subject.properties.shows(&stream) {
                shown.extend(new);
            } else {
                apart += 1;
                assert_eq!(committed.first, Position::new(apart), "a log of its own");
            }
        }
        assert!(shown.len() > before);
        assert_eq!(subject.log().await, shown);
        subject = subject.reopen(fixture).await;
        // What a store writes for itself when it is opened is not shown.
        assert_eq!(subject.log().await, shown, "after opening again");
    }
    let numbers: Vec<_> = shown.iter().map(|record| record.position).collect();
    assert!(numbers.is_sorted(), "by position");
}

fn types(names: &[&'static str]) -> Vec<EventType> {
    names.iter().map(|name| EventType::stored(*name).expect("valid")).collect()
}

/// > return what filtering `read_log` would, by an index over the types
///
/// # Panics
/// When the store breaks it.
pub async fn reading_types_is_filtering_the_log(fixture: &dyn Fixture) {
    let subject = Subject::open(fixture).await;
    write_types(&subject).await;
    let log = subject.log().await;
    for names in [
        &["Rare"][..],
        &["Common"],
        &["Rare", "Common"],
        &["Common", "Rare", "Common"],
        &["$snapshot", "Rare"],
        &["$requested"],
        &["conformance.told"],
        &["conformance.told", "Rare", "$snapshot"],
        &["Absent"],
        &["rare", "Rar", "Rare "],
        &[],
    ] {
        let types = types(names);
        let expected: Vec<_> =
            log.iter().filter(|record| types.contains(&record.data.event_type)).cloned().collect();
        for limit in [1, 3, 1_000] {
            assert_eq!(read_all(&subject, &types, limit).await, expected, "{names:?}, {limit} a page");
        }
    }
    assert!(log.iter().any(|record| record.data.kind == RecordKind::Snapshot));
}

async fn read_all(subject: &Subject, types: &[EventType], limit: usize) -> Vec<Record> {
    let (mut found, mut after) = (Vec::new(), Position::START);
    loop {
        let page = subject.store.read_types(subject.home, types, after, limit).await.expect("a page");
        assert!(page.records.len() <= limit);
        assert!(page.records.iter().all(|r| r.position > after && r.position <= page.read_to));
        found.extend(page.records);
        if page.read_to >= page.head {
            return found;
        }
        assert!(page.read_to > after, "the page after {after} does not move on");
        after = page.read_to;
    }
}

/// > move `read_to` on to the head when no further record matches
///
/// # Panics
/// When the store breaks it.
pub async fn reading_types_moves_on_to_the_head(fixture: &dyn Fixture) {
    let subject = Subject::open(fixture).await;
    write_types(&subject).await;
    let head = subject.log_page(Position::START, 1).await.head;
    let (rare, absent) = (types(&["Rare"]), types(&["Absent"]));
    let all = read_all(&subject, &rare, 100).await;
    let read = async |types: &[EventType], limit| {
        subject.store.read_types(subject.home, types, Position::START, limit).await.expect("a page")
    };
    assert_eq!(read(&absent, 10).await, LogPage { records: vec![], read_to: head, head });
    assert_eq!(read(&rare, all.len() + 1).await.read_to, head);
    assert_eq!(read(&rare, all.len()).await.read_to, head, "the last match fills the page");
    // A page that is cut stands at or after its last record, and before the next one that matches.
    let cut = read(&rare, 2).await;
    assert!(cut.read_to >= all[1].position && cut.read_to < all[2].position, "{}", cut.read_to);
    let at_head = subject.store.read_types(subject.home, &rare, head, 10).await.expect("a page");
    assert_eq!(at_head, LogPage { records: vec![], read_to: head, head });
}
