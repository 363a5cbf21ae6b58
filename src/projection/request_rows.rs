//! Requests of operators as guarded rows of the log's store: from any process to whoever runs the partition.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock;
use crate::error::{Error, ErrorKind, Result};
use crate::limits;
use crate::partition::PartitionId;
use crate::projection::listing;
use crate::projection::parked::{Action, Operator};
use crate::projection::place::ProjectionId;
use crate::store::rows::{Row, RowChange, RowExpected, RowKey, RowSelection, RowWrite, RowsRead};
use crate::store::{EventStore, json_rows};
use crate::stream::{AggregateId, Position};

/// The space of the requests. A request lies in the partition of its aggregate.
const SPACE: &str = "requests";
/// How long an answer can be read.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3_600);
/// How often an answer is looked for.
const LOOK: Duration = Duration::from_millis(50);

/// What is asked about one parked event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The cardinal id of the aggregate.
    pub cardinal: String,
    /// The position of the event that it waits at: of another one nothing is done.
    pub position: Position,
    /// To retry or to skip.
    pub action: Action,
    /// Who asks, and why.
    pub by: Operator,
    /// What became of it; `None` while it waits.
    pub answer: Option<Answer>,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It was carried out.
    Done {
        /// How many events were applied, where that is known: not when the process died before it could answer.
        applied: Option<u64>,
        /// The position that the aggregate waits at now, where it is still parked.
        parked: Option<Position>,
    },
    /// It was not, because of this.
    Refused(String),
}

/// Requests about one projection. Any process may ask; the runner that has the aggregate's partition looks for requests
/// from time to time ([`Settings::polling`](super::Settings)), carries them out, and answers.
///
/// An aggregate has one request at a time, so asking twice for the same asks once. Answers are kept for a week.
#[derive(Debug, Clone)]
pub struct RequestRows {
    store: Arc<dyn EventStore>,
    projection: ProjectionId,
}

impl RequestRows {
    /// Requests about a projection over this store.
    #[must_use]
    pub fn new(store: Arc<dyn EventStore>, projection: ProjectionId) -> Self {
        Self { store, projection }
    }

    /// Asks for the event at `position`, which an aggregate waits at, to be retried or skipped.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) when nobody can ask for that; [`Conflict`](ErrorKind::Conflict) when another request
    /// about the aggregate waits; [`Overloaded`](ErrorKind::Overloaded) when too many wait in its partition;
    /// [`Contended`](ErrorKind::Contended) when another one asked in the same moment; [`Unavailable`](ErrorKind::Unavailable)
    /// and [`Unknown`](ErrorKind::Unknown) when the store failed: ask again.
    pub async fn ask(
        &self,
        aggregate: &AggregateId,
        position: Position,
        action: Action,
        by: Operator,
    ) -> Result<()> {
        if action == Action::Parked {
            return Err(Error::invalid("nobody can ask for an aggregate to be parked"));
        }
        let cardinal = aggregate.cardinal().to_owned();
        let partition = self.store.properties().partitions.of(&cardinal);
        let waiting = self.waiting(partition).await?;
        let asked = Asked { cardinal, position, action, by, answer: None };
        if let Some((_, found)) = waiting.iter().find(|(_, found)| found.cardinal == asked.cardinal) {
            return if (found.position, found.action) == (position, action) {
                Ok(())
            } else {
                Err(other(found))
            };
        }
        if waiting.len() >= limits::POSTED_REQUESTS {
            return Err(Error::new(
                ErrorKind::Overloaded,
                format!("too many requests about {} wait", self.projection),
            )
            .expected(format!("at most {}", limits::POSTED_REQUESTS), "one more")
            .advice("see that the projection runs, and ask again later"));
        }
        let found = self.rows(partition, &asked.cardinal).await?;
        let expected = found.map_or(RowExpected::Absent, |row| RowExpected::Revision(row.revision));
        self.write(partition, &asked, expected, None).await
    }

    /// What is asked about an aggregate, and what became of it.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) when the store is down.
    pub async fn find(&self, aggregate: &AggregateId) -> Result<Option<Asked>> {
        let partition = self.store.properties().partitions.of(aggregate.cardinal());
        self.rows(partition, aggregate.cardinal())
            .await?
            .map(|row| json_rows::read(partition, &row))
            .transpose()
    }

    /// Returns when a request about an aggregate is answered. It waits for as long as it takes; give it a timeout of your
    /// own.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) when nothing is asked; [`Unavailable`](ErrorKind::Unavailable) when the store is down.
    pub async fn answer(&self, aggregate: &AggregateId) -> Result<Answer> {
        loop {
            let found =
                self.find(aggregate).await?.ok_or_else(|| Error::invalid("nothing is asked about it"))?;
            if let Some(answer) = found.answer {
                return Ok(answer);
            }
            clock::sleep(LOOK).await;
        }
    }

    /// What waits in a partition, with the revisions of its rows.
    pub(super) async fn waiting(&self, partition: PartitionId) -> Result<Vec<(u64, Asked)>> {
        let (prefix, limit) = (listing::prefix(&self.projection), limits::PAGE_ROWS);
        let (mut waiting, mut after) = (Vec::new(), None);
        loop {
            let which = RowSelection::Prefix { prefix: prefix.clone(), after, limit };
            let page = self.store.rows(RowsRead { partition, space: SPACE.to_owned(), which }).await?;
            for row in &page.rows {
                let asked: Asked = match json_rows::read(partition, row) {
                    Ok(asked) => asked,
                    Err(error) => {
                        // A request that cannot be read holds no projection up.
                        tracing::error!(%error, "a request is left where it is");
                        continue;
                    }
                };
                if asked.answer.is_none() {
                    waiting.push((row.revision, asked));
                } else if row.expires_at.is_some_and(|at| at <= page.at) {
                    self.remove(partition, row).await?;
                }
            }
            after = page.rows.last().map(|row| row.key.key().to_owned());
            if page.rows.len() < limit || waiting.len() >= limits::POSTED_REQUESTS {
                return Ok(waiting);
            }
        }
    }

    /// Writes the answer of a request, where nobody else did.
    pub(super) async fn tell(
        &self,
        partition: PartitionId,
        (revision, asked): (u64, Asked),
        answer: Answer,
    ) -> Result<()> {
        let answered = Asked { answer: Some(answer), ..asked };
        self.write(partition, &answered, RowExpected::Revision(revision), Some(KEPT)).await
    }

    async fn rows(&self, partition: PartitionId, cardinal: &str) -> Result<Option<Row>> {
        json_rows::find(&*self.store, partition, &self.key(cardinal)?).await
    }

    async fn write(
        &self,
        partition: PartitionId,
        asked: &Asked,
        expected: RowExpected,
        lives: Option<Duration>,
    ) -> Result<()> {
        let key = self.key(&asked.cardinal)?;
        let change = RowChange::Put { value: json_rows::value(&key, asked)?, lives };
        self.commit(partition, RowWrite { key, expected, change }).await
    }

    async fn remove(&self, partition: PartitionId, row: &Row) -> Result<()> {
        let (key, expected) = (row.key.clone(), RowExpected::Revision(row.revision));
        self.commit(partition, RowWrite { key, expected, change: RowChange::Remove }).await
    }

    async fn commit(&self, partition: PartitionId, write: RowWrite) -> Result<()> {
        let changed = |wrong| Error::new(ErrorKind::Contended, format!("a request changed: {wrong}"));
        json_rows::write(&*self.store, partition, vec![write]).await?.map_err(changed)
    }

    fn key(&self, cardinal: &str) -> Result<RowKey> {
        listing::key(SPACE, &self.projection, cardinal)
    }
}

fn other(found: &Asked) -> Error {
    let Asked { cardinal, action, position, by, .. } = found;
    let what = format!("{cardinal} at position {position} waits to be {action}, asked for by {}", by.who);
    Error::new(ErrorKind::Conflict, what).advice("wait for its answer first")
}
