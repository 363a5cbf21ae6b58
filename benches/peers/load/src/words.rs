//! What a peer's process and the program that measures say to each other: a line of JSON each way.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What the peer is asked, on its standard input.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Ask {
    /// A round. The clients run for the sum of both times; what ends in the second is measured.
    Round { warm_up: Duration, measured: Duration },
    /// Resends the last holds, and compares what is stored with what was answered.
    Check,
}

/// What it answers, on its standard output.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Answer {
    /// It is open, its accounts are there.
    Ready(Opened),
    Round(Round),
    Check(Check),
    /// It cannot go on.
    Failed(String),
}

/// What a peer is, for the report.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Opened {
    /// The crates that matter, with the versions of the lock file that this program was built with.
    pub versions: Vec<String>,
    /// Settings, and how it was made sure that they hold.
    pub notes: Vec<String>,
}

/// One round of one peer.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Round {
    /// Commands answered within the measured time.
    pub commands: u64,
    /// The measured time.
    pub seconds: f64,
    /// Half of the commands took no longer, in milliseconds.
    pub p50_ms: f64,
    /// 99 of 100 took no longer.
    pub p99_ms: f64,
    /// Times that a command had to begin again, after a conflict or a locked database.
    pub retries: u64,
}

impl Round {
    /// Commands a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.commands as f64 / self.seconds
    }
}

/// What the check found. Right is `held == answered`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Check {
    /// Different holds that were answered, warm-ups included.
    pub answered: u64,
    /// Of these, sent once more before looking.
    pub resent: u64,
    /// Holds that are stored.
    pub held: u64,
}

/// The version of a crate in the text of a lock file.
#[must_use]
pub fn locked(lock: &str, name: &str) -> String {
    let wanted = format!("name = \"{name}\"");
    let after = lock.lines().skip_while(|line| *line != wanted).nth(1).unwrap_or_default();
    let version = after.trim_start_matches("version = ").trim_matches('"');
    format!("{name} {version}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_from_the_lock_file() {
        let lock = "[[package]]\nname = \"a\"\nversion = \"1.2.3\"\n\n[[package]]\nname = \"b\"\nversion = \"4.5.6\"\n";
        assert_eq!(locked(lock, "b"), "b 4.5.6");
    }
}
