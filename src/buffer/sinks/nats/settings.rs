//! Settings of a NATS sink.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Longest name of a stream, and longest prefix, in bytes.
const NAME_BYTES: usize = 128;

/// Which stream takes messages, and how. Plain data: put it into your own configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NatsSettings {
    /// The stream, which has to exist.
    pub stream: String,
    /// What stands before the topic in a message's subject, with its dot: `bank.` makes `bank.payments.captured`. May be
    /// empty.
    pub prefix: String,
    /// How long an acknowledgement is waited for, in milliseconds, at least 1. Of this and the destination's
    /// [`timeout_ms`](crate::buffer::DestinationSettings::timeout_ms) the shorter one counts.
    pub timeout_ms: u64,
    /// How long the stream must remember ids, in milliseconds: a message that comes again later is there twice.
    pub duplicate_window_ms: u64,
    /// Also takes a stream that is kept in memory: what it has acknowledged is lost with its servers.
    pub allow_memory: bool,
}

impl Default for NatsSettings {
    fn default() -> Self {
        Self {
            stream: String::new(),
            prefix: String::new(),
            timeout_ms: 5_000,
            duplicate_window_ms: 120_000,
            allow_memory: false,
        }
    }
}

impl NatsSettings {
    pub(super) fn check(&self) -> Result<()> {
        let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'*' | b'>' | b'/' | b'\\');
        let named = |name: &str| name.len() <= NAME_BYTES && name.bytes().all(plain);
        let wrong = |what: &str, expected: &str, found: &str| {
            let shown: String = found.chars().take(NAME_BYTES).collect();
            Err(Error::invalid(format!("the setting `{what}` of a NATS sink"))
                .expected(expected, format!("{shown:?}")))
        };
        if self.stream.is_empty() || self.stream.contains('.') || !named(&self.stream) {
            return wrong("stream", "the name of a JetStream stream", &self.stream);
        }
        let has_gaps = self.prefix.starts_with('.') || self.prefix.contains("..");
        if has_gaps || !named(&self.prefix) {
            return wrong("prefix", "a subject's beginning, such as `bank.`", &self.prefix);
        }
        if self.timeout_ms == 0 {
            return wrong("timeout_ms", "at least 1", "0");
        }
        Ok(())
    }
}
