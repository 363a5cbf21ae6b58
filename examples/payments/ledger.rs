//! A bank's transactions from a CSV file, checked whole before anything is done with them.

use std::collections::{BTreeMap, HashSet};
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
    let name = path.display();
    let mut file = csv::Reader::from_path(path).map_err(|error| format!("cannot read {name}: {error}"))?;
    let header = file.headers().map_err(|error| format!("{name}, line 1: {error}"))?;
    if header != HEADER.as_slice() {
        let found: Vec<_> = header.iter().take(12).collect();
        return Err(format!(
            "{name}, line 1: expected the columns {}, found {}; nothing was sent",
            HEADER.join(","),
            found.join(",")
        )
        .into());
    }
    let mut ledger = Ledger { accounts: BTreeMap::new(), rows: 0 };
    let mut seen = HashSet::new();
    let mut record = csv::StringRecord::new();
    loop {
        let line = file.position().line();
        let wrong = |what: String| {
            Failure::from(format!("{name}, line {line}: {what}; correct the file; nothing was sent"))
        };
        if !file.read_record(&mut record).map_err(|error| wrong(error.to_string()))? {
            return Ok(ledger);
        }
        let line = record.position().map_or(line, csv::Position::line);
        let columns: Columns = record.deserialize(None).map_err(|error| wrong(described(&error)))?;
        let account = AggregateId::new(&columns.account).map_err(|error| wrong(error.to_string()))?;
        if columns.amount_minor <= 0 {
            return Err(wrong(format!(
                "amount_minor is {}, expected a whole number above 0",
                columns.amount_minor
            )));
        }
        if !seen.insert(columns.transaction) {
            return Err(wrong(format!("transaction {} occurs twice", columns.transaction)));
        }
        let Columns { transaction, kind, amount_minor, balance_minor, .. } = columns;
        let row = Row { line, transaction, kind, amount_minor, balance_minor };
        ledger.accounts.entry(account).or_default().push(row);
        ledger.rows += 1;
    }
}

/// A column's error with the column's name.
fn described(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Deserialize { err, .. } => {
            let column = err.field().and_then(|at| HEADER.get(usize::try_from(at).ok()?));
            column.map_or(err.to_string(), |column| format!("column {column}: {}", err.kind()))
        }
        _ => error.to_string(),
    }
}
