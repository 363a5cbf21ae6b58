//! One account at different ages.

use crate::program::{folder, number, run};

/// Records between two snapshots: what a cold load may have to read.
const SNAPSHOT_EVERY: i64 = 100;
/// What is appended after the open request.
const TAIL: i64 = 20;

#[test]
fn what_a_load_and_a_recovery_read_does_not_grow_with_age() {
    let folder = folder();
    let ages = run(folder.path(), &["age", "--events", "300,3000,12000", "--store", "age.db"]).succeeded();
    let rows = ages.rows();
    assert_eq!(rows[0][0], "events");
    let column = |name: &str| rows[0].iter().position(|heading| heading == name).expect("a column");
    let (events, read) = (column("events"), column("records read"));
    let (recovered, snapshot) = (column("read by recovery"), column("snapshot, bytes"));
    assert_eq!(rows.len(), 4, "{}", ages.stdout);
    for (row, at_least) in rows[1..].iter().zip([300, 3_000, 12_000]) {
        // Snapshots take versions too.
        assert!((at_least..at_least * 11 / 10 + 10).contains(&number(&row[events])), "{row:?}");
        assert!(number(&row[read]) <= SNAPSHOT_EVERY, "{row:?}");
        // One snapshot may fall into the tail.
        assert!((TAIL..=TAIL + 1).contains(&number(&row[recovered])), "{row:?}");
        assert!(number(&row[snapshot]) <= 32, "{row:?}");
    }
}

#[test]
fn an_account_that_is_there_is_only_made_older() {
    let folder = folder();
    for _ in 0..2 {
        run(folder.path(), &["age", "--events", "200", "--store", "age.db"]).succeeded();
    }
    run(folder.path(), &["age", "--events", "many", "--store", "age.db"]).failed_with(&["many", "--events"]);
}
