//! How far a destination has come in a partition: a guarded row of the log's own store.

use std::sync::Arc;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::buffer::window::Done;
use crate::error::{Error, ErrorKind, Result};
use crate::partition::PartitionId;
use crate::store::rows::{Row, RowChange, RowExpected, RowKey, RowSelection, RowWrite, RowsRead};
use crate::store::{AppendFailure, EventStore, Unit};
use crate::stream::Position;

/// The space of these rows; their keys are the destinations' names, and the collector's.
pub(super) const SPACE: &str = "buffer";

/// What such a row says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    /// Under which epoch it was written: nobody under a lower one writes it any more.
    pub(super) epoch: u64,
    /// Everything up to here was sent, or is parked.
    pub(super) position: Position,
    /// Messages up to there, ever.
    pub(super) passed: u64,
    /// Messages behind it that were sent, too.
    pub(super) ahead: u64,
    /// Which, as [`Done`] has it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) steps: Vec<u64>,
}

impl Mark {
    pub(super) fn done(&self) -> Done {
        Done { to: self.position, passed: self.passed, ahead: self.ahead, steps: self.steps.clone() }
    }
}

/// A destination's row in one partition, under an epoch.
#[derive(Debug)]
pub(super) struct Place {
    store: Arc<dyn EventStore>,
    partition: PartitionId,
    key: RowKey,
    revision: u64,
    mark: Mark,
}

impl Place {
    /// Takes the row under an epoch.
    ///
    /// # Errors
    /// [`Fenced`](ErrorKind::Fenced) when somebody has it under a higher one. Those of the store.
    pub(super) async fn open(
        (store, partition): (Arc<dyn EventStore>, PartitionId),
        name: &str,
        epoch: u64,
    ) -> Result<Self> {
        let key = RowKey::new(SPACE, name)?;
        let found = row(&*store, partition, &key).await?;
        let mark: Mark = found.as_ref().map_or_else(|| Ok(Mark::default()), read)?;
        if mark.epoch > epoch {
            return Err(fenced(&key).expected(format!("epoch {epoch} or lower"), mark.epoch));
        }
        let expected = found.map_or(RowExpected::Absent, |row| RowExpected::Revision(row.revision));
        let mark = Mark { epoch, ..mark };
        write(&*store, partition, vec![put(key.clone(), expected, &mark)?]).await?;
        let row = row(&*store, partition, &key).await?.ok_or_else(|| fenced(&key))?;
        let place = Self { store, partition, revision: row.revision, mark: read(&row)?, key };
        if place.mark == mark { Ok(place) } else { Err(fenced(&place.key)) }
    }

    pub(super) fn mark(&self) -> &Mark {
        &self.mark
    }

    /// Records how far everything is done, together with other rows of the partition.
    ///
    /// # Errors
    /// [`Fenced`](ErrorKind::Fenced) when somebody else has the row. Those of the store: after any, the place has to be
    /// opened again.
    pub(super) async fn record(&mut self, done: Done, mut others: Vec<RowWrite>) -> Result<()> {
        let Done { to, passed, ahead, steps } = done;
        let mark = Mark { epoch: self.mark.epoch, position: to, passed, ahead, steps };
        others.push(put(self.key.clone(), RowExpected::Revision(self.revision), &mark)?);
        write(&*self.store, self.partition, others).await?;
        self.revision = self.revision.saturating_add(1);
        self.mark = mark;
        Ok(())
    }
}

fn fenced(key: &RowKey) -> Error {
    Error::new(ErrorKind::Fenced, format!("row {key} belongs to another run"))
}

/// A row that says `value` from now on.
pub(super) fn put(key: RowKey, expected: RowExpected, value: &impl Serialize) -> Result<RowWrite> {
    let value = serde_json::to_vec(value)
        .map_err(|error| Error::invalid(format!("row {key} cannot be written as JSON")).caused_by(error))?;
    Ok(RowWrite { key, expected, change: RowChange::Put { value: Bytes::from(value), lives: None } })
}

/// What a row says.
pub(super) fn read<T: DeserializeOwned>(row: &Row) -> Result<T> {
    serde_json::from_slice(&row.value)
        .map_err(|error| Error::corrupt(format!("row {} cannot be read", row.key)).caused_by(error))
}

/// A row by its key.
pub(super) async fn row(store: &dyn EventStore, partition: PartitionId, key: &RowKey) -> Result<Option<Row>> {
    let which = RowSelection::Keys(vec![key.key().to_owned()]);
    let page = store.rows(RowsRead { partition, space: key.space().to_owned(), which }).await?;
    Ok(page.rows.into_iter().next())
}

/// Writes rows of one partition together.
pub(super) async fn write(store: &dyn EventStore, partition: PartitionId, rows: Vec<RowWrite>) -> Result<()> {
    match store.append(partition, vec![Unit::of_rows(rows)]).await.into_iter().next() {
        Some(Ok(_)) => Ok(()),
        Some(Err(AppendFailure::WrongRow(wrong))) => {
            Err(Error::new(ErrorKind::Fenced, format!("{wrong}: another run wrote it")))
        }
        Some(Err(AppendFailure::Refused(error) | AppendFailure::Unknown(error))) => Err(error),
        Some(Err(other)) => Err(Error::new(ErrorKind::Unknown, other.to_string())),
        None => Err(Error::new(ErrorKind::Unknown, "the store did not answer")),
    }
}
