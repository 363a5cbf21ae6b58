//! A bar on stderr, for copies that take a while and people who watch.

use std::sync::Arc;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::store::transfer::{Phase, Progress, Watcher};

/// A bar that goes away with this. A stderr that is no terminal shows none.
pub(super) struct Bar(ProgressBar);

impl Bar {
    pub(super) fn new(is_shown: bool) -> Self {
        let target = if is_shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        let style =
            ProgressStyle::with_template("{msg:20} [{bar:40}] {human_pos}/{human_len} {per_sec} {eta}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "));
        Self(bar)
    }

    /// What tells the bar.
    pub(super) fn watcher(&self) -> Watcher {
        let bar = self.0.clone();
        Arc::new(move |progress| match progress {
            Progress::Begins(phase, positions) => {
                bar.set_message(named(phase));
                bar.reset();
                bar.set_length(positions);
            }
            Progress::Done(positions) => bar.inc(positions),
        })
    }
}

fn named(phase: Phase) -> &'static str {
    match phase {
        Phase::Copying => "records copied",
        Phase::Comparing => "records compared",
        Phase::Sealed => "sealed: the rest",
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
