//! Stores: the conformance suite on the store in memory, the suite itself, and the store with faults.

mod broken;
mod contract;
mod effort;
mod faults;
mod hooks;
mod memory;
