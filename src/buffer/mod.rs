//! The event buffer: messages of decisions, sent to others, each at least once and for each key in order.
//!
//! A decision carries messages ([`Events::with_message`](crate::Events::with_message)); they are recorded in the command's
//! own unit. An [`EventBuffer`] sends them from the log to destinations: to each the topics that it takes, through a [`Sink`].
//! How far each came stands beside the log, guarded by the epoch of whoever publishes the partition. So nothing is lost
//! by a crash, and what is sent twice has the same id and the same content.
//!
//! ```
//! use sidestream::buffer::{ChannelSink, Destination, EventBuffer};
//! use sidestream::runtime::Runtime;
//! use sidestream::{MemoryStore, Topic};
//! # use serde::{Deserialize, Serialize};
//! # use sidestream::{Category, Decider, Events, Message, StepName};
//! # struct Account;
//! # impl Decider for Account {
//! #     const CATEGORY: Category = Category::new("account");
//! #     const TOPICS: &'static [Topic] = &[CAPTURED];
//! #     type Command = (); type Event = (); type Rejection = (); type State = (); type Transaction = ();
//! #     fn step(_: &()) -> StepName { StepName::new("capture") }
//! #     fn decide(&self, _: &(), _: &(), _: &()) -> Result<Events<()>, ()> { Ok(().into()) }
//! #     fn evolve(_: &mut (), _: &()) {}
//! #     fn settle(_: &mut (), _: &()) {}
//! #     fn event_type(_: &()) -> &'static str { "Captured" }
//! # }
//!
//! const CAPTURED: Topic = Topic::new("payments.captured");
//!
//! # sidestream::testkit::run(async {
//! let store = MemoryStore::new();
//! let (sink, mut messages) = ChannelSink::new(64);
//! let buffer = EventBuffer::new(store.clone())
//!     .of::<Account>() // which names the topic
//!     .to(Destination::new("ledger", sink, [CAPTURED])?);
//! let mut service = Runtime::builder(store);
//! for processor in buffer.processors()? {
//!     service = service.processor(processor);
//! }
//! let service = service.start()?; // from here on, `messages.recv().await`
//! service.shutdown().await;
//! # assert!(messages.try_recv().is_err());
//! # Ok::<(), sidestream::Error>(())
//! # }).unwrap();
//! ```
//!
//! A receiver that is down is left alone and probed (a circuit breaker); one that refuses a message has it parked, with its
//! key's later ones, and other keys go on ([`ParkedMessages`]). [`Backlog`] tells depth, age, rates and the time to drain.

mod backlog;
mod breaker;
mod catch_up;
mod collector;
mod delivery;
mod destination;
mod destinations;
mod event_buffer;
mod ground;
mod line;
mod parked;
mod place;
mod publisher;
mod publishing;
mod run;
mod sending;
mod settings;
mod sink;
mod sinks;
mod statuses;
mod window;

pub use backlog::{Backlog, BacklogLimit, BacklogWatch};
pub use delivery::{CLOUD_EVENT, Delivery};
pub use destination::{Destination, DestinationName};
pub use event_buffer::EventBuffer;
pub use parked::{Asked, ParkedKey, ParkedMessages, Remedy};
pub use settings::DestinationSettings;
pub use sink::{Answer, Sink};
pub use sinks::{ChannelSink, FileSink, Received};
#[cfg(feature = "http-sink")]
pub use sinks::{HttpSettings, HttpSink, SigningSecret};
#[cfg(feature = "nats")]
pub use sinks::{NatsSettings, NatsSink};
