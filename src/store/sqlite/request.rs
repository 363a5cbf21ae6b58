//! What the writer's thread is asked for.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::error::Result;
use crate::store::UnitResult;
use crate::store::sqlite::index::work::Work;
use crate::store::sqlite::prepared::PreparedList;
use crate::stream::{StreamName, Version};

/// A request.
#[derive(Debug)]
pub(super) enum Request {
    Append(Append),
    Truncate(Truncate),
    Index(IndexWork),
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
    pub(super) work: Arc<Work>,
    pub(super) reply: oneshot::Sender<Result<()>>,
}
