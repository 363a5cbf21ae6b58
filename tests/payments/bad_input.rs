//! Input that is wrong: said where, said what to do, and nothing is sent, however late in the file it comes.

use std::fs;
use std::path::Path;

use crate::berka::totals;
use crate::program::{Run, folder, run};

const HEADER: &str = "transaction,account,date,kind,amount_minor,balance_minor\n";
const GOOD: &str = "1,7,1993-01-01,deposit,100,100\n";

fn replay(folder: &Path, content: impl AsRef<[u8]>, more: &[&str]) -> Run {
    fs::write(folder.join("rows.csv"), content).unwrap();
    run(folder, &[&["replay", "rows.csv", "--store", "bank.db"], more].concat())
}

/// A folder with a store in it that holds a little.
fn with_a_store() -> tempfile::TempDir {
    let folder = folder();
    replay(folder.path(), [HEADER, "900,9,1993-01-01,deposit,5,5\n"].concat(), &["--check"]).succeeded();
    folder
}

fn store(folder: &Path) -> Vec<u8> {
    fs::read(folder.join("bank.db")).unwrap()
}

#[test]
fn a_bad_row_is_named_with_its_line_and_column_and_nothing_is_sent() {
    let long = format!("2,{},d,deposit,5,5", "a".repeat(201));
    let rows: [(&str, &[&str]); 16] = [
        ("2,7,1993-01-01,deposit,100", &["has 5 columns, expected 6"]),
        ("2,7,1993-01-01,deposit,100,100,1", &["has 7 columns, expected 6"]),
        ("2,7,1993-01-01,deposit,ten,100", &["column amount_minor", "\"ten\"", "whole number"]),
        ("2,7,1993-01-01,deposit,,100", &["column amount_minor", "\"\""]),
        ("2,7,1993-01-01,deposit,1.50,100", &["column amount_minor", "\"1.50\""]),
        ("2,7,1993-01-01,deposit,1e3,100", &["column amount_minor", "\"1e3\""]),
        ("2,7,1993-01-01,deposit,9223372036854775808,1", &["column amount_minor", "too large"]),
        ("2,7,1993-01-01,deposit,-5,100", &["column amount_minor", "-5", "above 0"]),
        ("2,7,1993-01-01,deposit,0,100", &["column amount_minor", "above 0"]),
        ("2,7,1993-01-01,deposit,5,1_000", &["column balance_minor", "\"1_000\""]),
        ("two,7,1993-01-01,deposit,5,100", &["column transaction", "\"two\""]),
        ("2,7,1993-01-01,transfer,5,100", &["column kind", "\"transfer\"", "deposit or withdrawal"]),
        ("1,8,1993-01-01,deposit,5,5", &["transaction 1 occurs twice"]),
        (&long, &["column account", "201 bytes", "at most 200"]),
        ("2,a\tb,1993-01-01,deposit,5,5", &["column account", "control character"]),
        ("2,,1993-01-01,deposit,5,5", &["column account"]),
    ];
    let folder = with_a_store();
    let before = store(folder.path());
    for (row, parts) in rows {
        let told = replay(folder.path(), format!("{HEADER}{GOOD}{row}\n"), &[]).failed_with(parts);
        told.failed_with(&["rows.csv, line 3: ", "correct the file", "nothing was sent"]);
        assert!(store(folder.path()) == before, "{row} changed the store");
    }
}

#[test]
fn a_file_that_is_no_table_is_refused_whole() {
    let folder = with_a_store();
    let before = store(folder.path());
    let line_1: &[&str] = &["rows.csv, line 1: ", "correct the file", "nothing was sent"];
    let files: [(&[u8], &[&str]); 5] = [
        (b"", &["expected the columns transaction,account", "found nothing"]),
        (b"a,b\n1,2\n", &["expected the columns transaction,account", "found \"a,b\""]),
        (b"transaction,account,date,kind,amount,balance\n", &["amount_minor", "kind,amount"]),
        (b"\xff\xfe\n", &["column 1 is no UTF-8"]),
        (b"SQLite format 3\0", &["expected the columns"]),
    ];
    for (content, parts) in files {
        replay(folder.path(), content, &[]).failed_with(parts).failed_with(line_1);
    }
    let rows = [HEADER.as_bytes(), GOOD.as_bytes(), b"2,\xff\xfe,d,deposit,5,5\n"].concat();
    replay(folder.path(), rows, &[]).failed_with(&["line 3: column 2 is no UTF-8", "correct the file"]);
    // A quote that is never closed takes the rest of the file into one column.
    let rows = [HEADER, "1,\"7,d,deposit,5,5\n", GOOD].concat();
    replay(folder.path(), rows, &[]).failed_with(&["line 2: has 2 columns", "correct the file"]);
    assert!(store(folder.path()) == before);
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = folder();
    fs::create_dir(folder.path().join("rows")).unwrap();
    for (name, why) in [("nothing.csv", "No such file"), ("rows", "it is a directory")] {
        let told = run(folder.path(), &["replay", name, "--store", "bank.db"]);
        told.failed_with(&[&format!("cannot read {name}"), why, "check the path", "nothing was sent"]);
    }
    assert!(!folder.path().join("bank.db").exists());
}

#[test]
fn a_withdrawal_from_an_unknown_account_fails_and_is_named() {
    let folder = folder();
    let rows =
        [HEADER, GOOD, "2,8,1993-01-02,withdrawal,5,5\n", "3,7,1993-01-02,withdrawal,40,60\n"].concat();
    for more in [&[][..], &["--check"]] {
        let told = replay(folder.path(), &rows, more);
        assert_eq!((told.code, totals(&told).refused), (Some(1), 1), "{told:#?}");
        let told = told.failed_with(&["line 3: account 8: unknown account", "must be a deposit"]);
        // The other accounts are served.
        assert_eq!(told.figure("balances that differ"), 1);
    }
    let again = totals(&replay(folder.path(), &rows, &[]));
    assert_eq!((again.applied, again.replayed, again.refused), (0, 3, 1), "a refusal is for good: {again:?}");
}

#[test]
fn a_balance_that_leaves_the_range_is_refused_and_does_not_wrap() {
    let folder = folder();
    let most = i64::MAX;
    let rows = format!("{HEADER}1,7,d,deposit,{most},{most}\n2,7,d,deposit,1,1\n");
    let told = replay(folder.path(), rows, &["--check", "--balances", "balances.csv"]);
    let told =
        told.failed_with(&["line 3: account 7: refused: TooMuch", "the bank has 1, the store no such"]);
    assert_eq!((told.code, totals(&told).refused), (Some(1), 1));
    let balances = fs::read_to_string(folder.path().join("balances.csv")).unwrap();
    assert_eq!(balances, format!("account,balance_minor\n7,{most}\n"));
}

#[test]
fn a_wrong_balance_is_counted_and_fails_a_check_only() {
    let folder = folder();
    let rows = [HEADER, "1,7,d,deposit,100,101\n"].concat();
    assert_eq!(totals(&replay(folder.path(), &rows, &[]).succeeded()).mismatches, 1);
    let told = replay(folder.path(), &rows, &["--check"]);
    told.failed_with(&["line 2: account 7: after transaction 1 the bank has 101, the store 100"]);
}

#[test]
fn the_same_transaction_with_another_amount_is_a_conflict() {
    let folder = folder();
    replay(folder.path(), [HEADER, GOOD].concat(), &["--check"]).succeeded();
    let rows = [HEADER, "1,7,d,deposit,200,200\n"].concat();
    let told = replay(folder.path(), rows, &["--balances", "balances.csv"]);
    told.failed_with(&["line 2: transaction 1", "conflict", "another content"]);
    replay(folder.path(), [HEADER, GOOD].concat(), &["--check"]).succeeded();
}

#[test]
fn an_option_out_of_range_is_named() {
    let folder = folder();
    let options = [
        (["--duplicates", "2"], "2 is not between 0 and 1"),
        (["--duplicates", "-0.1"], "--duplicates"),
        (["--duplicates", "nan"], "not between 0 and 1"),
        (["--duplicates", "some"], "\"some\" is no number"),
        (["--in-flight", "0"], "0 is not in 1..=65536"),
        (["--in-flight", "65537"], "65537 is not in 1..=65536"),
        (["--seed", "-1"], "--seed"),
    ];
    for (option, why) in options {
        let told = replay(folder.path(), [HEADER, GOOD].concat(), &option);
        assert_eq!(told.code, Some(2), "{option:?}");
        told.failed_with(&[why]);
    }
    assert!(!folder.path().join("bank.db").exists());
}

/// A file without rows is what a quiet day's export looks like.
#[test]
fn a_file_without_rows_is_done_at_once() {
    let told = totals(&replay(folder().path(), HEADER, &["--check"]).succeeded());
    assert_eq!((told.applied, told.refused, told.mismatches), (0, 0, 0));
}
