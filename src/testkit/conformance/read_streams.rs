//! Reading parts of streams.

use super::Fixture;
use super::records::{ACCOUNT, Subject, account, event, events, payloads, snapshot, unit, v};
use crate::limits;
use crate::store::ReadFrom::{After, SnapshotBefore};
use crate::store::{StreamPage, StreamRead};
use crate::stream::{AggregateId, StreamName};

/// > show every unit whose append was answered `Ok` before the call, whole
///
/// # Panics
/// When the store breaks it.
pub async fn shows_every_acknowledged_unit_whole(fixture: &dyn Fixture) {
    let subject = Subject::open(fixture).await;
    for round in 0..20 {
        let list = (0..3).map(|number| unit(&account(number), v(round * 2), events("a", 2))).collect();
        assert!(subject.append(list).await.iter().all(Result::is_ok));
        for number in 0..3 {
            let page = subject.page(&account(number), After(v(round * 2)), 9).await;
            assert_eq!((page.head, page.records.len()), (v(round * 2 + 2), 2), "right after the answer");
        }
    }
}

/// > return records by version, without gaps, at most `limit` and 4,096, with the stream's head
///
/// # Panics
/// When the store breaks it.
pub async fn returns_records_by_version_without_gaps_up_to_the_limit(fixture: &dyn Fixture) {
    let subject = Subject::open(fixture).await;
    let (long, head) = (account(1), 4_100);
    subject.commit(unit(&long, v(0), events("a", 4_000))).await;
    subject.commit(unit(&account(2), v(0), events("b", 1))).await;
    subject.commit(unit(&long, v(4_000), events("c", 100))).await;
    for (after, limit, count) in [
        (0, usize::MAX, limits::PAGE_RECORDS),
        (0, 10, 10),
        (0, 0, 0),
        (3_995, 10, 10),
        (4_090, 100, 10),
        (head, 10, 0),
        (head + 7, 10, 0),
        (u64::MAX >> 1, 10, 0),
    ] {
        let page = subject.page(&long, After(v(after)), limit).await;
        assert_eq!((page.floor, page.head, page.snapshot), (v(0), v(head), None));
        let found: Vec<_> = page.records.iter().map(|record| record.version.get()).collect();
        let expected: Vec<_> = (after.saturating_add(1)..).take(count).collect();
        assert_eq!(found, expected, "after {after}, at most {limit}");
    }
    assert_eq!(subject.page(&account(3), After(v(0)), 10).await, StreamPage::empty());
    answers_in_the_order_of_the_reads(&subject).await;
}

async fn answers_in_the_order_of_the_reads(subject: &Subject) {
    let read = |number, after, limit| StreamRead { stream: account(number), from: After(v(after)), limit };
    let reads = vec![read(2, 0, 5), read(3, 0, 5), read(1, 7, 1), read(2, 0, 5), read(1, 1, 2)];
    let pages: Vec<_> = subject.store.read_streams(reads).await.into_iter().map(Result::unwrap).collect();
    let first = |page: &StreamPage| page.records.first().map(|r| (r.stream.clone(), r.version.get()));
    let found: Vec<_> = pages.iter().map(|page| (first(page), page.records.len())).collect();
    let at = |number, version| Some((account(number), version));
    assert_eq!(found, [(at(2, 1), 1), (None, 0), (at(1, 8), 1), (at(2, 1), 1), (at(1, 2), 2)]);
    assert!(subject.store.read_streams(vec![]).await.is_empty());

    // Streams of other partitions may be read in the same call.
    let away = subject.elsewhere().unwrap_or_else(|| "away".to_owned());
    let away = ACCOUNT.stream(&AggregateId::new(away).expect("valid"));
    let partition = subject.properties.partitions.of(away.cardinal());
    subject.store.append(partition, vec![unit(&away, v(0), events("away", 1))]).await.remove(0).expect("new");
    let many = (0..1_000).map(|n| StreamRead {
        stream: if n % 2 == 0 { away.clone() } else { account(2) },
        from: After(v(0)),
        limit: 1,
    });
    for (number, page) in subject.store.read_streams(many.collect()).await.into_iter().enumerate() {
        let label = if number % 2 == 0 { "away/0" } else { "b/0" };
        assert_eq!(payloads(&page.expect("readable").records), [label]);
    }
}

/// > return the latest snapshot before the version asked for, and what follows it
///
/// # Panics
/// When the store breaks it.
pub async fn returns_the_latest_snapshot_and_what_follows(fixture: &dyn Fixture) {
    let subject = Subject::open(fixture).await;
    let a = account(1);
    // 1 event, 2 snapshot, 3 and 4 events, 5 snapshot, 6 event
    let records = vec![event("1"), snapshot("2"), event("3"), event("4"), snapshot("5"), event("6")];
    subject.commit(unit(&a, v(0), records)).await;
    for (before, found, following) in [
        (u64::MAX >> 1, Some(5), vec![6]),
        (6, Some(5), vec![6]),
        (5, Some(2), vec![3, 4, 5, 6]),
        (3, Some(2), vec![3, 4, 5, 6]),
        (2, None, vec![1, 2, 3, 4, 5, 6]),
        (0, None, vec![1, 2, 3, 4, 5, 6]),
    ] {
        for limit in [0, 1, 3, 100] {
            let page = subject.page(&a, SnapshotBefore(v(before)), limit).await;
            assert_eq!(page.snapshot.map(|s| s.version), found.map(v), "the snapshot before {before}");
            let versions: Vec<_> = page.records.iter().map(|record| record.version.get()).collect();
            let expected: Vec<_> = following.iter().copied().take(limit).collect();
            assert_eq!(versions, expected, "before {before}, at most {limit}, the snapshot not counted");
            assert_eq!(page.head, v(6));
        }
    }
    assert_eq!(subject.page(&account(2), SnapshotBefore(v(9)), 9).await, StreamPage::empty());
}

/// > return records as they are stored, altered ones too: the reader checks them
///
/// # Panics
/// When the store breaks it.
pub async fn returns_altered_records_as_they_are_stored(fixture: &dyn Fixture) {
    let subject = Subject::open(fixture).await;
    let a = account(1);
    subject.commit(unit(&a, v(0), events("a", 3))).await;
    if !fixture.alter(&a, v(2)).await {
        return super::skip("altered records", "the fixture cannot alter one");
    }
    let subject = subject.reopen(fixture).await;
    let intact: Vec<_> = subject.stream(&a).await.iter().map(crate::event::Record::is_intact).collect();
    assert_eq!(intact, [true, false, true]);
    let page = subject.log_page(crate::stream::Position::START, 10).await;
    let intact: Vec<_> = page.records.iter().map(crate::event::Record::is_intact).collect();
    assert_eq!(intact, [true, false, true], "in the log");
}

/// > fail only the reads of streams that cannot be read, and leave the others alone
///
/// # Panics
/// When the store breaks it.
pub async fn fails_only_the_reads_of_streams_that_cannot_be_read(fixture: &dyn Fixture) {
    let subject = Subject::open(fixture).await;
    let streams: Vec<StreamName> = (0..3).map(account).collect();
    for stream in &streams {
        subject.commit(unit(stream, v(0), events("a", 2))).await;
    }
    if !fixture.make_unreadable(&streams[1]).await {
        return super::skip("streams that cannot be read", "the fixture cannot damage one");
    }
    let subject = subject.reopen(fixture).await;
    let read = |stream: &StreamName| StreamRead { stream: stream.clone(), from: After(v(0)), limit: 9 };
    let pages = subject.store.read_streams(streams.iter().map(read).collect()).await;
    assert_eq!(pages.len(), 3);
    assert!(pages[1].is_err(), "{:?}", pages[1]);
    for number in [0, 2] {
        assert_eq!(payloads(&pages[number].as_ref().expect("readable").records), ["a/0", "a/1"]);
    }
}
