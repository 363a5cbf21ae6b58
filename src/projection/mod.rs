//! Projections: views that are folded from the log, exactly once.
//!
//! A [`Projection`] says what an event does to a view's rows. A [`View`] keeps the rows, and with them, in the same
//! transactions, how far it has come: so each event takes effect once, whatever dies when. A [`Runner`] carries one
//! projection through one partition; a [`Daemon`] runs all partitions of several projections in one process.
//!
//! ```
//! use sidestream::projection::{Daemon, Event, Failure, MemoryView, Projection};
//! use sidestream::MemoryStore;
//!
//! struct Count;
//!
//! impl Projection<u64> for Count {
//!     const NAME: &'static str = "count";
//!
//!     async fn apply(&self, rows: &mut u64, _event: &Event<'_>) -> Result<(), Failure> {
//!         *rows += 1;
//!         Ok(())
//!     }
//! }
//!
//! # sidestream::testkit::run(async {
//! let view = MemoryView::<u64>::new();
//! let daemon = Daemon::builder(MemoryStore::new()).project(Count, view.clone()).start()?;
//! // … handle commands, `daemon.wait_for("count", &account, receipt)`, and then:
//! daemon.shutdown().await;
//! # Ok::<(), sidestream::Error>(())
//! # }).unwrap();
//! ```
//!
//! # What a handler may rely on
//!
//! - Events of one stream come in order, and each takes effect once. A handler is *called* again when its transaction
//!   was rolled back: because a later event of the batch failed, the database was lost, or the process died. What it
//!   does besides its rows is its own affair.
//! - A failure (an error, a panic, no return in time) is tried again with growing pauses; then the event's aggregate is
//!   *parked*, by its cardinal id: this event and its later ones wait, everything else goes on. [`Projections::parked`] lists
//!   them, [`Projections::retry`] applies what waits, [`Projections::skip`] leaves exactly one event out; both are kept with who
//!   did it and why. Nothing is ever skipped by itself.
//! - A database that cannot be reached is waited for, for as long as it takes, and parks nothing. A handler that writes
//!   elsewhere says so with an error of kind [`Unavailable`](crate::ErrorKind::Unavailable).
//!
//! # Making a view anew
//!
//! A [`Rebuild`] fills another generation of a view's rows from the log's beginning, beside the live one, and switches
//! readers over at an exact position of each partition. Its events are [replays](Event::is_replay).
//!
//! # From other processes
//!
//! What is parked is listed beside the log, for [`ParkedAggregates`]; what operators do about it is asked for by
//! [`RequestRows`]. On the command line both are `sidestream parked`. A [`Rebuilder`] makes a view anew when [`RebuildRows`] ask
//! for it: `sidestream rebuild`.
//!
//! # Who may run
//!
//! A view lets nobody write below the highest epoch that it was opened with, nor who does not stand where it stands: the
//! loser hears [`Fenced`](crate::ErrorKind::Fenced) and has changed nothing.

mod batch;
mod bound;
mod ceiling;
mod checkpoint;
mod content;
mod daemon;
mod definition;
pub mod elsewhere;
mod event;
mod failure;
mod generation;
mod lister;
mod listing;
mod memory;
mod parked;
mod place;
mod post;
mod posted;
#[cfg(feature = "postgres")]
pub mod postgres;
mod progress;
mod projections;
mod projector;
mod rebuild;
mod rebuild_ground;
mod rebuild_progress;
mod rebuild_rows;
mod rebuild_work;
mod rebuilder;
mod repair;
mod request;
mod request_rows;
mod runner;
mod seats;
mod session;
mod settings;
mod source;
#[cfg(feature = "sqlite")]
pub mod sqlite;
mod status;
mod supervisor;
mod view;
mod worker;

pub use batch::Batch;
pub use content::ContentHash;
pub use daemon::{Builder, Daemon};
pub use definition::{Definition, Failure, Projection, project_fn};
pub use elsewhere::{ElsewhereRows, ElsewhereView, Stamp};
pub use event::Event;
pub use failure::ViewFailure;
pub use generation::{Ceiling, Demands, Generational, Generations, Hold, Stand, Switched};
pub use listing::{Listing, ParkedAggregates};
pub use memory::{MemoryContent, MemoryView};
pub use parked::{Action, Audited, Operator, Parked, Repaired};
pub use place::{Place, ProjectionId};
#[cfg(feature = "postgres")]
pub use postgres::{PostgresContent, PostgresRows, PostgresView};
pub use progress::Progress;
pub use projections::Projections;
pub use projector::Projector;
pub use rebuild::Rebuild;
pub use rebuild_progress::{Built, RebuildProgress};
pub use rebuild_rows::{RebuildAction, RebuildAnswer, RebuildAsked, RebuildRows, RebuildStand};
pub use rebuilder::Rebuilder;
pub use request::{Request, Requests};
pub use request_rows::{Answer, Asked, RequestRows};
pub use runner::Runner;
pub use settings::Settings;
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteContent, SqliteRows, SqliteView};
pub use status::{State, Status};
pub use view::{Change, Limits, Opened, View, Work};
