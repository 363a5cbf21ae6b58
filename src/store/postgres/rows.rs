//! Guarded rows: locked, looked at, and written, in a transaction that somebody else began.

use bytes::Bytes;
use tokio_postgres::types::Type;

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::hash::{HashMap, HashSet};
use crate::limits;
use crate::partition::PartitionId;
use crate::store::admission::Admission;
use crate::store::postgres::failure;
use crate::store::postgres::session::{Parameter, Session};
use crate::store::postgres::types::{column, number, stored};
use crate::store::rows::{KeptRow, RowContent, RowKey, RowSelection, RowsPage, RowsRead, behind};
use crate::store::{AppendFailure, Unit};

const LOCK: &str = include_str!("sql/lock_rows.sql");
const WRITE: &str = include_str!("sql/write_rows.sql");
const BY_KEY: &str = include_str!("sql/rows_by_key.sql");
const BY_PREFIX: &str = include_str!("sql/rows_by_prefix.sql");

/// Rows that are locked, as a list finds them, and then as it leaves them.
#[derive(Default)]
pub(super) struct Rows {
    /// The server's time behind the locks, in microseconds since 1970.
    now: i64,
    /// The partition's last position.
    pub(super) head: u64,
    /// The time of a unit without records.
    pub(super) stamp: Timestamp,
    by_key: HashMap<RowKey, KeptRow>,
    changed: HashSet<RowKey>,
}

impl Rows {
    /// Locks rows, each named once.
    pub(super) async fn lock(
        session: &Session,
        partition: PartitionId,
        quorum: bool,
        keys: Vec<RowKey>,
    ) -> Result<Self> {
        let partition = i32::from(partition.get());
        let (spaces, names) = columns(&keys);
        let parameters: [Parameter<'_>; 4] = [
            (&partition, Type::INT4),
            (&quorum, Type::BOOL),
            (&spaces, Type::TEXT_ARRAY),
            (&names, Type::TEXT_ARRAY),
        ];
        let found = session.query(LOCK, &parameters).await.map_err(locking)?;
        let mut rows = Self::default();
        for row in &found {
            let place = usize::try_from(column::<i64>(row, 0)?).ok().and_then(|place| place.checked_sub(1));
            let key = place.and_then(|place| keys.get(place));
            let key = key.ok_or_else(|| Error::corrupt("the server locked a row that was not named"))?;
            rows.by_key.insert(key.clone(), kept(row, 1)?);
            (rows.now, rows.head) = (column(row, 6)?, number(column(row, 7)?));
            rows.stamp = Timestamp::from_micros(column(row, 8)?);
        }
        Ok(rows)
    }

    /// Takes in what becomes of a unit's rows, where that is admitted.
    pub(super) fn admit(&mut self, admission: &mut Admission, unit: &Unit) -> Result<(), AppendFailure> {
        if unit.rows.is_empty() {
            return Ok(());
        }
        let unlocked = |key: &RowKey| Error::corrupt(format!("row {key} was not read"));
        let found = |key: &RowKey| self.by_key.get(key).cloned().ok_or_else(|| unlocked(key));
        let changed = admission.admit_rows(unit, Timestamp::from_micros(self.now), found)?;
        self.changed.extend(changed.iter().map(|(key, _)| key.clone()));
        self.by_key.extend(changed);
        Ok(())
    }

    /// Writes what has changed, where the commit follows without waiting.
    pub(super) async fn write(&self, session: &Session, partition: PartitionId) -> Result<(), AppendFailure> {
        let changed = self.changed.iter().filter_map(|key| self.by_key.get(key).map(|row| (key, row)));
        let (keys, rows): (Vec<&RowKey>, Vec<&KeptRow>) = changed.unzip();
        if keys.is_empty() {
            return Ok(());
        }
        let written = Written::new(&rows);
        let partition = i32::from(partition.get());
        let (spaces, names) = columns(keys);
        let mut parameters: Vec<Parameter<'_>> =
            vec![(&partition, Type::INT4), (&spaces, Type::TEXT_ARRAY), (&names, Type::TEXT_ARRAY)];
        parameters.extend(written.parameters());
        let done = session.query(WRITE, &parameters).await;
        done.map(drop).map_err(|source| failure::changing("writing rows", source))
    }
}

/// Rows as columns.
pub(super) struct Written<'r> {
    revisions: Vec<i64>,
    epochs: Vec<i64>,
    changed: Vec<i64>,
    expires: Vec<Option<i64>>,
    values: Vec<Option<&'r [u8]>>,
}

impl<'r> Written<'r> {
    pub(super) fn new(rows: &[&'r KeptRow]) -> Self {
        let content = |row: &'r KeptRow| row.content.as_ref();
        let expires = |row: &'r KeptRow| content(row).and_then(|content| content.expires_at);
        Self {
            revisions: rows.iter().map(|row| stored(row.revision)).collect(),
            epochs: rows.iter().map(|row| stored(row.epoch)).collect(),
            changed: rows.iter().map(|row| row.changed_at.as_micros()).collect(),
            expires: rows.iter().map(|row| expires(row).map(Timestamp::as_micros)).collect(),
            values: rows.iter().map(|row| content(row).map(|content| &*content.value)).collect(),
        }
    }

    pub(super) fn parameters(&self) -> [Parameter<'_>; 5] {
        [
            (&self.revisions, Type::INT8_ARRAY),
            (&self.epochs, Type::INT8_ARRAY),
            (&self.changed, Type::INT8_ARRAY),
            (&self.expires, Type::INT8_ARRAY),
            (&self.values, Type::BYTEA_ARRAY),
        ]
    }
}

/// Spaces and keys as columns.
pub(super) fn columns<'k>(keys: impl IntoIterator<Item = &'k RowKey>) -> (Vec<&'k str>, Vec<&'k str>) {
    keys.into_iter().map(|key| (key.space(), key.key())).unzip()
}

fn locking(source: tokio_postgres::Error) -> Error {
    let is_locked = failure::is_locked(&source);
    let error = failure::of("locking rows", source);
    if !is_locked {
        return error;
    }
    error.advice("see in pg_stat_activity who holds a row of sidestream.guarded_rows, and try again")
}

/// The rows that a read asks for, as of one moment.
pub(super) async fn page(session: &Session, read: &RowsRead) -> Result<RowsPage> {
    let partition = i32::from(read.partition.get());
    let mut parameters: Vec<Parameter<'_>> = vec![(&partition, Type::INT4), (&read.space, Type::TEXT)];
    let (bounds, limit);
    let sql = match &read.which {
        RowSelection::Keys(keys) => {
            parameters.push((keys, Type::TEXT_ARRAY));
            BY_KEY
        }
        RowSelection::Prefix { prefix, after, limit: most } => {
            bounds = [after.clone().unwrap_or_default(), prefix.clone(), behind(prefix)];
            limit = i64::try_from((*most).min(limits::PAGE_ROWS)).unwrap_or(0);
            bounds.iter().for_each(|bound| parameters.push((bound, Type::TEXT)));
            parameters.push((&limit, Type::INT8));
            BY_PREFIX
        }
    };
    let found = session.query(sql, &parameters).await;
    let found = found.map_err(|source| failure::of("reading rows", source))?;
    let mut page = RowsPage { rows: Vec::new(), at: Timestamp::MIN };
    for row in &found {
        page.at = Timestamp::from_micros(column(row, 0)?);
        // Without any row there is the time alone.
        let Some(key) = column::<Option<String>>(row, 1)? else { continue };
        page.rows.extend(kept(row, 2)?.into_row(RowKey::new(read.space.as_str(), key)?));
    }
    Ok(page)
}

/// What is kept of a row, from its numbers on.
pub(super) fn kept(row: &tokio_postgres::Row, from: usize) -> Result<KeptRow> {
    let at = |place: usize| from.saturating_add(place);
    let expires_at = column::<Option<i64>>(row, at(3))?.map(Timestamp::from_micros);
    let value: Option<Vec<u8>> = column(row, at(4))?;
    Ok(KeptRow {
        revision: number(column(row, at(0))?),
        epoch: number(column(row, at(1))?),
        changed_at: Timestamp::from_micros(column(row, at(2))?),
        content: value.map(|value| RowContent { value: Bytes::from(value), expires_at }),
    })
}
