//! Controls: canonical values for tests, the same everywhere, so that a test says only what it is about.

use crate::clock::Timestamp;
use crate::id::TransactionId;
use crate::stream::AggregateId;

/// An aggregate's id.
///
/// # Panics
/// Never.
#[must_use]
pub fn aggregate_id() -> AggregateId {
    AggregateId::new("control").expect("valid")
}

/// Another aggregate's id; a different one for each number.
///
/// # Panics
/// Never.
#[must_use]
pub fn other_aggregate_id(number: u32) -> AggregateId {
    AggregateId::new(format!("control-{number}")).expect("valid")
}

/// A transaction's id.
#[must_use]
pub fn transaction_id() -> TransactionId {
    TransactionId::derive("control", "transaction")
}

/// Another transaction's id; a different one for each number.
#[must_use]
pub fn other_transaction_id(number: u32) -> TransactionId {
    TransactionId::derive("control", &number.to_string())
}

/// A moment: 2000-01-01 00:00:00 UTC.
#[must_use]
pub const fn timestamp() -> Timestamp {
    Timestamp::from_micros(946_684_800_000_000)
}
