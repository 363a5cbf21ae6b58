//! Settings of an HTTP sink.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// How a receiver is spoken to. Plain data: put it into your own configuration. The secret is none of it:
/// [`HttpSink::signed`](crate::buffer::HttpSink::signed).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpSettings {
    /// How long connecting may take, TLS included, in milliseconds, at least 1.
    pub connect_timeout_ms: u64,
    /// How long a whole try may take, in milliseconds, at least 1. Of this and the destination's
    /// [`timeout_ms`](crate::buffer::DestinationSettings::timeout_ms) the shorter one counts.
    pub timeout_ms: u64,
    /// Requests that are under way at once, over all partitions, at least 1; further ones wait. There are no more
    /// connections than that.
    pub connections: usize,
    /// Plain HTTP to another machine: whoever sits between reads and changes the messages. Without this it goes to
    /// loopback addresses only.
    pub allow_plain_http: bool,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self { connect_timeout_ms: 3_000, timeout_ms: 9_000, connections: 64, allow_plain_http: false }
    }
}

impl HttpSettings {
    pub(super) fn check(&self) -> Result<()> {
        let connections = u64::try_from(self.connections).unwrap_or(u64::MAX);
        let least = [
            ("connect_timeout_ms", self.connect_timeout_ms),
            ("timeout_ms", self.timeout_ms),
            ("connections", connections),
        ];
        match least.iter().find(|(_, value)| *value == 0) {
            Some((name, _)) => Err(Error::invalid(format!("the setting `{name}` of an HTTP sink"))
                .expected("at least 1", 0)
                .advice("correct the configuration")),
            None => Ok(()),
        }
    }
}
