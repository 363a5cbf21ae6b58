//! What a runner knows of the rows by which other processes ask and are told.

use crate::clock::Stopwatch;
use crate::projection::lister::Lister;

/// When it looked last, and what it told.
#[derive(Debug, Default)]
pub(super) struct Post {
    pub(super) looked: Option<Stopwatch>,
    pub(super) lister: Option<Lister>,
}
