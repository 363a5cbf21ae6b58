//! One message on its way.

use std::sync::Arc;
use std::time::Duration;

use crate::buffer::delivery::Delivery;
use crate::buffer::destination::Destination;
use crate::buffer::sink::Answer;
use crate::clock;
use crate::message::RecordedMessage;
use crate::processor::caught;

/// Sends a message once, and waits no longer than that may take.
pub(super) async fn send(destination: &Destination, message: Arc<RecordedMessage>, refusals: u32) -> Answer {
    let limit = Duration::from_millis(destination.settings.timeout_ms);
    let delivery = Delivery { message, source: Arc::clone(&destination.source), refusals };
    match clock::within(limit, caught(destination.sink.send(&delivery))).await {
        Some(Some(answer)) => answer,
        Some(None) => Answer::refused("the sink panicked"),
        None => Answer::later(format!("no answer within {limit:?}")),
    }
}
