//! Rows in the simulation: they are written with their units, and are there where those are.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use sidestream::event::Record;
use sidestream::partition::PartitionId;
use sidestream::store::rows::{Row, RowChange, RowExpected, RowKey, RowSelection, RowWrite, RowsRead};
use sidestream::store::sqlite::InlineWriter;
use sidestream::stream::StreamName;

/// Every so-manieth unit writes rows.
const ROWS_EVERY: u64 = 3;

/// A unit's rows are there where its records are.
pub fn check_rows(writer: &InlineWriter, streams: &BTreeMap<StreamName, Vec<Record>>, there: &BTreeSet<u64>) {
    let with_rows = |number: &u64| number.is_multiple_of(ROWS_EVERY);
    let rows = rows(writer);
    let own = rows.iter().filter_map(|row| row.key.key().strip_prefix("unit-"));
    let own: BTreeSet<u64> = own.map(|number| number.parse().unwrap()).collect();
    assert_eq!(own, there.iter().copied().filter(with_rows).collect(), "rows and their units");
    for (stream, records) in streams.iter().filter(|(stream, _)| !stream.is_side()) {
        let number = |record: &Record| u64::from_le_bytes(record.data.payload[..8].try_into().unwrap());
        let written: Vec<u64> = records.iter().step_by(2).map(number).filter(with_rows).collect();
        let row = rows.iter().find(|row| row.key.key() == format!("last-{}", stream.id()));
        let found = row.map(|row| (row.revision, u64::from_le_bytes(row.value[..].try_into().unwrap())));
        assert_eq!(found, written.last().map(|last| (written.len() as u64, *last)), "the row of {stream}");
    }
}

fn rows(writer: &InlineWriter) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    loop {
        let after = rows.last().map(|row| row.key.key().to_owned());
        let which = RowSelection::Prefix { prefix: String::new(), after, limit: 256 };
        let read = RowsRead { partition: PartitionId::new(0), space: "simulation".to_owned(), which };
        let page = writer.rows(&read).unwrap();
        let is_last = page.len() < 256;
        rows.extend(page);
        if is_last {
            return rows;
        }
    }
}

/// A row of the unit's own, and one that the account's units share.
pub fn rows_of(number: u64, account: &str) -> Vec<RowWrite> {
    if !number.is_multiple_of(ROWS_EVERY) {
        return Vec::new();
    }
    let value = Bytes::copy_from_slice(&number.to_le_bytes());
    let write = |key: String, expected| {
        let change = RowChange::Put { value: value.clone(), lives: None };
        RowWrite { key: RowKey::new("simulation", key).unwrap(), expected, change }
    };
    vec![
        write(format!("unit-{number}"), RowExpected::Absent),
        write(format!("last-{account}"), RowExpected::Any),
    ]
}
