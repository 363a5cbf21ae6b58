//! The sink itself.

use std::fmt;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::context::{ContextBuilder, PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::{Context, ErrorCode};
use async_nats::{Client, ConnectOptions};
use async_trait::async_trait;

use crate::buffer::delivery::{CLOUD_EVENT, Delivery};
use crate::buffer::sink::{Answer, Sink};
use crate::buffer::sinks::nats::settings::NatsSettings;
use crate::buffer::sinks::nats::stream;
use crate::error::{Error, ErrorKind, Result};

/// What headers may take of the largest message, in bytes.
const HEADERS: usize = 1_024;

/// Publishes messages to a JetStream stream, as CloudEvents in JSON, and answers when the stream has acknowledged them.
///
/// The subject is the prefix and the topic, `Nats-Msg-Id` the message's id: what comes again within the stream's duplicate
/// window is acknowledged and not stored again. What is too large for the server is [`Refused`](Answer::Refused), anything
/// else that goes wrong [`Later`](Answer::Later). The client connects again by itself.
#[derive(Clone)]
pub struct NatsSink {
    context: Context,
    client: Client,
    settings: NatsSettings,
}

impl NatsSink {
    /// Connects to a server, or to one of several with commas between, and checks the stream. For credentials and
    /// certificates make a client, and give it to [`over`](Self::over).
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) when nobody answers; those of [`over`](Self::over).
    pub async fn connect(servers: &str, settings: NatsSettings) -> Result<Self> {
        settings.check()?;
        let limit = Duration::from_millis(settings.timeout_ms);
        let addresses: Vec<_> = servers.split(',').map(str::trim).collect();
        let client =
            ConnectOptions::new().connection_timeout(limit).connect(addresses).await.map_err(|error| {
                Error::new(ErrorKind::Unavailable, "the NATS server cannot be reached")
                    .caused_by(error)
                    .advice("see that the address is right and the server runs")
            })?;
        Self::over(client, settings).await
    }

    /// Publishes by this client, and checks the stream.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) when a setting breaks its bound, when there is no such stream, and when it does not
    /// take the subjects, forgets ids too early, acknowledges nothing, or is kept in memory.
    /// [`Unavailable`](ErrorKind::Unavailable) when the server does not answer, or has no JetStream.
    pub async fn over(client: Client, settings: NatsSettings) -> Result<Self> {
        settings.check()?;
        let limit = Duration::from_millis(settings.timeout_ms);
        let context = ContextBuilder::new().timeout(limit).ack_timeout(limit).build(client.clone());
        stream::check(&context, &settings).await?;
        Ok(Self { context, client, settings })
    }

    fn message(&self, id: &str, body: Vec<u8>) -> PublishMessage {
        PublishMessage::build()
            .payload(body.into())
            .message_id(id)
            .expected_stream(&self.settings.stream)
            .header("content-type", CLOUD_EVENT)
    }
}

#[async_trait]
impl Sink for NatsSink {
    async fn send(&self, delivery: &Delivery) -> Answer {
        // What is published meanwhile would be kept by the client, and sent once more later.
        if self.client.connection_state() != State::Connected {
            return Answer::later("the NATS server cannot be reached");
        }
        let body = match delivery.cloud_event() {
            Ok(body) => body,
            Err(error) => return Answer::refused(error),
        };
        let most = self.client.max_payload();
        if body.len().saturating_add(HEADERS) > most {
            return Answer::refused(format!(
                "{} bytes and headers are too many for the server, which takes {most}: raise its max_payload",
                body.len()
            ));
        }
        let subject = format!("{}{}", self.settings.prefix, delivery.message.topic);
        let message = self.message(&delivery.message.id.to_string(), body);
        let published = match self.context.send_publish(subject, message).await {
            Ok(acknowledged) => acknowledged.await,
            Err(error) => Err(error),
        };
        match published {
            Ok(_) => Answer::Taken,
            Err(error) if is_too_large(&error) => Answer::refused(error),
            Err(error) => Answer::later(error),
        }
    }
}

fn is_too_large(error: &PublishError) -> bool {
    let source = std::error::Error::source(error);
    let code = source.and_then(|source| source.downcast_ref::<async_nats::jetstream::Error>());
    error.kind() == PublishErrorKind::MaxPayloadExceeded
        || code.is_some_and(|code| code.error_code() == ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM)
}

impl fmt::Debug for NatsSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsSink").field("settings", &self.settings).finish_non_exhaustive()
    }
}
