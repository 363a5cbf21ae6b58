//! Messages to an HTTP receiver.

mod address;
mod answer;
mod secret;
mod settings;
mod sink;

pub use secret::SigningSecret;
pub use settings::HttpSettings;
pub use sink::HttpSink;
