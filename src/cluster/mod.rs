//! Partitions shared by many workers, each partition of a processor run by exactly one of them.
//!
//! Each [`Worker`] says in a guarded row which processors it has the code of, and reads who else is there. From that alone
//! every worker computes the same [shares](spread). It claims partitions that are free up to its share, each by a lease
//! row of its own, and hands over what it has above it: first the runner stops after its batch, then the lease is
//! released. Nobody takes a lease from anybody before it expired.
//!
//! # Why there is one runner
//!
//! - A lease expires by the store's clock; its holder trusts it by a clock of its own that only moves on, counted from
//!   before the request was sent, less a margin ([`lease`](crate::lease)). When trust ends, the runner is dropped, also
//!   while the store does not answer. So, as long as clocks run equally fast within the margin, runners do not overlap.
//! - Where they do all the same, because a process was stopped between two instructions and goes on later, the lease's
//!   epoch is what the view was opened with: of two, the lower one commits nothing any more
//!   ([`projection`](crate::projection)). No decision rests on the time of day.
//!
//! # When who comes and goes
//!
//! A round is a third of a lease's trust. Whoever joins is given partitions within three rounds. Whoever
//! [leaves](Worker::run) releases them first; they are claimed within two. Those of a worker that died are claimed when
//! their leases have expired, within twice the lease time: who has not been heard of for half of it is not waited for,
//! though its own leases stay its own until they expire. A partition that nobody holds for longer than the lease time
//! is an alarm: in every worker's [`ClusterStatus`], in the log, and as a figure.

mod exchange;
mod held;
mod settings;
pub mod spread;
mod status;
mod table;
mod unowned;
mod worker;
mod workers;

pub use settings::ClusterSettings;
pub use spread::{Assignment, Member};
pub use status::{ClusterStatus, HeldStatus};
pub use unowned::{Unowned, UnownedCause};
pub use worker::{Worker, retire};
