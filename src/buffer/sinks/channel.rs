//! Messages into a channel of this process.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};

use crate::buffer::delivery::Delivery;
use crate::buffer::sink::{Answer, Sink};
use crate::message::RecordedMessage;

/// Hands messages to a task of this process, which confirms each: [`Received::taken`] once it is done with it for good.
/// A message that is dropped instead comes again.
#[derive(Debug)]
pub struct ChannelSink(mpsc::Sender<Received>);

impl ChannelSink {
    /// A sink, and where its messages come out. So many wait in between at most.
    ///
    /// # Panics
    /// When `room` is zero, as tokio's channels do.
    #[must_use]
    pub fn new(room: usize) -> (Self, mpsc::Receiver<Received>) {
        let (sender, receiver) = mpsc::channel(room);
        (Self(sender), receiver)
    }
}

/// A message that waits to be confirmed.
#[derive(Debug)]
pub struct Received {
    message: Arc<RecordedMessage>,
    answer: oneshot::Sender<Answer>,
}

impl Received {
    /// The message.
    #[must_use]
    pub fn message(&self) -> &RecordedMessage {
        &self.message
    }

    /// It is done with for good.
    pub fn taken(self) {
        self.answer(Answer::Taken);
    }

    /// Another answer.
    pub fn answer(self, answer: Answer) {
        // Whoever sent it may have given up: then the message comes again.
        drop(self.answer.send(answer));
    }
}

#[async_trait]
impl Sink for ChannelSink {
    async fn send(&self, delivery: &Delivery) -> Answer {
        let (answer, answered) = oneshot::channel();
        let received = Received { message: Arc::clone(&delivery.message), answer };
        if self.0.send(received).await.is_err() {
            return Answer::later("nobody receives from the channel");
        }
        answered.await.unwrap_or_else(|_| Answer::later("the message was dropped"))
    }
}
