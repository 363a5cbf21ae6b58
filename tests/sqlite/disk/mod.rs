//! A disk in memory that fails as disks do, under a SQLite VFS of its own.

pub mod model;
mod vfs;

pub use model::{Faults, Rng};
pub use vfs::{NAME, create, with};
