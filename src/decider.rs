//! What a user writes: pure rules, without async, without a store.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec::{Codecs, Encoded};
use crate::error::{Error, Result};
use crate::event::Record;
use crate::id::StepName;
use crate::message::{Message, Topic};
use crate::stream::Category;

/// What a value must be able to do to be stored. Implemented for every type that can.
pub trait Stored: Serialize + DeserializeOwned + Send + Sync + 'static {}

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Stored for T {}

/// Today's schema versions of what a decider stores. Raise one when its type changes, and teach the
/// matching upcaster to read the older bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schemas {
    /// Of commands, which are kept in `Requested` records and are part of the fingerprint.
    pub command: u16,
    /// Of events.
    pub event: u16,
    /// Of rejections.
    pub rejection: u16,
    /// Of the transaction's state, which each `Accepted` record carries.
    pub transaction: u16,
    /// Of snapshots. Older ones are upcast where the decider knows how, and else skipped, never misread.
    pub snapshot: u16,
}

impl Schemas {
    /// The first version of everything.
    pub const V1: Self = Self { command: 1, event: 1, rejection: 1, transaction: 1, snapshot: 1 };
}

/// The rules of one kind of aggregate, after Jérémie Chassaing's decider: a function that decides, and
/// functions that fold what was decided.
///
/// All functions are pure: they read no clock, no random numbers, no outside world. They may be called
/// any number of times for one command (after a lost race, by recovery, by another process), and only
/// the decision that is committed counts. A panic in one fails that command alone, with
/// [`Invalid`](crate::ErrorKind::Invalid).
pub trait Decider: Send + Sync + 'static {
    /// The durable name of this kind of aggregate, in front of every stream's name.
    const CATEGORY: Category;

    /// Today's schema versions.
    const SCHEMAS: Schemas = Schemas::V1;

    /// The topics of the messages that its decisions send. A message with another topic is refused when it is decided,
    /// before anything is written; a topic that goes nowhere is refused when a buffer is started.
    const TOPICS: &'static [Topic] = &[];

    /// What can be asked for. It must hold what the *client* said and nothing that a server adds (a time
    /// of receipt, say): a retry is compared by its content.
    type Command: Stored;

    /// What can happen.
    type Event: Stored;

    /// Why something is refused. Final: a retry hears the same reason.
    type Rejection: Stored;

    /// What the aggregate's events fold to, and what a snapshot holds. Keep it small.
    type State: Default + Stored;

    /// What the accepted steps of one transaction fold to (an amount held and not yet captured, say).
    /// Each `Accepted` record carries it; at most 1 KiB.
    type Transaction: Default + Stored;

    /// The step that a command is. A step is settled once in a transaction.
    fn step(command: &Self::Command) -> StepName;

    /// Decides. `state` is the aggregate at one exact version, `transaction` what this transaction's
    /// earlier steps came to. No events at all is a way to accept.
    ///
    /// # Errors
    /// The rejection, as an answer for good.
    fn decide(
        &self,
        state: &Self::State,
        transaction: &Self::Transaction,
        command: &Self::Command,
    ) -> Result<Events<Self::Event>, Self::Rejection>;

    /// Applies an event to the aggregate's state.
    fn evolve(state: &mut Self::State, event: &Self::Event);

    /// Applies an accepted command to the transaction's state.
    fn settle(transaction: &mut Self::Transaction, command: &Self::Command);

    /// The durable name of an event's type: 1 to 64 bytes, no `$` in front.
    fn event_type(event: &Self::Event) -> &'static str;

    /// Reads an event of an older schema version.
    ///
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt) for a version that it does not know: nothing is decided on
    /// that aggregate then.
    fn upcast_event(old: &Encoded<'_>) -> Result<Self::Event> {
        old.unsupported()
    }

    /// Reads a command of an older schema version.
    ///
    /// # Errors
    /// As [`upcast_event`](Self::upcast_event).
    fn upcast_command(old: &Encoded<'_>) -> Result<Self::Command> {
        old.unsupported()
    }

    /// Reads a rejection of an older schema version.
    ///
    /// # Errors
    /// As [`upcast_event`](Self::upcast_event).
    fn upcast_rejection(old: &Encoded<'_>) -> Result<Self::Rejection> {
        old.unsupported()
    }

    /// Reads a transaction's state of an older schema version.
    ///
    /// # Errors
    /// As [`upcast_event`](Self::upcast_event).
    fn upcast_transaction(old: &Encoded<'_>) -> Result<Self::Transaction> {
        old.unsupported()
    }

    /// Reads a snapshot of an older schema version. Without this, older snapshots are skipped and the state
    /// is folded from events, which an aggregate that was compacted no longer has.
    ///
    /// # Errors
    /// Any: the snapshot is skipped.
    fn upcast_snapshot(old: &Encoded<'_>) -> Result<Self::State> {
        old.unsupported()
    }
}

/// The events of a decision, in order, and the messages that go out with them. Both may be empty.
#[derive(Clone, PartialEq, Eq)]
pub struct Events<E> {
    events: Vec<E>,
    messages: Vec<Message>,
}

impl<E> Events<E> {
    /// Accepts without an event.
    #[must_use]
    pub const fn none() -> Self {
        Self { events: Vec::new(), messages: Vec::new() }
    }

    /// Sends a message, after those that were named before. It is recorded with the events, or not at all, and sent by
    /// whoever runs a buffer; each of its topics must stand in [`Decider::TOPICS`].
    ///
    /// ```
    /// use sidestream::{Events, Message, Topic};
    ///
    /// const CAPTURED: Topic = Topic::new("payments.captured");
    /// let decided = Events::from(500_u32).with_message(Message::json(CAPTURED, &500));
    /// assert_eq!(decided.messages()[0].topic(), &CAPTURED);
    /// ```
    #[must_use]
    pub fn with_message(mut self, message: Message) -> Self {
        self.messages.push(message);
        self
    }

    /// The events.
    #[must_use]
    pub fn as_slice(&self) -> &[E] {
        &self.events
    }

    /// The messages.
    #[must_use]
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// The events and the messages, to keep.
    #[must_use]
    pub fn into_parts(self) -> (Vec<E>, Vec<Message>) {
        (self.events, self.messages)
    }
}

impl<E: fmt::Debug> fmt::Debug for Events<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.messages.is_empty() {
            return self.events.fmt(f);
        }
        f.debug_struct("Events").field("events", &self.events).field("messages", &self.messages).finish()
    }
}

impl<E> From<E> for Events<E> {
    fn from(event: E) -> Self {
        Self::from(vec![event])
    }
}

impl<E, const N: usize> From<[E; N]> for Events<E> {
    fn from(events: [E; N]) -> Self {
        Self::from(Vec::from(events))
    }
}

impl<E> From<Vec<E>> for Events<E> {
    fn from(events: Vec<E>) -> Self {
        Self { events, messages: Vec::new() }
    }
}

/// Runs code of a user's; a panic becomes an error that fails this command alone.
pub(crate) fn guarded<T>(what: &str, rules: impl FnOnce() -> T) -> Result<T> {
    catch_unwind(AssertUnwindSafe(rules)).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().copied().map(str::to_owned);
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        Error::invalid(format!("the rules panicked in `{what}`: {text}"))
            .advice("mend the decider; nothing was decided")
    })
}

/// Decodes an event, and makes sure that it is what its record says. A codec that goes by a variant's
/// number would read a renumbered variant as another one without a word.
pub(crate) fn decode_event<D: Decider>(record: &Record, codecs: &Codecs) -> Result<D::Event> {
    let encoded = codecs.open(&record.data);
    let current = encoded.schema() == D::SCHEMAS.event;
    let event = if current { encoded.decode() } else { D::upcast_event(&encoded) };
    let event = event.map_err(|error| error.in_stream(&record.stream))?;
    let found = D::event_type(&event);
    if current && found != record.data.event_type.as_str() {
        return Err(Error::corrupt(format!(
            "the event at version {} decodes as another one",
            record.version
        ))
        .in_stream(&record.stream)
        .expected(&record.data.event_type, found)
        .advice("give changed events a new schema version and an upcaster"));
    }
    Ok(event)
}
