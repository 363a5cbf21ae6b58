//! The feed: a partition's log in order, page by page, for whoever follows it.
//!
//! A [`Cursor`] reads what a [`Selection`] asks for, from a position on, and never goes back. It reads one page ahead,
//! checks each record's checksum and, where it reads the whole log, that each stream's versions continue: a record that
//! is missing stops it, by the stream's name. [`Wake`] waits at the head until more is there. Where a processor stands is
//! its own business: it keeps the position beside what it made of the records. A [`Join`] merges several selections, all
//! partitions together, by the time of their records.

mod continuity;
mod cursor;
mod input;
mod join;
mod positions;
mod selection;
mod wake;

pub use cursor::{Cursor, FeedPage};
pub use join::{Join, JoinPage, Joined};
pub use positions::JoinPositions;
pub use selection::Selection;
pub use wake::{Pauses, Wake};
