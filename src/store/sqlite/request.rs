//! What the writer's thread is asked for.

use std::fmt;
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::error::{Error, Result};
use crate::store::UnitResult;
use crate::store::sqlite::index::work::Work as Piece;
use crate::store::sqlite::prepared::PreparedList;
use crate::store::sqlite::writer::Writer;
use crate::stream::{StreamName, Version};

/// A request.
#[derive(Debug)]
pub(super) enum Request {
    Append(Append),
    Truncate(Truncate),
    Index(IndexWork),
    Job(Job),
    Close(oneshot::Sender<()>),
}

/// A list that waits for its commit.
#[derive(Debug)]
pub(super) struct Append {
    pub(super) list: PreparedList,
    pub(super) bytes: usize,
    pub(super) reply: oneshot::Sender<Vec<UnitResult>>,
}

/// A truncation that waits for its next slice.
#[derive(Debug)]
pub(super) struct Truncate {
    pub(super) stream: StreamName,
    pub(super) through: Version,
    pub(super) reply: oneshot::Sender<Result<Version>>,
}

/// A piece of the indexes that waits to be written.
#[derive(Debug)]
pub(super) struct IndexWork {
    pub(super) work: Arc<Piece>,
    pub(super) reply: oneshot::Sender<Result<()>>,
}

/// What a job does with the writer, or why nothing may be written now.
type Work = dyn FnOnce(&mut Writer, Option<Error>) + Send;

/// Rare work that the writer does between two commits.
pub(super) struct Job(Box<Work>);

impl Job {
    pub(super) fn new(work: impl FnOnce(&mut Writer, Option<Error>) + Send + 'static) -> Self {
        Self(Box::new(work))
    }

    pub(super) fn run(self, writer: &mut Writer, refusal: Option<Error>) {
        (self.0)(writer, refusal);
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Job")
    }
}
