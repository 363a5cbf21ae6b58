//! Inputs that processes hear later: guarded rows of the log's store, in the order in which they are due.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::id::TransactionId;
use crate::limits;
use crate::message::RecordedMessage;
use crate::partition::PartitionId;
use crate::process::manager::{Asked, ProcessManager};
use crate::store::rows::{Row, RowChange, RowExpected, RowKey, RowSelection, RowWrite, RowsRead};
use crate::store::{EventStore, json_rows};
use crate::stream::AggregateId;

/// The space of the rows. Keys: the kind of process, when it is due, the message that asked for it.
const SPACE: &str = "deadlines";

/// So often, in milliseconds, whoever waits looks without being told.
pub(super) const LONGEST_LOOK_MS: u64 = 500;

#[derive(Serialize, Deserialize)]
struct Stored<T> {
    process: String,
    transaction: TransactionId,
    schema: u16,
    input: T,
}

/// A deadline that has passed.
pub(super) struct Due<P: ProcessManager> {
    pub(super) key: RowKey,
    pub(super) process: AggregateId,
    pub(super) transaction: TransactionId,
    pub(super) input: P::Input,
}

/// What is due in a partition.
pub(super) struct Look<P: ProcessManager> {
    /// Those that have passed, the earliest first, with what is wrong with those that cannot be read.
    pub(super) due: Vec<Result<Due<P>>>,
    /// How long until the next one passes, by the store's clock; `None` where there is none.
    pub(super) next: Option<Duration>,
    /// The last key, where more may have passed behind it.
    pub(super) more: Option<String>,
}

/// The deadlines of one kind of process.
pub(super) struct Deadlines<P> {
    store: Arc<dyn EventStore>,
    /// Something was put that passes before the next look: whoever waits looks again.
    pub(super) changed: Notify,
    kind: PhantomData<fn() -> P>,
}

impl<P: ProcessManager> Deadlines<P> {
    pub(super) fn new(store: Arc<dyn EventStore>) -> Self {
        Self { store, changed: Notify::new(), kind: PhantomData }
    }

    /// Keeps an input until its time has come. Done twice it is as if done once, also when it has passed meanwhile: a
    /// process hears what it has heard before only once.
    pub(super) async fn put(
        &self,
        message: &RecordedMessage,
        after: Duration,
        input: &P::Input,
    ) -> Result<()> {
        let due = u64::try_from(message.recorded_at.after(after).as_micros()).unwrap_or(0);
        let key = RowKey::new(SPACE, format!("{}/{due:020}/{}", P::CATEGORY, message.id))?;
        let (process, transaction) =
            (message.stream.id().to_owned(), TransactionId::new(message.id.as_uuid()));
        let stored = Stored { process, transaction, schema: P::SCHEMA, input };
        self.write(message.partition, json_rows::put(key, RowExpected::Any, &stored)?).await?;
        if after < Duration::from_millis(LONGEST_LOOK_MS) {
            self.changed.notify_waiters();
        }
        Ok(())
    }

    /// Forgets a deadline that was heard.
    pub(super) async fn forget(&self, partition: PartitionId, key: RowKey) -> Result<()> {
        self.write(partition, RowWrite { key, expected: RowExpected::Any, change: RowChange::Forget }).await
    }

    async fn write(&self, partition: PartitionId, write: RowWrite) -> Result<()> {
        let written = json_rows::write(&*self.store, partition, vec![write]).await?;
        written
            .map_err(|wrong| Error::new(ErrorKind::Unknown, format!("a deadline was not written: {wrong}")))
    }

    /// What has passed by now behind a key, a page at most.
    pub(super) async fn look(&self, partition: PartitionId, after: Option<String>) -> Result<Look<P>> {
        let prefix = format!("{}/", P::CATEGORY);
        let which = RowSelection::Prefix { prefix, after, limit: limits::PAGE_ROWS };
        let page = self.store.rows(RowsRead { partition, space: SPACE.to_owned(), which }).await?;
        let last = page.rows.last().filter(|_| page.rows.len() >= limits::PAGE_ROWS);
        let more = last.map(|row| row.key.key().to_owned());
        let mut look = Look { due: Vec::new(), next: None, more };
        for row in page.rows {
            let at = due_at(&row.key);
            if at > page.at {
                look.next = Some(at.since(page.at));
                look.more = None;
                break;
            }
            look.due.push(read(partition, &row));
        }
        Ok(look)
    }
}

/// When a deadline passes; one whose key cannot be read, now.
fn due_at(key: &RowKey) -> Timestamp {
    let due = key.key().split('/').nth(1).and_then(|due| due.parse::<i64>().ok());
    Timestamp::from_micros(due.unwrap_or(0))
}

fn read<P: ProcessManager>(partition: PartitionId, row: &Row) -> Result<Due<P>> {
    let Stored { process, transaction, schema, input } =
        json_rows::read::<Stored<serde_json::Value>>(partition, row)?;
    let input = if schema == P::SCHEMA {
        serde_json::from_value(input).map_err(|error| {
            Error::corrupt(format!("deadline {} cannot be read", row.key)).caused_by(error)
        })?
    } else {
        match P::upcast_asked(schema, input)? {
            Asked::Deadline(_, input) => input,
            Asked::Command(_) => {
                return Err(Error::corrupt(format!("deadline {} was read as a command", row.key)));
            }
        }
    };
    Ok(Due { key: row.key.clone(), process: AggregateId::new(process)?, transaction, input })
}

impl<P: ProcessManager> fmt::Debug for Deadlines<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deadlines").field("category", &P::CATEGORY).finish_non_exhaustive()
    }
}
