//! The payroll day.

use sidestream::projection::sqlite::rusqlite::Connection;

use crate::program::{Run, folder, number, run};

/// A third of the commands is sent twice or more: 150 holds, 147 payments and captures, and their copies.
const SENT: i64 = 665;
const RECOVERED: i64 = 25;

#[track_caller]
fn the_figures_fit_together(day: &Run) {
    let [applied, replayed, refused] = ["applied", "replayed", "refused"].map(|name| day.figure(name));
    assert_eq!(applied + replayed + refused, day.figure("commands sent"), "{}", day.stdout);
    assert_eq!(day.figure("commands sent"), SENT);
    assert_eq!(day.figure("money in"), day.figure("money out: paid + left + held"));
    assert_eq!(day.figure("money in"), 20_025 * 12_500);
}

#[test]
fn a_day_with_a_crash_happens_once_and_a_second_run_applies_nothing() {
    let folder = folder();
    let day = run(folder.path(), &[]).succeeded();
    the_figures_fit_together(&day);
    assert!(day.stdout.contains("2. a crash: after 60 payments, with 25 holds"), "{}", day.stdout);
    assert_eq!(day.figure("recovered after the crash"), RECOVERED);
    // Of each open hold: its own tail, not the 20,000 events before it.
    assert!(day.figure("events scanned by recovery") <= RECOVERED * (RECOVERED + 1), "{}", day.stdout);
    assert!(day.figure("events in the employer's stream") > 20_000);
    assert!(day.figure("snapshot, bytes") <= 32);

    let again = run(folder.path(), &["payroll", "--store", "payments.db"]).succeeded();
    the_figures_fit_together(&again);
    assert_eq!(again.figure("applied"), 0);
    assert_eq!(again.figure("recovered after the crash"), 0);
    let copies = day.figure("applied") + day.figure("replayed");
    assert_eq!((again.figure("replayed"), again.figure("refused")), (copies, day.figure("refused")));
    let events = "events in the employer's stream";
    assert_eq!(again.figure(events), day.figure(events));
}

#[test]
fn views_follow_the_day_and_a_view_that_says_otherwise_fails_the_program() {
    let folder = folder();
    let day = run(folder.path(), &[]).succeeded();
    assert_eq!(day.figure("available") + day.figure("held"), day.figure("money in"), "{}", day.stdout);
    assert_eq!(day.figure("accounts"), 148, "147 people and the employer");
    assert!(day.stdout.contains("both views = themselves made anew"), "{}", day.stdout);
    let totals: Vec<_> =
        day.rows().into_iter().filter(|row| row.len() == 6 && row[0] != "daily totals").collect();
    // A day may end while it runs.
    let sum = |column: usize| totals.iter().map(|row| number(&row[column])).sum::<i64>();
    assert!((1..=2).contains(&totals.len()), "{totals:?}");
    assert_eq!(sum(1) - sum(3), day.figure("money in"), "what came in, less what went out");
    assert_eq!((sum(2), sum(4), sum(5)), (sum(3), 0, 3), "three bonuses were refused");

    // Both were made anew meanwhile, and readers were switched at one position.
    assert_eq!(day.figure("live generation"), 2);
    assert!(day.figure("positions applied anew") > 2 * 20_000, "{}", day.stdout);
    assert!(day.figure("daily totals switched at event") > 20_000, "{}", day.stdout);

    // A second run goes on with the views that are there, and makes them anew once more.
    let again = run(folder.path(), &[]).succeeded();
    assert_eq!(again.figure("available"), day.figure("available"));
    assert_eq!(again.figure("live generation"), 3);
    let views = folder.path().join("payments.views.db.g3");
    let spoil = |sql: &str| {
        let connection = Connection::open(&views).unwrap();
        assert_eq!(connection.execute(sql, []).unwrap(), 1);
    };
    spoil("UPDATE balances SET available = available + 1 WHERE account = 'employee-7'");
    run(folder.path(), &[]).failed_with(&["the view of balances differs", "employee-7"]);
    spoil("UPDATE balances SET available = available - 1 WHERE account = 'employee-7'");
    spoil("UPDATE daily_totals_order SET digest = digest + 1");
    run(folder.path(), &[]).failed_with(&["the rows that were built are not those of the live generation"]);
}
