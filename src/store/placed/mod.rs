//! One store made of several: each partition is placed on one of them.
//!
//! An aggregate and its side streams share a partition, so a command never crosses from one database to
//! another; what a unit may hold is what the stores allow. A store that is down fails its own partitions, and
//! no others.
//!
//! The placement is not stored anywhere. It is part of the [`id`](crate::store::StoreProperties::id), so that
//! an altered placement is another store; [`Placement`] tells which mistakes are found when it is opened.
//! Moving a partition while commands are served is not supported.

mod placement;
mod store;

pub use placement::Placement;
pub use store::PlacedStore;
