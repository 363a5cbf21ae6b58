//! How a worker is doing, and what it knows of the others.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::cluster::spread::{Assignment, Member};
use crate::cluster::unowned::Unowned;
use crate::error::Error;
use crate::lease::Lease;
use crate::processor::ProcessorStatus;

/// A partition that this worker holds.
#[derive(Debug, Clone)]
pub struct HeldStatus {
    /// Which.
    pub assignment: Assignment,
    /// The epoch of its lease, under which it is run.
    pub epoch: u64,
    /// Whether it is run now. Otherwise it is being handed over, its lease is not trusted, or it failed.
    pub is_running: bool,
    /// Why it is held and not run: somebody has to look first, then start the worker again.
    pub failed: Option<Error>,
    /// How the processor is doing there.
    pub processor: Option<ProcessorStatus>,
}

/// How a worker is doing, as of its last round.
#[derive(Debug, Clone, Default)]
pub struct ClusterStatus {
    /// The worker's id, new with every start.
    pub worker: Uuid,
    /// Its name.
    pub name: String,
    /// What it holds.
    pub held: Vec<HeldStatus>,
    /// Who is there, itself included.
    pub members: BTreeSet<Member>,
    /// Who has which lease, as it was last read, of all processors. One that expired may be claimed by anybody.
    pub leases: BTreeMap<Assignment, Lease>,
    /// What nobody has run for longer than the lease time, of all processors that are known.
    pub unowned: Vec<Unowned>,
    /// What the store last said when this worker could not say that it is there; `None` while it can.
    pub trouble: Option<Error>,
    /// Rounds so far.
    pub rounds: u64,
    /// Runs that were dropped because a lease was trusted no longer.
    pub distrusted: u64,
    /// Leases that others had claimed by the time.
    pub lost: u64,
    /// Runs that ended because somebody else had the view.
    pub fenced: u64,
}
