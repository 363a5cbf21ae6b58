//! Idempotent command handling over very long event streams, for payment services.

pub mod clock;
pub mod codec;
pub mod decider;
pub mod error;
pub mod event;
pub mod fingerprint;
pub mod id;
pub mod limits;
pub mod partition;
pub mod store;
pub mod stream;
#[cfg(feature = "testkit")]
pub mod testkit;

pub use clock::Timestamp;
pub use decider::{Decider, Events};
pub use error::{Error, ErrorKind, Result};
pub use id::{StepName, TransactionId};
pub use store::EventStore;
pub use stream::{AggregateId, Category};

/// The command layer.
#[derive(Debug)]
pub struct CommandHandler;
impl CommandHandler {
    /// x
    pub fn compact() {}
}
