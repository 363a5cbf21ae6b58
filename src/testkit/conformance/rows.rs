//! Guarded rows: what they demand of a unit, and what becomes of them.

use std::time::Duration;

use super::Fixture;
use super::records::{
    Subject, account, assert_invalid, assert_superseded, assert_wrong_version, events, poll_some, side, to,
    unit, v,
};
use super::row_records::{HOUR, claim, is, key, one, put, with_records, write};
use crate::clock::{Timestamp, sleep};
use crate::limits;
use crate::store::rows::{Row, RowChange, RowExpected, RowKey, RowSelection, RowWrite, RowsRead};
use crate::store::{AppendFailure, Atomicity, Unit, UnitResult};
use crate::testkit::parallel;

use RowExpected::{Absent, Any, Epoch, Free, Revision};

/// Demands `WrongRow` on that row, found as it is.
fn assert_wrong_row(result: &UnitResult, name: &str, expected: RowExpected, found: Option<Row>) {
    match result {
        Err(AppendFailure::WrongRow(wrong)) => {
            assert_eq!((&wrong.key, wrong.expected, &wrong.found), (&key(name), expected, &found));
        }
        other => panic!("expected WrongRow on {name}, found {other:?}"),
    }
}

/// > commit a unit only when every row of it is as expected at that moment, and answer `WrongRow` with the row found
/// > otherwise
///
/// # Panics
/// When the store breaks it.
pub async fn commits_a_unit_only_when_every_row_is_as_expected(fixture: &dyn Fixture) {
    let subject = Subject::open(fixture).await;
    for refused in [Revision(1), Epoch(0), Epoch(1)] {
        assert_wrong_row(&subject.append_one(one("a", refused, put("no"))).await, "a", refused, None);
    }
    let extend = RowChange::Extend { lives: HOUR };
    assert_wrong_row(&subject.append_one(one("a", Any, extend.clone())).await, "a", Any, None);
    subject.commit(one("a", Free, claim("1", None))).await;
    for refused in [Absent, Free, Revision(2), Epoch(0), Epoch(2)] {
        let found = subject.row("a").await;
        assert_wrong_row(&subject.append_one(one("a", refused, put("no"))).await, "a", refused, found);
    }
    subject.commit(one("a", Revision(1), put("2"))).await;
    subject.commit(one("a", Epoch(1), extend)).await;
    subject.commit(one("a", Revision(3), RowChange::Keep)).await;
    subject.commit(one("a", Any, put("4"))).await;
    assert_eq!(subject.told().await, [is("a", 4, 1, "4")]);
    subject.commit(one("a", Epoch(1), RowChange::Remove)).await;
    for refused in [Revision(5), Epoch(1)] {
        assert_wrong_row(&subject.append_one(one("a", refused, put("no"))).await, "a", refused, None);
    }
    subject.commit(one("a", Absent, RowChange::Keep)).await;
    assert_eq!(subject.told().await, []);
    let other =
        RowWrite { key: RowKey::new("other", "a").expect("valid"), expected: Absent, change: put("b") };
    subject.commit(Unit::of_rows(vec![other])).await;
    assert_eq!(subject.told().await, [], "another space");
}

/// > commit each unit whole or not at all, whether a stream or a row is not as expected
///
/// # Panics
/// When the store breaks it.
pub async fn commits_records_and_rows_together_or_not_at_all(fixture: &dyn Fixture) {
    let subject = Subject::open(fixture).await;
    let a = account(1);
    let both = |version: u64, expected| {
        let rows = vec![write("x", Any, put("x")), write("y", expected, put("y"))];
        with_records(vec![to(&a, v(version), events("a", 2))], rows)
    };
    let wrong_row = subject.append_one(both(0, Revision(1))).await;
    assert_wrong_row(&wrong_row, "y", Revision(1), None);
    assert_wrong_version(&subject.append_one(both(1, Absent)).await, &a, v(1).into(), 0);
    assert_eq!((subject.head(&a).await, subject.told().await), (v(0), vec![]));
    let committed = subject.commit(both(0, Absent)).await;
    let subject = subject.reopen(fixture).await;
    let log = subject.log().await;
    assert_eq!((log.len(), log[0].position), (2, committed.first));
    assert_eq!(subject.told().await, [is("x", 1, 0, "x"), is("y", 1, 0, "y")]);
    let alone = subject.commit(one("y", Revision(1), put("z"))).await;
    assert_eq!(alone.first, log[1].position, "rows have no position");
    assert!(alone.recorded_at >= committed.recorded_at);
    assert_eq!(subject.log().await, log);
}

/// A unit with rows whose future is dropped is committed or not, and its rows and records agree.
///
/// # Panics
/// When the store breaks it.
pub async fn a_dropped_unit_with_rows_is_done_whole_or_not_at_all(fixture: &dyn Fixture) {
    let subject = Subject::open(fixture).await;
    for number in 0..24 {
        let (stream, name) = (account(number), format!("{number}"));
        let append = vec![to(&stream, v(0), events("dropped", 2))];
        let dropped = with_records(append, vec![write(&name, Absent, put("dropped"))]);
        poll_some(subject.append(vec![dropped]), number % 8).await;
        // Whoever writes the row afterwards comes after it, or instead of it.
        let after = subject.append_one(one(&name, Absent, put("after"))).await;
        let is_done = after.is_err();
        let head = subject.append_one(unit(&stream, v(0), events("after", 1))).await;
        assert_eq!(head.is_err(), is_done, "round {number}: {after:?}, {head:?}");
        let value = if is_done { "dropped" } else { "after" };
        assert_eq!(subject.row(&name).await.expect("a row").value, value);
    }
}

/// > treat units that share a row as a chain, too (`RowSuperseded`)
///
/// # Panics
/// When the store breaks it.
pub async fn treats_units_that_share_a_row_as_a_chain(fixture: &dyn Fixture) {
    let subject = Subject::open(fixture).await;
    let (a, b) = (account(1), account(2));
    let units = (0..3).map(|n| one("x", if n == 0 { Absent } else { Revision(n) }, put("x"))).collect();
    assert!(subject.append(units).await.iter().all(Result::is_ok), "each unit builds on the one before");
    let list = vec![
        one("x", Revision(9), put("no")),
        one("x", Any, put("no")),
        with_records(vec![to(&a, v(0), events("no", 1))], vec![write("x", Any, RowChange::Keep)]),
        unit(&a, v(0), events("no", 1)),
        with_records(vec![to(&b, v(7), events("no", 1))], vec![write("y", Any, put("no"))]),
        one("y", Any, put("no")),
        one("z", Any, put("z")),
    ];
    let found = subject.row("x").await;
    let results = subject.append(list).await;
    assert_wrong_row(&results[0], "x", Revision(9), found);
    for (at, name) in [(1, "x"), (2, "x"), (5, "y")] {
        let is_by = matches!(&results[at], Err(AppendFailure::RowSuperseded { key: by }) if *by == key(name));
        assert!(is_by, "unit {at}: {:?}", results[at]);
    }
    assert_superseded(&results[3], &[&a]);
    assert_wrong_version(&results[4], &b, v(7).into(), 0);
    results[6].as_ref().expect("shares nothing with a failed one");
    assert_eq!(subject.told().await, [is("x", 3, 0, "x"), is("z", 1, 0, "z")]);
}

/// > give a row a revision one higher with every change and an epoch one higher with every claim, removed rows and
/// > those put back included, so that neither number is used twice, and begin both anew for a row that was forgotten
///
/// # Panics
/// When the store breaks it.
pub async fn gives_numbers_that_are_never_used_again(fixture: &dyn Fixture) {
    let mut subject = Subject::open(fixture).await;
    let (mut revision, mut epoch) = (0, 0);
    for round in 0..4 {
        subject.commit(one("a", Absent, claim("1", None))).await;
        subject.commit(one("a", Epoch(epoch + 1), put("2"))).await;
        (revision, epoch) = (revision + 2, epoch + 1);
        assert_eq!(subject.told().await, [is("a", revision, epoch, "2")], "round {round}");
        let list = vec![
            one("a", Revision(revision), claim("3", None)),
            one("a", Revision(revision + 1), RowChange::Extend { lives: None }),
        ];
        assert!(subject.append(list).await.iter().all(Result::is_ok));
        (revision, epoch) = (revision + 2, epoch + 1);
        subject = subject.reopen(fixture).await;
        assert_eq!(subject.told().await, [is("a", revision, epoch, "3")], "round {round}");
        subject.commit(one("a", Epoch(epoch), RowChange::Remove)).await;
        subject.commit(one("a", Absent, RowChange::Remove)).await;
        revision += 1;
        subject = subject.reopen(fixture).await;
    }
}

/// A row that was forgotten is as if it had never been there.
///
/// # Panics
/// When the store breaks it.
pub async fn keeps_nothing_of_a_row_that_is_forgotten(fixture: &dyn Fixture) {
    let mut subject = Subject::open(fixture).await;
    for round in 0..3 {
        subject.commit(one("a", Absent, claim("1", None))).await;
        assert_eq!(subject.told().await, [is("a", 1, 1, "1")], "round {round}");
        subject.append_one(one("a", Revision(2), RowChange::Forget)).await.expect_err("it is at 1");
        // Forgotten and put in one list: what is there in the end counts.
        let list = vec![one("a", Revision(1), RowChange::Forget), one("a", Absent, put("2"))];
        assert!(subject.append(list).await.iter().all(Result::is_ok));
        assert_eq!(subject.told().await, [is("a", 1, 0, "2")], "round {round}");
        subject.commit(one("a", Any, RowChange::Remove)).await;
        subject.commit(one("a", Any, RowChange::Forget)).await;
        subject.commit(one("a", Any, RowChange::Forget)).await;
        subject = subject.reopen(fixture).await;
        assert!(subject.told().await.is_empty());
    }
    // Whoever waits for a row while it is forgotten makes it anew.
    let deeds = (0..32).map(|number| match number % 2 {
        0 => one("b", Any, claim("1", None)),
        _ => one("b", Any, RowChange::Forget),
    });
    let writer = |unit: Unit| {
        let subject = subject.clone();
        async move { subject.append_one(unit).await }
    };
    for result in parallel(deeds.map(writer)).await {
        result.expect("neither of them can be wrong");
    }
}

/// > tell the expiry of rows by its own clock, and let units of rows only wait for nobody who writes records
///
/// # Panics
/// When the store breaks it.
pub async fn tells_the_expiry_of_rows_by_its_own_clock(fixture: &dyn Fixture) {
    let subject = Subject::open(fixture).await;
    let (noon, minute) = (Timestamp::from_micros(1_700_000_000_000_000), Duration::from_secs(60));
    let can_set = fixture.set_clock(noon).await;
    let short = if can_set { minute } else { Duration::from_millis(5) };
    subject.commit(one("long", Free, claim("a", HOUR))).await;
    subject.commit(one("short", Free, claim("a", Some(short)))).await;
    let row = subject.row("short").await.expect("a row");
    assert_eq!(row.expires_at, Some(row.changed_at.after(short)));
    if can_set {
        assert_eq!(row.changed_at, noon);
        assert_wrong_row(
            &subject.append_one(one("short", Free, claim("b", HOUR))).await,
            "short",
            Free,
            Some(row),
        );
        fixture.set_clock(noon.after(minute)).await;
    } else {
        while subject.store_time().await <= row.expires_at.expect("it expires") {
            sleep(short).await;
        }
    }
    // It is expired, and there; as long as nobody claims it, its holder holds it.
    subject.commit(one("short", Epoch(1), RowChange::Extend { lives: Some(short) })).await;
    subject.commit(one("short", Epoch(1), RowChange::Extend { lives: Some(Duration::ZERO) })).await;
    let claimed = subject.commit(one("short", Free, claim("b", HOUR))).await;
    let found = subject.row("short").await.expect("a row");
    assert_eq!((found.epoch, found.value.as_ref()), (2, b"b".as_slice()));
    assert!(found.expires_at.is_some_and(|at| at > found.changed_at), "{found:?}, {claimed:?}");
    for refused in [Free, Epoch(1)] {
        let found = subject.row("short").await;
        assert_wrong_row(
            &subject.append_one(one("short", refused, put("no"))).await,
            "short",
            refused,
            found,
        );
    }
    let long = subject.row("long").await;
    assert_wrong_row(&subject.append_one(one("long", Free, put("no"))).await, "long", Free, long);
}

/// > let units of rows only wait for nobody who writes records
///
/// # Panics
/// When the store breaks it.
pub async fn rows_wait_for_nobody_who_writes_records(fixture: &dyn Fixture) {
    let subject = Subject::open(fixture).await;
    subject.commit(one("a", Absent, put("1"))).await;
    let Some(held) = subject.store.hold(subject.home).await.expect("held") else {
        return super::skip("rows beside a held partition", "the store has one writer and holds none");
    };
    subject.commit(one("a", Revision(1), put("2"))).await;
    subject.commit(one("b", Free, claim("1", HOUR))).await;
    let with_a_row =
        with_records(vec![to(&account(1), v(0), events("a", 1))], vec![write("a", Any, put("3"))]);
    let results = held.append(vec![with_a_row, one("b", Epoch(1), RowChange::Remove)]).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(subject.told().await, [is("a", 3, 0, "3")]);
}

/// > commit a unit only when every row of it is as expected *at that moment*: of many that claim a free row, one gets
/// > it, and its epoch is its own
///
/// # Panics
/// When the store breaks it.
pub async fn each_free_row_has_exactly_one_claimer(fixture: &dyn Fixture) {
    let subject = Subject::open(fixture).await;
    let claimer = |number: usize| {
        let subject = subject.clone();
        async move {
            let mut epochs = vec![];
            while epochs.len() < 4 {
                let claimed = subject.append_one(one("lease", Free, claim(format!("{number}"), HOUR))).await;
                match claimed {
                    Ok(_) => {}
                    Err(AppendFailure::WrongRow(_)) => {
                        tokio::task::yield_now().await;
                        continue;
                    }
                    Err(other) => panic!("{other}"),
                }
                // Long enough for the others to try.
                sleep(Duration::from_millis(2)).await;
                let mine = subject.row("lease").await.expect("nobody else can take it");
                assert_eq!(mine.value, format!("{number}"));
                epochs.push(mine.epoch);
                subject.commit(one("lease", Epoch(mine.epoch), RowChange::Remove)).await;
            }
            assert!(epochs.is_sorted());
            epochs
        }
    };
    let mut epochs = parallel((0..4).map(claimer)).await.concat();
    epochs.sort_unstable();
    assert_eq!(epochs, (1..=16).collect::<Vec<u64>>());
}

/// Writers of several rows each, in any order, wait for each other and for nothing else: all get through.
///
/// # Panics
/// When the store breaks it.
pub async fn units_of_several_rows_never_lock_each_other_out(fixture: &dyn Fixture) {
    let subject = Subject::open(fixture).await;
    let writer = |number: usize| {
        let subject = subject.clone();
        async move {
            for round in 0..15 {
                let names = (0..4).map(|at| format!("{}", (at * 3 + number + round) % 5));
                let mut rows: Vec<_> = names.map(|name| write(&name, Any, put("x"))).collect();
                rows.rotate_left(number % 4);
                let appends = match round % 3 {
                    0 => vec![to(&account(number), crate::stream::ExpectedVersion::Any, events("a", 1))],
                    _ => vec![],
                };
                subject.commit(with_records(appends, rows)).await;
            }
        }
    };
    parallel((0..4).map(writer)).await;
    let revisions: u64 = subject.rows().await.iter().map(|row| row.revision).sum();
    assert_eq!(revisions, 4 * 15 * 4, "no change was lost");
}

/// > refuse a unit that names a row twice, or writes, where it is atomic per stream only, rows beside a side stream,
/// > with `Invalid`, as one that failed; and one that breaks a bound
///
/// # Panics
/// When the store breaks it.
pub async fn refuses_a_unit_whose_rows_break_a_bound(fixture: &dyn Fixture) {
    let subject = Subject::open(fixture).await;
    let many = |count: usize| (0..count).map(|n| write(&format!("{n:03}"), Any, put("x"))).collect();
    let mut bad = vec![
        ("a row twice", Unit::of_rows(vec![write("a", Any, put("x")), write("a", Any, RowChange::Keep)])),
        ("too many rows", Unit::of_rows(many(limits::UNIT_ROWS + 1))),
        ("too large a value", one("a", Any, put(vec![7; limits::ROW_VALUE_BYTES + 1]))),
        ("too large a claim", one("a", Any, claim(vec![7; limits::ROW_VALUE_BYTES + 1], None))),
    ];
    if subject.properties.atomicity == Atomicity::Stream {
        let beside = with_records(vec![to(&side(0), v(0), vec![])], vec![write("a", Any, put("x"))]);
        bad.push(("a side stream", beside));
    }
    for (what, unit) in bad {
        let name = unit.rows[0].key.key().to_owned();
        let results = subject.append(vec![unit, one(&name, Any, put("no"))]).await;
        assert_invalid(&results[0], what);
        assert!(matches!(results[1], Err(AppendFailure::RowSuperseded { .. })), "{what}: {results:?}");
    }
    assert_eq!(subject.told().await, []);
    subject.commit(Unit::of_rows(many(limits::UNIT_ROWS))).await;
    assert_eq!(subject.rows().await.len(), limits::UNIT_ROWS);
    let largest = vec![7; limits::ROW_VALUE_BYTES];
    let longest = RowKey::new("s".repeat(limits::ROW_SPACE_BYTES), "k".repeat(limits::ROW_KEY_BYTES));
    let write = RowWrite { key: longest.expect("valid"), expected: Absent, change: put(largest.clone()) };
    subject.commit(Unit::of_rows(vec![write.clone()])).await;
    let which = RowSelection::Keys(vec![write.key.key().to_owned()]);
    let read = RowsRead { partition: subject.home, space: write.key.space().to_owned(), which };
    assert_eq!(subject.store.rows(read).await.expect("rows").rows[0].value, largest);
}
