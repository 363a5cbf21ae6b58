//! One store made of two: side streams in the gateway's database, aggregates in the ledger's.
//!
//! The two have no common commit, so a unit has one stream only ([`Atomicity::Stream`](crate::store::Atomicity))
//! and the protocol's three steps carry a command: `Requested` in the gateway, events in the ledger, `Accepted`
//! in the gateway. Whatever is left open by a crash is settled by [`recover`](crate::CommandHandler::recover).
//!
//! # Logs and positions
//!
//! `read_log` and `read_types` show the ledger's log: what projections want. Positions of aggregate streams are
//! places in it, also in receipts and in `Accepted` records. Positions of side streams are places in the
//! gateway's log, which [`SplitStore::gateway`] reads. See [`LogScope::Aggregates`](crate::store::LogScope).
//!
//! # Anchors
//!
//! Each of the two remembers the other one: its id, and by partition the last position with the checksum of the
//! record there. When the two are opened, each must still have what the other one remembers; an older backup of
//! one of them is refused with [`LostHistory`](crate::ErrorKind::LostHistory). An anchor is a record of a reserved
//! stream in the last partition. No log of this store shows it, and positions in that partition have a hole where
//! it stands, as they have where records were removed. The last eight are kept.
//!
//! What was written after the last anchor is not covered: call [`SplitStore::anchor`] from time to time, and before
//! the service ends.

mod anchor;
mod anchoring;
mod half;
mod open;
mod store;

pub use store::SplitStore;
