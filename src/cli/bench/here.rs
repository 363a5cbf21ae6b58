//! The clients of this process, with what they send to.

use std::sync::Arc;

use crate::cli::bench::counts::Counts;
use crate::cli::bench::crew::{Crew, Round};
use crate::cli::bench::machine;
use crate::cli::bench::options::Options;
use crate::cli::bench::ours::Ours;
use crate::cli::bench::plan::Plan;
use crate::cli::bench::shift::Course;
use crate::cli::bench::stores::Store;
use crate::cli::failure::Failure;

/// The clients of this process.
#[derive(Debug)]
pub(super) struct Here {
    ours: Ours,
    crew: Crew<Ours>,
    store: Store,
    /// Commits of the store before the first round.
    before: Option<u64>,
}

impl Here {
    pub(super) fn new(
        options: &Options,
        plan: Plan,
        ours: Ours,
        store: &Store,
        course: &Arc<Course>,
    ) -> Self {
        let crew = Crew::new(ours.clone(), plan, options.manner(), course);
        Self { ours, crew, store: store.clone(), before: store.commits() }
    }

    pub(super) async fn round(&mut self, commands: u64) -> Result<Round, Failure> {
        self.crew.round(commands).await
    }

    pub(super) fn counts(&self) -> Counts {
        let (stats, (contended, errors)) = (self.ours.handler().stats(), self.ours.resent());
        let commits = self.store.commits().zip(self.before);
        Counts {
            repeated: self.crew.repeated(),
            commits: commits.map(|(after, before)| after.saturating_sub(before)),
            rows: stats.loaded.saturating_add(stats.scanned),
            snapshots: stats.snapshots,
            contended,
            errors,
            peak_memory_bytes: machine::peak_memory_bytes(),
        }
    }
}
