//! Settings of destinations, and of a buffer.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::feed::Pauses;

/// How messages are sent to a destination. Plain data: put it into your own configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DestinationSettings {
    /// Messages that are under way at once in one partition, each of another key, at least 1.
    pub at_once: usize,
    /// Messages that are kept in memory for one partition, at least 1. Keys that wait do not hold others up for as long as
    /// there is room.
    pub window: usize,
    /// How long a try may take, in milliseconds.
    pub timeout_ms: u64,
    /// Refusals after which a message is parked, at least 1.
    pub attempts: u32,
    /// How long is paused between refusals of one message.
    pub retry: Pauses,
    /// Failures in a row after which a destination is left alone, at least 1.
    pub failures: u32,
    /// How long it is left alone, longer each time in a row.
    pub outage: Pauses,
    /// How often it is recorded what was sent, in milliseconds. After a crash so much is sent again.
    pub record_every_ms: u64,
    /// How long is paused between looks at the log's head.
    pub polling: Pauses,
}

impl Default for DestinationSettings {
    fn default() -> Self {
        Self {
            at_once: 32,
            window: 1_024,
            timeout_ms: 10_000,
            attempts: 8,
            retry: Pauses { shortest_ms: 100, longest_ms: 10_000 },
            failures: 5,
            outage: Pauses { shortest_ms: 200, longest_ms: 30_000 },
            record_every_ms: 100,
            polling: Pauses::default(),
        }
    }
}

impl DestinationSettings {
    pub(super) fn check(&self) -> Result<()> {
        let least = [
            ("at_once", self.at_once),
            ("window", self.window),
            ("timeout_ms", usize::try_from(self.timeout_ms).unwrap_or(usize::MAX)),
            ("attempts", usize::try_from(self.attempts).unwrap_or(usize::MAX)),
            ("failures", usize::try_from(self.failures).unwrap_or(usize::MAX)),
        ];
        match least.iter().find(|(_, value)| *value == 0) {
            Some((name, _)) => {
                Err(Error::invalid(format!("the setting `{name}` of a destination"))
                    .expected("at least 1", 0))
            }
            None => Ok(()),
        }
    }
}
