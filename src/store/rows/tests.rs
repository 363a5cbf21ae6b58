//! The rules of rows, one by one.

use super::*;

const T: fn(i64) -> Timestamp = Timestamp::from_micros;

fn write(expected: RowExpected, change: RowChange) -> RowWrite {
    RowWrite { key: RowKey::new("lease", "7").unwrap(), expected, change }
}

fn put(value: &'static str, lives: Option<u64>) -> RowChange {
    let lives = lives.map(Duration::from_micros);
    RowChange::Put { value: Bytes::from_static(value.as_bytes()), lives }
}

fn claim(lives: u64) -> RowChange {
    RowChange::Claim { value: Bytes::new(), lives: Some(Duration::from_micros(lives)) }
}

fn changed(row: &KeptRow, expected: RowExpected, change: RowChange, now: i64) -> KeptRow {
    row.after(&write(expected, change), T(now)).unwrap().unwrap()
}

#[test]
fn both_numbers_outlive_removal() {
    let claimed = changed(&KeptRow::NEVER, RowExpected::Free, claim(10), 1);
    assert_eq!((claimed.revision, claimed.epoch), (1, 1));
    let removed = changed(&claimed, RowExpected::Epoch(1), RowChange::Remove, 2);
    assert_eq!((removed.revision, removed.epoch, removed.content.is_none()), (2, 1, true));
    for expected in [RowExpected::Epoch(1), RowExpected::Revision(2)] {
        removed.after(&write(expected, RowChange::Keep), T(3)).unwrap_err();
    }
    assert_eq!(removed.after(&write(RowExpected::Any, RowChange::Remove), T(3)), Ok(None));
    let again = changed(&removed, RowExpected::Absent, claim(10), 3);
    assert_eq!((again.revision, again.epoch), (3, 2));
}

#[test]
fn free_is_what_is_gone_or_expired_and_an_epoch_does_not_expire() {
    let row = changed(&KeptRow::NEVER, RowExpected::Any, claim(10), 100);
    for (now, is_free) in [(99, false), (109, false), (110, true), (111, true)] {
        let free = row.after(&write(RowExpected::Free, claim(10)), T(now));
        assert_eq!(free.is_ok(), is_free, "at {now}");
        row.after(&write(RowExpected::Epoch(1), RowChange::Extend { lives: None }), T(now)).unwrap();
    }
    let lasting = changed(&row, RowExpected::Any, put("x", None), 120);
    assert_eq!((lasting.epoch, lasting.revision), (1, 2));
    lasting.after(&write(RowExpected::Free, RowChange::Keep), Timestamp::MAX).unwrap_err();
}

#[test]
fn extending_keeps_the_value_and_needs_a_row() {
    let row = changed(&KeptRow::NEVER, RowExpected::Any, put("x", Some(5)), 1);
    let longer = RowChange::Extend { lives: Some(Duration::from_micros(7)) };
    let extended = changed(&row, RowExpected::Revision(1), longer.clone(), 4);
    let expires_at = Some(T(11));
    assert_eq!(extended.content, Some(RowContent { value: Bytes::from_static(b"x"), expires_at }));
    let wrong = KeptRow::NEVER.after(&write(RowExpected::Any, longer), T(1)).unwrap_err();
    assert_eq!(wrong.to_string(), "row lease/7: expected any row, found none");
}

#[test]
fn names_keep_their_bounds() {
    RowKey::new("s".repeat(64), "k".repeat(256)).unwrap();
    for (space, key) in [("", "k"), ("s", ""), ("s\n", "k"), ("s", "\0"), (&*"s".repeat(65), "k")] {
        assert_eq!(RowKey::new(space, key).unwrap_err().code(), "invalid", "{space:?} {key:?}");
    }
    RowKey::new("s", "k".repeat(257)).unwrap_err();
}

#[test]
fn behind_a_prefix_stands_every_key_that_begins_with_it_and_no_other_prefix() {
    let (longest, last) = (char::MAX.to_string().repeat(64), behind("ab"));
    for key in ["ab", "abz", "ab\u{10ffff}x", &*format!("ab{}", &longest[..252])] {
        assert!(key >= "ab" && key <= &*last, "{key}");
    }
    for key in ["a", "aa", "ac", "aa\u{10ffff}", "b"] {
        assert!(key < "ab" || key > &*last, "{key}");
    }
    assert!(longest <= behind(""));
}
