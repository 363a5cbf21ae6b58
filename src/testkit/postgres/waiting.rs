//! Waiting for servers.

use std::time::Duration;

use crate::clock::{Stopwatch, pause};

/// After this long something is wrong, even on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(5);

/// Asks again and again until there is an answer; nothing when it took too long.
pub(super) fn until<T>(mut answer: impl FnMut() -> Option<T>) -> Option<T> {
    let watch = Stopwatch::start();
    loop {
        let found = answer();
        if found.is_some() || watch.elapsed() > PATIENCE {
            return found;
        }
        pause(PAUSE);
    }
}
