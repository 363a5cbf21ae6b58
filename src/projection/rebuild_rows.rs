//! Requests to make a view anew, as guarded rows of the log's store, and how far that has come: from any process to
//! whoever has the rules.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::error::{Error, ErrorKind, Result};
use crate::limits;
use crate::partition::PartitionId;
use crate::projection::parked::Operator;
use crate::store::EventStore;
use crate::store::json_rows::{self, put};
use crate::store::rows::{Row, RowChange, RowExpected, RowKey, RowWrite};

/// The spaces of the rows. They lie in the first partition, and their keys are the views' names.
const REQUESTS: &str = "rebuild requests";
const STANDS: &str = "rebuilds";
/// How long an answer can be read.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3_600);
/// How often an answer is looked for.
const LOOK: Duration = Duration::from_millis(50);

/// What is asked about a view's generations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RebuildAction {
    /// To build another generation, or go on with the one that is being built, until it is near to the live one.
    Build,
    /// The same, and then to switch readers over to it.
    BuildAndSwitch,
    /// To switch readers over to what was built.
    Switch,
    /// To give up what is being built.
    GiveUp,
    /// To remove the rows of all former generations.
    DropFormer,
}

impl fmt::Display for RebuildAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Build => "a rebuild",
            Self::BuildAndSwitch => "a rebuild with a switch",
            Self::Switch => "a switch",
            Self::GiveUp => "a rebuild's end",
            Self::DropFormer => "the end of former generations",
        })
    }
}

/// A request about a view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RebuildAsked {
    /// What is asked.
    pub action: RebuildAction,
    /// Whether readers are switched over though aggregates are parked in the new generation that are not in the live one.
    pub more_parked: bool,
    /// Who asks, and why.
    pub by: Operator,
    /// What became of it; `None` while it waits, or goes on.
    pub answer: Option<RebuildAnswer>,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RebuildAnswer {
    /// The generation of this number was built, and follows the live one.
    Built(u32),
    /// Readers were switched over.
    Switched {
        /// The generation that was live.
        from: u32,
        /// The one that is.
        to: u32,
    },
    /// What was being built is gone.
    GivenUp,
    /// So many former generations are gone.
    Dropped(u64),
    /// It was not done, because of this.
    Refused(String),
}

/// How a view that can be made anew stands, as whoever runs its [`Rebuilder`](super::Rebuilder) told last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RebuildStand {
    /// The view's name.
    pub name: String,
    /// The epoch under which that was told.
    pub epoch: u64,
    /// The generation that readers see.
    pub live: u32,
    /// The one that is being built.
    pub building: Option<u32>,
    /// How many positions of the log were built.
    pub done: u64,
    /// How many lie between there and the live generation.
    pub to_do: u64,
    /// How many positions a second.
    pub per_second: u64,
    /// How many aggregates are parked in what is being built.
    pub parked: u64,
    /// What is in the way.
    pub trouble: Option<String>,
}

/// Requests about one view, by the name that its [`Rebuilder`](super::Rebuilder) has.
///
/// A view has one request at a time, so asking twice for the same asks once; only [`RebuildAction::GiveUp`] takes the place
/// of another one. Answers are kept for a week.
#[derive(Debug, Clone)]
pub struct RebuildRows {
    store: Arc<dyn EventStore>,
    name: String,
}

impl RebuildRows {
    /// Requests about a view over this store.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) when the name is not 1 to 64 bytes without control characters.
    pub fn new(store: Arc<dyn EventStore>, name: impl Into<String>) -> Result<Self> {
        let name = name.into();
        if name.len() > limits::PROJECTION_NAME_BYTES {
            return Err(Error::invalid("the name of a view is too long")
                .expected(format!("at most {} bytes", limits::PROJECTION_NAME_BYTES), name.len()));
        }
        RowKey::new(STANDS, name.as_str())?;
        Ok(Self { store, name })
    }

    /// How all views stand that can be made anew by request, by name.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) when the store is down.
    pub async fn all(store: &dyn EventStore) -> Result<Vec<RebuildStand>> {
        json_rows::all(store, FIRST, (STANDS, "")).await?.rows.iter().map(read).collect()
    }

    /// Asks.
    ///
    /// # Errors
    /// [`Conflict`](ErrorKind::Conflict) when another request waits; [`Contended`](ErrorKind::Contended) when another one
    /// asked in the same moment; [`Unavailable`](ErrorKind::Unavailable) and [`Unknown`](ErrorKind::Unknown) when the store
    /// failed: ask again.
    pub async fn ask(&self, action: RebuildAction, more_parked: bool, by: Operator) -> Result<()> {
        let row = self.row(REQUESTS).await?;
        if let Some(row) = &row {
            let found: RebuildAsked = read(row)?;
            let waits = found.answer.is_none();
            if waits && (found.action, found.more_parked) == (action, more_parked) {
                return Ok(());
            }
            if waits && action != RebuildAction::GiveUp {
                let what = format!("{} of {} waits, asked for by {}", found.action, self.name, found.by.who);
                return Err(
                    Error::new(ErrorKind::Conflict, what).advice("wait for its answer, or give it up")
                );
            }
        }
        let expected = row.map_or(RowExpected::Absent, |row| RowExpected::Revision(row.revision));
        let asked = RebuildAsked { action, more_parked, by, answer: None };
        let write = put(RowKey::new(REQUESTS, self.name.as_str())?, expected, &asked)?;
        let changed = || Error::new(ErrorKind::Contended, "another request came in the same moment");
        if self.commit(vec![write]).await? { Ok(()) } else { Err(changed()) }
    }

    /// What is asked, or was asked last.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) when the store is down.
    pub async fn find(&self) -> Result<Option<RebuildAsked>> {
        self.row(REQUESTS).await?.as_ref().map(read).transpose()
    }

    /// How the view stands; `None` where nobody ever ran its [`Rebuilder`](super::Rebuilder).
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) when the store is down.
    pub async fn stand(&self) -> Result<Option<RebuildStand>> {
        self.row(STANDS).await?.as_ref().map(read).transpose()
    }

    /// Returns when the request is answered. It waits for as long as it takes; give it a timeout of your own.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) when nothing is asked; [`Unavailable`](ErrorKind::Unavailable) when the store is down.
    pub async fn answer(&self) -> Result<RebuildAnswer> {
        loop {
            let found = self.find().await?.ok_or_else(|| Error::invalid("nothing is asked about it"))?;
            if let Some(answer) = found.answer {
                return Ok(answer);
            }
            clock::sleep(LOOK).await;
        }
    }

    /// The view's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The request that waits, and the revision of its row.
    pub(super) async fn waiting(&self) -> Result<Option<(u64, RebuildAsked)>> {
        let Some(row) = self.row(REQUESTS).await? else { return Ok(None) };
        let asked: RebuildAsked = read(&row)?;
        Ok(asked.answer.is_none().then_some((row.revision, asked)))
    }

    /// How the view stands, and the revision of that.
    pub(super) async fn stood(&self) -> Result<Option<(u64, RebuildStand)>> {
        let row = self.row(STANDS).await?;
        row.map(|row| Ok((row.revision, read(&row)?))).transpose()
    }

    /// Tells how the view stands, and with it, in one commit, what became of a request; false where either changed.
    pub(super) async fn tell(
        &self,
        (revision, stand): (Option<u64>, &RebuildStand),
        answered: Option<(u64, RebuildAsked)>,
    ) -> Result<bool> {
        let expected = revision.map_or(RowExpected::Absent, RowExpected::Revision);
        let mut rows = vec![put(RowKey::new(STANDS, self.name.as_str())?, expected, stand)?];
        if let Some((revision, asked)) = answered {
            let key = RowKey::new(REQUESTS, self.name.as_str())?;
            let mut write = put(key, RowExpected::Revision(revision), &asked)?;
            if let RowChange::Put { lives, .. } = &mut write.change {
                *lives = Some(KEPT);
            }
            rows.push(write);
        }
        self.commit(rows).await
    }

    async fn row(&self, space: &str) -> Result<Option<Row>> {
        json_rows::find(&*self.store, FIRST, &RowKey::new(space, self.name.as_str())?).await
    }

    /// Writes rows together; false where one is not as expected.
    async fn commit(&self, rows: Vec<RowWrite>) -> Result<bool> {
        Ok(json_rows::write(&*self.store, FIRST, rows).await?.is_ok())
    }
}

fn read<T: DeserializeOwned>(row: &Row) -> Result<T> {
    json_rows::read(FIRST, row)
}

const FIRST: PartitionId = PartitionId::new(0);
