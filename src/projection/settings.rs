//! What a service may choose: plain data.

use serde::{Deserialize, Serialize};

use crate::feed::Pauses;
use crate::limits;

/// Settings of runners.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Most records of the log that go into one transaction of the view, at most 4,096.
    pub batch_records: usize,
    /// How often an event is tried before its aggregate is parked, the first time included.
    pub attempts: u32,
    /// How long is waited before an event is tried again; jitter takes up to half of it.
    pub retry: Pauses,
    /// How long one handler may take, in milliseconds; one that takes longer has failed. It is noticed after at most
    /// twice this time.
    pub handler_ms: u64,
    /// Most aggregates that may be parked in one partition. The partition stops at an event that would park one more, and
    /// goes on by itself once that event succeeds or another aggregate is no longer parked.
    pub parked: usize,
    /// How long events of a join lie, in milliseconds, before idle partitions are closed for them: see
    /// [`Join::lag`](crate::feed::Join::lag).
    pub join_lag_ms: u64,
    /// How long is waited at the log's head while nothing comes.
    pub polling: Pauses,
    /// How long is waited for a database that is down, or before a partition that failed starts again; jitter takes up to
    /// half of it.
    pub outage: Pauses,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            batch_records: limits::PAGE_RECORDS,
            attempts: 5,
            retry: Pauses { shortest_ms: 100, longest_ms: 10_000 },
            handler_ms: 30_000,
            parked: 256,
            join_lag_ms: 20,
            polling: Pauses::default(),
            outage: Pauses { shortest_ms: 50, longest_ms: 10_000 },
        }
    }
}

impl Settings {
    /// Most parked aggregates of a partition.
    pub(super) fn most_parked(&self) -> usize {
        self.parked.min(limits::PARKED_AGGREGATES)
    }
}
