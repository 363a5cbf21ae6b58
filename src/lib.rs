//! Idempotent command handling over very long event streams, for payment services.

pub mod clock;
pub mod codec;
pub mod command;
pub mod decider;
pub mod error;
pub mod event;
pub mod fingerprint;
pub mod id;
pub mod limits;
pub mod partition;
pub mod protocol;
pub mod side_stream;
pub mod snapshot;
pub mod store;
pub mod stream;
#[cfg(feature = "testkit")]
pub mod testkit;

pub use clock::Timestamp;
pub use command::{CommandHandler, Outcome, Receipt};
pub use decider::{Decider, Events};
pub use error::{Error, ErrorKind, Result};
pub use id::{StepName, TransactionId};
pub use store::EventStore;
pub use stream::{AggregateId, Category};
