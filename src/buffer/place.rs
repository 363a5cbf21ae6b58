//! How far a destination has come in a partition: a guarded row of the log's own store.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::buffer::window::Done;
use crate::error::{Error, ErrorKind, Result};
use crate::partition::PartitionId;
use crate::store::rows::{RowExpected, RowKey, RowWrite};
use crate::store::{EventStore, json_rows};
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
        let found = json_rows::find(&*store, partition, &key).await?;
        let mark: Option<Mark> = found.as_ref().map(|row| json_rows::read(partition, row)).transpose()?;
        let mark = mark.unwrap_or_default();
        if mark.epoch > epoch {
            return Err(fenced(&key).expected(format!("epoch {epoch} or lower"), mark.epoch));
        }
        let expected = found.map_or(RowExpected::Absent, |row| RowExpected::Revision(row.revision));
        let mark = Mark { epoch, ..mark };
        write(&*store, partition, vec![json_rows::put(key.clone(), expected, &mark)?]).await?;
        let row = json_rows::find(&*store, partition, &key).await?.ok_or_else(|| fenced(&key))?;
        let found = json_rows::read(partition, &row)?;
        let place = Self { store, partition, revision: row.revision, mark: found, key };
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
        others.push(json_rows::put(self.key.clone(), RowExpected::Revision(self.revision), &mark)?);
        write(&*self.store, self.partition, others).await?;
        self.revision = self.revision.saturating_add(1);
        self.mark = mark;
        Ok(())
    }
}

fn fenced(key: &RowKey) -> Error {
    Error::new(ErrorKind::Fenced, format!("row {key} belongs to another run"))
}

/// Writes rows of one partition together.
///
/// # Errors
/// [`Fenced`](ErrorKind::Fenced) when another run wrote one of them. Those of the store.
pub(super) async fn write(store: &dyn EventStore, partition: PartitionId, rows: Vec<RowWrite>) -> Result<()> {
    let written = json_rows::write(store, partition, rows).await?;
    written.map_err(|wrong| Error::new(ErrorKind::Fenced, format!("{wrong}: another run wrote it")))
}
