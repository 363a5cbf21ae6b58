//! What a view is opened with.

use std::path::PathBuf;

/// How a [`SqliteView`](super::SqliteView) is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Options {
    pub(super) path: PathBuf,
    pub(super) may_lose_the_latest: bool,
}

impl Options {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, may_lose_the_latest: false }
    }

    /// Does not wait for the disk at each commit (`synchronous=NORMAL`). A power cut may then take the latest commits
    /// away, rows and checkpoints together: the events are applied again from the log, so nothing is lost for good, but a
    /// reader may see the view go back.
    pub fn may_lose_the_latest_commits(mut self, may: bool) -> Self {
        self.may_lose_the_latest = may;
        self
    }
}
