//! Idempotent command handling over very long event streams, for payment services.
//!
//! A client sends a command with a [`TransactionId`] of its own. The command takes effect once, for ever,
//! and every retry hears the same answer, refusals included. A crash at any point is recovered by reading
//! only the tail of one stream, and a load reads one small snapshot and what follows it, whatever the
//! aggregate's age.
//!
//! # A program
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use sidestream::{
//!     AggregateId, Category, CommandHandler, Decider, ErrorKind, Events, MemoryStore, Outcome, Result, StepName,
//!     TransactionId,
//! };
//!
//! #[derive(Serialize, Deserialize)]
//! struct Hold { cents: u32 }
//! #[derive(Serialize, Deserialize)]
//! struct Held { cents: u32 }
//! #[derive(Debug, PartialEq, Serialize, Deserialize)]
//! struct OverLimit;
//! struct Card { limit_cents: u64 }
//!
//! impl Decider for Card {
//!     const CATEGORY: Category = Category::new("card");
//!     type Command = Hold;
//!     type Event = Held;
//!     type Rejection = OverLimit;
//!     type State = u64; // held so far, in cents
//!     type Transaction = ();
//!
//!     fn step(_: &Hold) -> StepName { StepName::new("hold") }
//!     fn decide(&self, held: &u64, _: &(), hold: &Hold) -> Result<Events<Held>, OverLimit> {
//!         let fits = held + u64::from(hold.cents) <= self.limit_cents;
//!         if fits { Ok(Held { cents: hold.cents }.into()) } else { Err(OverLimit) }
//!     }
//!     fn evolve(held: &mut u64, event: &Held) { *held += u64::from(event.cents); }
//!     fn settle(_: &mut (), _: &Hold) {}
//!     fn event_type(_: &Held) -> &'static str { "Held" }
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<()> {
//!     let cards = CommandHandler::new(MemoryStore::new(), Card { limit_cents: 1_000 });
//!     let (card, order) = (AggregateId::new("7")?, TransactionId::derive("order", "1001"));
//!     let first = cards.handle(&card, order, Hold { cents: 600 }).await?;
//!     let retry = cards.handle(&card, order, Hold { cents: 600 }).await?;
//!     assert_eq!(first, retry); // held once, and the same receipt
//!     let other = cards.handle(&card, order, Hold { cents: 601 }).await;
//!     assert_eq!(other.unwrap_err().kind(), ErrorKind::Conflict);
//!     let next = TransactionId::derive("order", "1002");
//!     assert_eq!(cards.handle(&card, next, Hold { cents: 401 }).await?, Outcome::Rejected(OverLimit));
//!     Ok(())
//! }
//! ```
//!
//! With `SqliteStore::open(path)?` in the place of `MemoryStore::new()` the same program survives the
//! process.
//!
//! # The idea
//!
//! Each transaction has a stream of its own, its *side stream*. Its first record, [`Requested`], carries
//! the version that the aggregate's stream had at that moment. Whatever the command did to the aggregate
//! lies after that version, so recovery scans that tail and nothing else. No set of handled ids is kept in
//! memory or in the aggregate's state.
//!
//! [`Requested`]: event::RecordKind::Requested
//!
//! # A tour, in reading order
//!
//! 1. [`decider`]: the [`Decider`] trait, which is all that a user has to write.
//! 2. [`command`]: the front door. [`handle`](CommandHandler::handle) and [`submit`](CommandHandler::submit) a
//!    command, ask for an [`outcome`](CommandHandler::outcome), [`query`](CommandHandler::query) a state,
//!    [`recover`](CommandHandler::recover) open steps, [`overrule`](CommandHandler::overrule) one,
//!    [`compact`](CommandHandler::compact) a stream.
//! 3. [`error`]: what the caller does about each [`ErrorKind`]. A refusal is an [`Outcome`], not an error.
//! 4. [`id`] and [`stream`]: transactions, steps, fingerprints; categories, streams, versions, positions.
//! 5. [`store`]: the contract of an [`EventStore`], with a store in memory, one in SQLite, and two that are made of
//!    stores: partitions on several databases, side streams in a database of their own.
//! 6. [`event`], [`codec`], [`snapshot`], [`fingerprint`]: what is stored, and how it is read years later.
//! 7. [`side_stream`] and [`protocol`]: the state machine that everything above drives.
//! 8. [`limits`], [`partition`], [`clock`], [`lease`]: bounds, partitions, time, and who may work until when.
//! 9. [`feed`] and [`projection`]: following the log, and views that are folded from it, exactly once.
//! 10. [`message`] and [`buffer`]: what a decision tells others, and how it gets there.
//! 11. [`process`]: process managers, which carry a conversation over several aggregates to its end.
//! 12. [`processor`], [`cluster`] and [`runtime`]: partitions shared by several processes, and a service as one thing to
//!     start and stop; [`metric`] names the figures that it gives out.
//! 13. `testkit` (feature): given/when/then and crash-everywhere for deciders, processors inline, the conformance suite for stores.
//! 14. `cli` (feature): the program `sidestream`.
//!
//! # Feature flags
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `sqlite` | yes | `store::sqlite`, the embedded store, and `projection::sqlite`, views in files of their own; with SQLite compiled in |
//! | `bincode` | yes | the compact codec, as the one that writes; without it records are written as JSON, and records written by bincode cannot be read |
//! | `postgres` | no | `store::postgres`, shared by processes, and `projection::postgres`, views in a database; with `testkit`: private PostgreSQL servers for tests |
//! | `http-sink` | no | `buffer::HttpSink`: messages to HTTP receivers, signed |
//! | `nats` | no | `buffer::NatsSink`: messages to NATS JetStream |
//! | `testkit` | no | `testkit`, with proptest |
//! | `cli` | no | `cli`, and the program `sidestream`, which measures stores (`sidestream bench`) and makes those in PostgreSQL (`sidestream migrate`) |
//! | `full` | no | all of these |
//!
//! What is promised, how, within which limits, and which test proves it stands in the repository's
//! `docs/guarantees.md`.

pub mod buffer;
#[cfg(feature = "cli")]
pub mod cli;
pub mod clock;
pub mod cluster;
pub mod codec;
pub mod command;
pub mod decider;
pub mod error;
pub mod event;
pub mod feed;
pub mod fingerprint;
mod hash;
pub mod id;
pub mod lease;
pub mod limits;
pub mod message;
pub mod metric;
pub mod partition;
pub mod process;
pub mod processor;
pub mod projection;
pub mod protocol;
pub mod runtime;
pub mod side_stream;
pub mod snapshot;
pub mod store;
pub mod stream;
#[cfg(feature = "testkit")]
pub mod testkit;

pub use decider::{Decider, Events, Schemas};

pub use command::{CommandHandler, Outcome, Receipt, Recovery, Reply, ReplyHandler, Settings};
pub use error::{Error, ErrorKind, Result};

pub use clock::Timestamp;
pub use id::{StepName, TransactionId};
pub use message::{Message, Topic};
pub use stream::{AggregateId, Category, Position, Version};

pub use codec::{Codecs, Encoded};
pub use store::EventStore;
pub use store::memory::MemoryStore;
pub use store::placed::PlacedStore;
pub use store::split::SplitStore;
#[cfg(feature = "sqlite")]
pub use store::sqlite::SqliteStore;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
