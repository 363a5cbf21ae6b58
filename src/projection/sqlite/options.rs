//! What a view is opened with.

use std::path::PathBuf;

/// How a [`SqliteView`](super::SqliteView) is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Options {
    pub(super) path: PathBuf,
    pub(super) may_lose_the_latest: bool,
    pub(super) most_pages: Option<u32>,
}

impl Options {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, may_lose_the_latest: false, most_pages: None }
    }

    /// The same for another file.
    pub(super) fn at(&self, path: PathBuf) -> Self {
        Self { path, ..self.clone() }
    }

    /// Does not wait for the disk at each commit (`synchronous=NORMAL`). A power cut may then take the latest commits
    /// away, rows and checkpoints together: the events are applied again from the log, so nothing is lost for good, but a
    /// reader may see the view go back.
    pub fn may_lose_the_latest_commits(mut self, may: bool) -> Self {
        self.may_lose_the_latest = may;
        self
    }

    /// Most pages of 4 KiB that the file may have: beyond them the view waits as on a full disk.
    pub fn most_pages(mut self, pages: u32) -> Self {
        self.most_pages = Some(pages);
        self
    }
}
