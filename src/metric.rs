//! The figures that the crate gives out, through the `metrics` facade: whoever installs a recorder gets them.
//!
//! `docs/metrics.md` says what each means. This is the only file that names them.

use std::time::Duration;

use metrics::{counter, gauge};

use crate::partition::PartitionId;

/// Records of the log between the checkpoint and the head.
pub const LAG_RECORDS: &str = "sidestream_lag_records";
/// How long the oldest event has waited that was read and has not taken effect, in seconds.
pub const LAG_SECONDS: &str = "sidestream_lag_seconds";
/// Events that took effect.
pub const EVENTS_APPLIED: &str = "sidestream_events_applied_total";
/// Times that an event was tried again.
pub const RETRIES: &str = "sidestream_retries_total";
/// Aggregates that are parked.
pub const PARKED: &str = "sidestream_parked_aggregates";
/// Changes of leases, by what happened.
pub const LEASE_CHANGES: &str = "sidestream_lease_changes_total";
/// Writes that were refused because somebody else has the partition.
pub const FENCED_WRITES: &str = "sidestream_fenced_writes_total";
/// Partitions that nobody has run for longer than the lease time.
pub const UNOWNED_PARTITIONS: &str = "sidestream_unowned_partitions";

/// Messages that wait for a destination.
pub const BACKLOG_MESSAGES: &str = "sidestream_backlog_messages";
/// How long the oldest message has waited for a destination, in seconds.
pub const BACKLOG_SECONDS: &str = "sidestream_backlog_seconds";
/// Keys that a destination has parked.
pub const PARKED_KEYS: &str = "sidestream_parked_keys";

/// All of them.
pub const ALL: [&str; 11] = [
    LAG_RECORDS,
    LAG_SECONDS,
    EVENTS_APPLIED,
    RETRIES,
    PARKED,
    LEASE_CHANGES,
    FENCED_WRITES,
    UNOWNED_PARTITIONS,
    BACKLOG_MESSAGES,
    BACKLOG_SECONDS,
    PARKED_KEYS,
];

/// A lease was claimed.
pub(crate) const CLAIMED: &str = "claimed";
/// A lease was given up.
pub(crate) const RELEASED: &str = "released";
/// Another worker claimed a lease that this one held.
pub(crate) const LOST: &str = "lost";
/// A run was dropped because its lease was trusted no longer.
pub(crate) const DISTRUSTED: &str = "distrusted";

/// A lease changed.
pub(crate) fn lease_changed(processor: impl ToString, change: &'static str) {
    counter!(LEASE_CHANGES, "processor" => processor.to_string(), "change" => change).increment(1);
}

/// So many partitions are unowned.
pub(crate) fn unowned(partitions: usize) {
    gauge!(UNOWNED_PARTITIONS).set(whole(u64::try_from(partitions).unwrap_or(u64::MAX)));
}

/// So much waits for a destination.
pub(crate) fn backlog(destination: impl ToString, messages: u64, oldest: Duration, parked_keys: usize) {
    let labels = [("destination", destination.to_string())];
    gauge!(BACKLOG_MESSAGES, &labels).set(whole(messages));
    gauge!(BACKLOG_SECONDS, &labels).set(oldest.as_secs_f64());
    gauge!(PARKED_KEYS, &labels).set(whole(u64::try_from(parked_keys).unwrap_or(u64::MAX)));
}

/// The figures of one processor in one partition. They stay registered, so that giving one out costs no look-up.
pub(crate) struct Figures {
    lag_records: metrics::Gauge,
    lag_seconds: metrics::Gauge,
    parked: metrics::Gauge,
    applied: metrics::Counter,
    retries: metrics::Counter,
    fenced: metrics::Counter,
}

impl Figures {
    pub(crate) fn of(processor: impl ToString, partition: PartitionId) -> Self {
        let labels = [("processor", processor.to_string()), ("partition", partition.to_string())];
        Self {
            lag_records: gauge!(LAG_RECORDS, &labels),
            lag_seconds: gauge!(LAG_SECONDS, &labels),
            parked: gauge!(PARKED, &labels),
            applied: counter!(EVENTS_APPLIED, &labels),
            retries: counter!(RETRIES, &labels),
            fenced: counter!(FENCED_WRITES, &labels),
        }
    }

    /// How far behind it is.
    pub(crate) fn lag(&self, records: u64, time: Duration) {
        self.lag_records.set(whole(records));
        self.lag_seconds.set(time.as_secs_f64());
    }

    /// So many aggregates are parked.
    pub(crate) fn parked(&self, aggregates: usize) {
        self.parked.set(whole(u64::try_from(aggregates).unwrap_or(u64::MAX)));
    }

    /// So many events took effect.
    pub(crate) fn applied(&self, events: usize) {
        self.applied.increment(u64::try_from(events).unwrap_or(u64::MAX));
    }

    /// An event was tried again.
    pub(crate) fn retried(&self) {
        self.retries.increment(1);
    }

    /// A write was refused.
    pub(crate) fn fenced(&self) {
        self.fenced.increment(1);
    }

    /// It runs here no longer: whoever runs it tells its lag.
    pub(crate) fn gone(&self) {
        self.lag(0, Duration::ZERO);
        self.parked(0);
    }
}

/// A count as a gauge takes it: exact up to 2⁵³, and near enough above.
#[allow(clippy::as_conversions, reason = "there is no other way from u64 to f64")]
pub(crate) fn whole(count: u64) -> f64 {
    count as f64
}
