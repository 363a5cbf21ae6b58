//! A bar on stderr, for runs that take a while and people who watch.

use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::task::JoinHandle;

use crate::cli::bench::shift::Course;
use crate::clock;

/// Shorter runs have no bar.
const SHORT: Duration = Duration::from_secs(2);
const STEP: Duration = Duration::from_millis(200);

/// A bar that goes away with this. It watches from outside: clients do not wait for it.
#[derive(Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
    watching: JoinHandle<()>,
}

impl Progress {
    /// Watches courses of `total` commands together. A stderr that is no terminal shows no bar.
    pub(super) fn watch(courses: Vec<Arc<Course>>, total: u64) -> Self {
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden());
        let style = ProgressStyle::with_template("[{bar:40}] {human_pos}/{human_len} {eta}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "));
        let watched = bar.clone();
        let watching = tokio::spawn(async move {
            clock::sleep(SHORT).await;
            watched.set_draw_target(ProgressDrawTarget::stderr());
            loop {
                let answered = courses.iter().map(|course| course.answered());
                watched.set_position(answered.fold(0, u64::saturating_add));
                clock::sleep(STEP).await;
            }
        });
        Self { bar, watching }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.watching.abort();
        self.bar.finish_and_clear();
    }
}
