//! Where messages go.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::buffer::delivery::Delivery;

/// What became of a message that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Answer {
    /// The receiver has it for good. It is not sent again, but for a crash before that is recorded.
    Taken,
    /// The receiver cannot take anything now: it is down, too busy, or did not answer. The message is sent again for as
    /// long as it takes, and never parked; after a few such answers in a row nothing is sent there for a while.
    Later {
        /// How long the receiver asked to be left alone.
        after: Option<Duration>,
        /// What it said, for people.
        why: String,
    },
    /// The receiver does not want this message. It is sent a few times more; then it is parked, and later ones of its key
    /// with it, until somebody has looked.
    Refused {
        /// What it said, for people.
        why: String,
    },
}

impl Answer {
    /// [`Later`](Self::Later), without a wish for how long.
    pub fn later(why: impl fmt::Display) -> Self {
        Self::Later { after: None, why: why.to_string() }
    }

    /// [`Refused`](Self::Refused).
    pub fn refused(why: impl fmt::Display) -> Self {
        Self::Refused { why: why.to_string() }
    }
}

/// A receiver of messages.
///
/// `send` is called once for each try of each message, by whoever holds the lease of its partition: for messages of one
/// key one after the other, as they were recorded; for different keys side by side, up to
/// [`at_once`](crate::buffer::DestinationSettings::at_once) in a partition. It may be called again for a message that was
/// taken, after a crash or when the lease moved: receivers know it by its [`id`](crate::message::MessageId), which never
/// changes, as its content never does.
///
/// It may do whatever takes less than [`timeout_ms`](crate::buffer::DestinationSettings::timeout_ms); after that its future
/// is dropped, and the answer is [`Later`](Answer::Later). A panic counts as [`Refused`](Answer::Refused). It must not
/// answer [`Taken`](Answer::Taken) before the receiver has the message for good.
///
/// ```
/// use async_trait::async_trait;
/// use sidestream::buffer::{Answer, Delivery, Sink};
///
/// /// Prints messages, for people.
/// #[derive(Debug)]
/// struct Print;
///
/// #[async_trait]
/// impl Sink for Print {
///     async fn send(&self, delivery: &Delivery) -> Answer {
///         match std::str::from_utf8(&delivery.message.data) {
///             Ok(text) => println!("{}: {text}", delivery.message.topic),
///             Err(error) => return Answer::refused(error), // parked, after a few tries
///         }
///         Answer::Taken
///     }
/// }
/// ```
#[async_trait]
pub trait Sink: fmt::Debug + Send + Sync + 'static {
    /// Sends one message, and says what became of it.
    async fn send(&self, delivery: &Delivery) -> Answer;
}

#[async_trait]
impl<S: Sink + ?Sized> Sink for Arc<S> {
    async fn send(&self, delivery: &Delivery) -> Answer {
        (**self).send(delivery).await
    }
}
