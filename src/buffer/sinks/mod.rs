//! Sinks that come with the crate.

mod channel;

pub use channel::ChannelSink;
