//! A bank's transactions from a CSV file, checked whole before anything is done with them.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::path::Path;

use serde::Deserialize;
use sidestream::{AggregateId, TransactionId};

use crate::Failure;

const HEADER: [&str; 6] = ["transaction", "account", "date", "kind", "amount_minor", "balance_minor"];

/// A file's rows, by account, each account's in the file's order.
pub(crate) struct Ledger {
    pub(crate) accounts: BTreeMap<AggregateId, Vec<Row>>,
    pub(crate) rows: usize,
}

/// One row.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// Its line in the file, from 1.
    pub(crate) line: u64,
    /// The bank's number.
    pub(crate) transaction: u64,
    pub(crate) kind: Kind,
    pub(crate) amount_minor: i64,
    pub(crate) balance_minor: i64,
}

impl Row {
    /// Derived from the bank's number, so that the row has the same id on every run.
    pub(crate) fn transaction_id(&self) -> TransactionId {
        TransactionId::derive("bank", &self.transaction.to_string())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Deposit,
    Withdrawal,
}

#[derive(Deserialize)]
struct Columns {
    transaction: u64,
    account: String,
    #[serde(rename = "date")]
    _date: String,
    kind: Kind,
    amount_minor: i64,
    balance_minor: i64,
}

/// Reads a file; the first thing wrong with it is named with its line.
pub(crate) fn read(path: &Path) -> Result<Ledger, Failure> {
    let mut file = open(path)?;
    let mut ledger = Ledger { accounts: BTreeMap::new(), rows: 0 };
    let mut seen = HashSet::new();
    let mut record = csv::StringRecord::new();
    loop {
        let line = file.position().line();
        if !file.read_record(&mut record).map_err(|error| wrong(path, line, &unreadable(&error)))? {
            return Ok(ledger);
        }
        let line = record.position().map_or(line, csv::Position::line);
        let (account, row) = row(&record, line).map_err(|what| wrong(path, line, &what))?;
        if !seen.insert(row.transaction) {
            return Err(wrong(path, line, &format!("transaction {} occurs twice", row.transaction)));
        }
        ledger.accounts.entry(account).or_default().push(row);
        ledger.rows += 1;
    }
}

/// The file, with the columns that are expected.
fn open(path: &Path) -> Result<csv::Reader<File>, Failure> {
    let named = |what: String| {
        Failure::from(format!("cannot read {}: {what}; check the path; nothing was sent", path.display()))
    };
    if path.is_dir() {
        return Err(named("it is a directory".to_owned()));
    }
    let mut file = csv::Reader::from_reader(File::open(path).map_err(|error| named(error.to_string()))?);
    let header = file.headers().map_err(|error| wrong(path, 1, &unreadable(&error)))?;
    if header != HEADER.as_slice() {
        let found = header.iter().take(12).collect::<Vec<_>>().join(",");
        let found = if found.is_empty() { "nothing".to_owned() } else { shown(&found) };
        let what = format!("expected the columns {}, found {found}", HEADER.join(","));
        return Err(wrong(path, 1, &what));
    }
    Ok(file)
}

fn wrong(path: &Path, line: u64, what: &str) -> Failure {
    format!("{}, line {line}: {what}; correct the file; nothing was sent", path.display()).into()
}

fn row(record: &csv::StringRecord, line: u64) -> Result<(AggregateId, Row), String> {
    let columns: Columns = record.deserialize(None).map_err(|error| misread(record, &error))?;
    let account = AggregateId::new(&columns.account).map_err(|error| format!("column account: {error}"))?;
    let Columns { transaction, kind, amount_minor, balance_minor, .. } = columns;
    if amount_minor <= 0 {
        return Err(format!("column amount_minor is {amount_minor}, expected a whole number above 0"));
    }
    Ok((account, Row { line, transaction, kind, amount_minor, balance_minor }))
}

/// What is wrong with a row as such.
fn unreadable(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("has {len} columns, expected {expected_len}")
        }
        csv::ErrorKind::Utf8 { err, .. } => format!("column {} is no UTF-8", err.field() + 1),
        _ => error.to_string(),
    }
}

/// What is wrong with a column, found by reading each by itself: the error of a whole row does not always
/// name its column.
fn misread(record: &csv::StringRecord, error: &csv::Error) -> String {
    let column = |at: usize| record.get(at).unwrap_or_default();
    let whole = [
        (0, column(0).parse::<u64>().map(drop)),
        (4, column(4).parse::<i64>().map(drop)),
        (5, column(5).parse::<i64>().map(drop)),
    ];
    if let Some((at, Err(why))) = whole.iter().find(|(_, read)| read.is_err()) {
        let (name, found) = (HEADER.get(*at).unwrap_or(&"?"), shown(column(*at)));
        return format!("column {name} is {found}, expected a whole number of 64 bits ({why})");
    }
    match error.kind() {
        csv::ErrorKind::Deserialize { .. } => {
            format!("column kind is {}, expected deposit or withdrawal", shown(column(3)))
        }
        _ => unreadable(error),
    }
}

/// The beginning of what was found, without control characters.
fn shown(text: &str) -> String {
    format!("{:?}", text.chars().take(40).collect::<String>())
}
