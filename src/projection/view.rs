//! The contract of a view: where a projection's rows live, and with them how far it has come.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::error::Result;
use crate::feed::JoinPositions;
use crate::limits;
use crate::projection::batch::Batch;
use crate::projection::definition::Definition;
use crate::projection::failure::ViewFailure;
use crate::projection::parked::{Audited, Parked};
use crate::projection::place::Place;
use crate::stream::Position;

/// A database of rows that projections fill.
///
/// Rows, checkpoint, epoch, parked aggregates and the list of what operators did live in one database and are committed
/// together. Handlers run on a thread of the view's ([`Batch::run`] blocks), never on the log's writer, so that one that
/// hangs holds nobody else up and its futures need not be `Send`.
///
/// An implementation must
/// - commit all of a [`Work`] or nothing of it;
/// - commit it only where epoch, revision and position are what the work says, as part of the same transaction, and
///   answer [`Fenced`](crate::ErrorKind::Fenced) otherwise;
/// - never commit what a handler that was given up, or whose caller went away, goes on to do;
/// - never answer [`Handler`](ViewFailure::Handler) for what the database failed at.
#[async_trait]
pub trait View: fmt::Debug + Send + Sync + 'static {
    /// What a handler is given to work on.
    type Rows: 'static;

    /// Opens a place under an epoch, durably, and prepares its rows: from then on nobody with a lower epoch, and nobody
    /// who opened it before, can commit there.
    ///
    /// # Errors
    /// [`Fenced`](crate::ErrorKind::Fenced) when a higher epoch was there; [`Invalid`](crate::ErrorKind::Invalid) when
    /// the place belongs to another store; [`Unavailable`](crate::ErrorKind::Unavailable) when the database is down; and
    /// what [`prepare`](super::Projection::prepare) answers.
    async fn open(
        &self,
        place: &Place,
        epoch: u64,
        definition: &Definition<Self::Rows>,
        limits: &Limits,
    ) -> Result<Opened, ViewFailure>;

    /// Applies a batch and commits it with its checkpoint.
    ///
    /// # Errors
    /// [`Handler`](ViewFailure::Handler) when a handler failed: nothing of the work was committed.
    /// [`View`](ViewFailure::View) for everything else; whether it was committed is then told by opening the place again.
    async fn run(&self, place: &Place, epoch: u64, work: Work<Self::Rows>) -> Result<(), ViewFailure>;

    /// What operators did in a place, and what was parked there, the latest first.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) when the database is down.
    async fn audit(&self, place: &Place, limit: usize) -> Result<Vec<Audited>>;

    /// Most aggregates that it keeps parked in one place; [`limits::PARKED_AGGREGATES`] if nothing is said.
    fn most_parked(&self) -> usize {
        limits::PARKED_AGGREGATES
    }
}

/// What a call into a user's code may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long one handler may take, at most twice this.
    pub timeout: Duration,
    /// The time of now.
    pub now: Timestamp,
}

/// Where a place stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// Everything selected up to here has taken effect, or is parked. Of a join it is the number of events.
    pub position: Position,
    /// Of a place that a join has filled, the positions behind it.
    pub joined: Option<JoinPositions>,
    /// How often it was opened or committed. It tells this opening from every other.
    pub revision: u64,
    /// What is parked, by cardinal id.
    pub parked: Vec<Parked>,
}

/// One transaction.
#[derive(Debug)]
pub struct Work<R> {
    /// The revision that the place must be at; the commit raises it by one.
    pub revision: u64,
    /// The position that the place must be at.
    pub from: Position,
    /// The position that it is at afterwards.
    pub to: Position,
    /// What is applied to the rows.
    pub batch: Option<Batch<R>>,
    /// What changes besides.
    pub changes: Vec<Change>,
    /// What the handlers may take.
    pub limits: Limits,
}

/// What a transaction changes besides the rows and the checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// An aggregate is parked, or what is known of a parked one changes.
    Park(Parked),
    /// So many more events of a parked aggregate wait.
    Waiting(String, u64),
    /// An aggregate is no longer parked.
    Unpark(String),
    /// A join stands at these positions.
    Joined(JoinPositions),
    /// Something was done that is kept.
    Audit(Audited),
}
