//! Reading guarded rows.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::Fixture;
use super::records::Subject;
use super::row_records::{HOUR, SPACE, one, put, write};
use crate::clock::Timestamp;
use crate::limits;
use crate::partition::PartitionId;
use crate::store::Unit;
use crate::store::rows::{RowChange, RowExpected, RowSelection, RowsRead};

use RowExpected::{Absent, Any, Revision};

/// > show every row as the last unit left it that was answered `Ok` before the call, and nothing that is not durable
///
/// # Panics
/// When the store breaks it.
pub async fn shows_every_row_as_the_last_unit_left_it(fixture: &dyn Fixture) {
    let mut subject = Subject::open(fixture).await;
    for round in 1..=6_u64 {
        let value = format!("{round}");
        subject.commit(one("a", Any, put(value.clone()))).await;
        subject.commit(one("b", Any, RowChange::Put { value: value.clone().into(), lives: HOUR })).await;
        let shown = subject.told().await;
        subject = subject.reopen(fixture).await;
        let expected = ["a", "b"].map(|name| (name.to_owned(), round, 0, value.clone().into(), name == "b"));
        assert_eq!((shown, subject.told().await), (expected.to_vec(), expected.to_vec()));
    }
    // What a reader saw is there for good.
    let seen = AtomicBool::new(false);
    let (writer, reader) = (subject.clone(), subject.clone());
    let writing = async {
        for round in 6..30 {
            writer.commit(one("a", Revision(round), put("x"))).await;
        }
        seen.store(true, Ordering::SeqCst);
    };
    let reading = async {
        let mut last = 0;
        while !seen.load(Ordering::SeqCst) {
            let revision = reader.row("a").await.expect("a row").revision;
            assert!(revision >= last, "{revision} after {last}");
            last = revision;
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(writing, reading);
}

/// > leave removed rows out, and return the others by key, expired ones too, at most 256
///
/// # Panics
/// When the store breaks it.
pub async fn leaves_removed_rows_out_and_returns_the_others_by_key(fixture: &dyn Fixture) {
    let subject = Subject::open(fixture).await;
    let names: Vec<String> = (0..limits::PAGE_ROWS + 10).map(|n| format!("{:03}", n * 7 % 1_000)).collect();
    for part in names.chunks(limits::UNIT_ROWS) {
        let rows = part.iter().map(|name| write(name, Absent, put("x"))).collect();
        subject.commit(Unit::of_rows(rows)).await;
    }
    let expires = RowChange::Extend { lives: Some(Duration::ZERO) };
    subject
        .commit(Unit::of_rows(vec![write("007", Any, RowChange::Remove), write("014", Any, expires)]))
        .await;
    let all = || RowSelection::Prefix { prefix: String::new(), after: None, limit: usize::MAX };
    assert_eq!(subject.select(all()).await.len(), limits::PAGE_ROWS);
    let mut expected: Vec<_> = names.iter().filter(|name| *name != "007").cloned().collect();
    expected.sort();
    let found: Vec<_> = subject.rows().await.into_iter().map(|row| row.key.key().to_owned()).collect();
    assert_eq!(found, expected);
    let keys = ["021", "none", "014", "007", "000"].map(str::to_owned).to_vec();
    let found = subject.select(RowSelection::Keys(keys)).await;
    assert_eq!(found.iter().map(|row| row.key.key()).collect::<Vec<_>>(), ["000", "014", "021"]);
    assert!(found[1].expires_at.is_some_and(|at| at == found[1].changed_at), "{:?}", found[1]);
}

/// > return, of those whose keys begin with the prefix, what follows `after`
///
/// # Panics
/// When the store breaks it.
pub async fn returns_what_follows_of_a_prefix(fixture: &dyn Fixture) {
    let subject = Subject::open(fixture).await;
    // By bytes, which is not by language, nor by letters.
    let names = ["a", "a/", "a/1", "a/2", "a/ä", "a/€", "a/\u{10ffff}", "a0", "B", "z", "ä"];
    let rows = names.iter().map(|name| write(name, Absent, put("x"))).collect();
    subject.commit(Unit::of_rows(rows)).await;
    for prefix in ["", "a", "a/", "a/1", "b", "ä", "a/\u{10ffff}"] {
        for after in [None, Some("a/1"), Some("a/99"), Some("ä")] {
            for limit in [0, 2, usize::MAX] {
                let which = RowSelection::Prefix {
                    prefix: prefix.to_owned(),
                    after: after.map(str::to_owned),
                    limit,
                };
                let found = subject.select(which).await;
                let mut expected: Vec<_> = names.iter().filter(|name| name.starts_with(prefix)).collect();
                expected.sort();
                expected.retain(|name| after.is_none_or(|after| **name > after));
                expected.truncate(limit);
                let found: Vec<_> = found.iter().map(|row| row.key.key()).collect();
                assert_eq!(
                    found,
                    expected.into_iter().copied().collect::<Vec<_>>(),
                    "{prefix} {after:?} {limit}"
                );
            }
        }
    }
}

/// > tell its own time at the read
///
/// # Panics
/// When the store breaks it.
pub async fn tells_its_own_time_at_a_read_of_rows(fixture: &dyn Fixture) {
    let subject = Subject::open(fixture).await;
    let noon = Timestamp::from_micros(1_700_000_000_000_000);
    if fixture.set_clock(noon).await {
        assert_eq!(subject.store_time().await, noon);
        fixture.set_clock(noon.before(Duration::from_secs(60))).await;
        assert_eq!(subject.store_time().await, noon.before(Duration::from_secs(60)));
        return;
    }
    let before = subject.store_time().await;
    subject.commit(one("a", Absent, put("x"))).await;
    let changed_at = subject.row("a").await.expect("a row").changed_at;
    assert!(before <= changed_at && changed_at <= subject.store_time().await);
}

/// > refuse a read that breaks a bound of `limits` with `Invalid`
///
/// # Panics
/// When the store breaks it.
pub async fn refuses_a_read_of_rows_that_breaks_a_bound(fixture: &dyn Fixture) {
    let subject = Subject::open(fixture).await;
    let keys = |keys: Vec<String>| (SPACE.to_owned(), RowSelection::Keys(keys));
    let prefix = |prefix: &str, after: Option<String>| {
        (SPACE.to_owned(), RowSelection::Prefix { prefix: prefix.to_owned(), after, limit: 1 })
    };
    let bad = [
        keys((0..=limits::PAGE_ROWS).map(|n| n.to_string()).collect()),
        keys(vec!["k".repeat(limits::ROW_KEY_BYTES + 1)]),
        keys(vec!["\0".to_owned()]),
        prefix("\0", None),
        prefix("", Some("\u{7f}".to_owned())),
        (String::new(), RowSelection::Keys(vec![])),
        ("s".repeat(limits::ROW_SPACE_BYTES + 1), RowSelection::Keys(vec![])),
    ];
    for (space, which) in bad {
        let read = RowsRead { partition: subject.home, space, which };
        let error = subject.store.rows(read.clone()).await.expect_err("out of bounds");
        assert_eq!(error.code(), "invalid", "{read:?}: {error}");
    }
    let most = (0..limits::PAGE_ROWS).map(|n| n.to_string()).collect();
    assert_eq!(subject.select(RowSelection::Keys(most)).await, []);
    let nowhere = PartitionId::new(subject.properties.partitions.get());
    let read = RowsRead { partition: nowhere, space: SPACE.to_owned(), which: RowSelection::Keys(vec![]) };
    assert_eq!(subject.store.rows(read).await.expect_err("no such partition").code(), "invalid");
}
