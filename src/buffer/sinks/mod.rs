//! Sinks that come with the crate.

mod channel;
mod file;
#[cfg(feature = "http-sink")]
mod http;
#[cfg(feature = "nats")]
mod nats;

pub use channel::{ChannelSink, Received};
pub use file::FileSink;
#[cfg(feature = "http-sink")]
pub use http::{HttpSettings, HttpSink, SigningSecret};
#[cfg(feature = "nats")]
pub use nats::{NatsSettings, NatsSink};
