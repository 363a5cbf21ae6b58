//! A bar on stderr, for people who wait for a rebuild.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::projection::RebuildStand;

/// A bar that goes away with this. A stderr that is no terminal shows none.
pub(super) struct Bar(ProgressBar);

impl Bar {
    pub(super) fn new(is_shown: bool) -> Self {
        let target = if is_shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        let style = ProgressStyle::with_template("{msg} [{bar:40}] {human_pos}/{human_len}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "));
        bar.set_message("waits for the service");
        Self(bar)
    }

    pub(super) fn show(&self, stand: &RebuildStand) {
        let Some(number) = stand.building else { return };
        let trouble = stand.trouble.as_deref().map(|trouble| format!(", {trouble}")).unwrap_or_default();
        self.0.set_message(format!("generation {number}, {} positions/s{trouble}", stand.per_second));
        self.0.set_length(stand.done.saturating_add(stand.to_do));
        self.0.set_position(stand.done);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
