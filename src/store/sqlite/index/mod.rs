//! The indexes over the log: where the records of a stream lie, its snapshots, and the units of a partition
//! and of an event type.
//!
//! The log is the only truth; everything here is derived from it and can be made anew. What was committed
//! lately is indexed in memory ([`table`]). A full table is written to the database as a sorted [`run`], by
//! slices that commits do not wait long for; runs of one size are merged into a larger one ([`merge`]), so
//! each entry is written a few times in its life, whatever the keys are and however many there are. At a start
//! the log's tail behind the last run is read again. This is a log-structured merge-tree (O'Neil et al., 1996)
//! with size-tiered merges; each run has a Bloom filter ([`filter`]), so that looking for a new transaction
//! reads nothing.

pub(super) mod block;
pub(super) mod cache;
pub(super) mod entry;
pub(super) mod filter;
pub(super) mod follow;
pub(super) mod keeper;
pub(super) mod live;
pub(super) mod lookup;
pub(super) mod merge;
pub(super) mod outline;
pub(super) mod places;
pub(super) mod run;
pub(super) mod start;
pub(super) mod table;
pub(super) mod work;
