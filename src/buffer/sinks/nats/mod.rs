//! Messages to NATS JetStream.

mod settings;
mod sink;
mod stream;

pub use settings::NatsSettings;
pub use sink::NatsSink;
