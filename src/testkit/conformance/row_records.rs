//! Rows for the suite, and short words for writing and reading them.

use std::time::Duration;

use bytes::Bytes;

use super::records::Subject;
use crate::clock::Timestamp;
use crate::limits;
use crate::store::rows::{Row, RowChange, RowExpected, RowKey, RowSelection, RowWrite, RowsRead};
use crate::store::{StreamAppend, Unit};

pub(super) const SPACE: &str = "suite";
pub(super) const HOUR: Option<Duration> = Some(Duration::from_secs(3_600));

pub(super) fn key(key: impl Into<String>) -> RowKey {
    RowKey::new(SPACE, key).expect("valid")
}

pub(super) fn put(value: impl Into<Bytes>) -> RowChange {
    RowChange::Put { value: value.into(), lives: None }
}

pub(super) fn claim(value: impl Into<Bytes>, lives: Option<Duration>) -> RowChange {
    RowChange::Claim { value: value.into(), lives }
}

pub(super) fn write(name: &str, expected: RowExpected, change: RowChange) -> RowWrite {
    RowWrite { key: key(name), expected, change }
}

pub(super) fn one(name: &str, expected: RowExpected, change: RowChange) -> Unit {
    Unit::of_rows(vec![write(name, expected, change)])
}

pub(super) fn with_records(appends: Vec<StreamAppend>, rows: Vec<RowWrite>) -> Unit {
    Unit { appends, rows }
}

/// What is left of a row when its times are: key, revision, epoch, value, whether it expires.
pub(super) type Told = (String, u64, u64, Bytes, bool);

pub(super) fn told(row: Row) -> Told {
    (row.key.key().to_owned(), row.revision, row.epoch, row.value, row.expires_at.is_some())
}

pub(super) fn is(name: &str, revision: u64, epoch: u64, value: &'static str) -> Told {
    (name.to_owned(), revision, epoch, Bytes::from_static(value.as_bytes()), false)
}

impl Subject {
    pub(super) async fn select(&self, which: RowSelection) -> Vec<Row> {
        let read = RowsRead { partition: self.home, space: SPACE.to_owned(), which };
        self.store.rows(read).await.expect("rows").rows
    }

    /// All rows of the space, page by page.
    pub(super) async fn rows(&self) -> Vec<Row> {
        let mut rows: Vec<Row> = Vec::new();
        loop {
            let after = rows.last().map(|row| row.key.key().to_owned());
            let which = RowSelection::Prefix { prefix: String::new(), after, limit: usize::MAX };
            let page = self.select(which).await;
            let is_last = page.len() < limits::PAGE_ROWS;
            rows.extend(page);
            if is_last {
                return rows;
            }
        }
    }

    pub(super) async fn row(&self, name: &str) -> Option<Row> {
        self.select(RowSelection::Keys(vec![name.to_owned()])).await.pop()
    }

    pub(super) async fn told(&self) -> Vec<Told> {
        self.rows().await.into_iter().map(told).collect()
    }

    /// The store's time now.
    pub(super) async fn store_time(&self) -> Timestamp {
        let which = RowSelection::Keys(Vec::new());
        let read = RowsRead { partition: self.home, space: SPACE.to_owned(), which };
        self.store.rows(read).await.expect("rows").at
    }
}
