//! What a user writes: which process an input belongs to, what it changes, what is to be done about it.

use std::fmt;
use std::time::Duration;

use crate::codec::Encoded;
use crate::decider::Stored;
use crate::error::{Error, Result};
use crate::feed::Selection;
use crate::message::{Message, Topic};
use crate::process::event::ProcessEvent;
use crate::projection::{Event, Failure};
use crate::stream::{AggregateId, Category};

/// The rules of one kind of process: a conversation over several aggregates, such as a transfer, that hears what happens
/// and asks for what is to happen next. After the process manager of Hohpe and Woolf's *Enterprise Integration Patterns*
/// (2003), and sagas (Garcia-Molina and Salem, 1987): there is no common commit, so what was done is undone by asking for
/// it.
///
/// A process is an aggregate: it has a stream of its own, and each input is a command to it, so it is heard once for ever,
/// whatever crashes. What is asked for is recorded in the same unit, and carried out from there under transaction ids that
/// are derived from it. Code that is deployed later never reacts anew to what was heard.
///
/// The functions are pure, as a [`Decider`](crate::Decider)'s: no clock, no random numbers, no outside world. A panic fails
/// the input with [`Invalid`](crate::ErrorKind::Invalid), and nothing was heard.
pub trait ProcessManager: Send + Sync + 'static {
    /// The durable name of this kind of process.
    const CATEGORY: Category;

    /// Today's schema version of inputs, commands, rejections and states. Raise it when one of these types changes, and
    /// teach the upcasters to read the older ones.
    const SCHEMA: u16 = 1;

    /// The topics of the messages that it publishes.
    const TOPICS: &'static [Topic] = &[];

    /// What it hears: that it is to begin, what became of what it asked for, that a time has passed, what happened
    /// elsewhere.
    type Input: Clone + Stored;

    /// What it asks for, of whichever aggregates.
    type Command: Stored;

    /// Why an input is refused. Final, as a decider's.
    type Rejection: Stored;

    /// What its inputs fold to. Keep it small.
    type State: Default + Clone + Stored;

    /// The events elsewhere that it follows; none if nothing is said.
    ///
    /// # Errors
    /// Those of a [`Selection`] that breaks a bound.
    fn follows(&self) -> Result<Option<Selection>> {
        Ok(None)
    }

    /// Which process an event that it follows is for, and as what it hears it; `None` to pass over it. Called again for the
    /// same event after a crash.
    ///
    /// # Errors
    /// Any: the event is tried again, then the aggregate that it is of is parked.
    fn route(&self, _event: &Event<'_>) -> Result<Option<(AggregateId, Self::Input)>, Failure> {
        Ok(None)
    }

    /// Applies an input to the process's state.
    fn evolve(state: &mut Self::State, input: &Self::Input);

    /// What is to be done about an input, with the state that it leads to. Not asked once the process is complete.
    ///
    /// # Errors
    /// A rejection: the input is not heard, for good.
    fn react(&self, state: &Self::State, input: &Self::Input) -> Result<Reaction<Self>, Self::Rejection>;

    /// Reads an event of the process of an older schema version.
    ///
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt) for a version that it does not know.
    fn upcast_event(old: &Encoded<'_>) -> Result<ProcessEvent<Self::Input>> {
        old.unsupported()
    }

    /// Reads an input of an older schema version, as it stands in a request.
    ///
    /// # Errors
    /// As [`upcast_event`](Self::upcast_event).
    fn upcast_input(old: &Encoded<'_>) -> Result<Self::Input> {
        old.unsupported()
    }

    /// Reads a rejection of an older schema version.
    ///
    /// # Errors
    /// As [`upcast_event`](Self::upcast_event).
    fn upcast_rejection(old: &Encoded<'_>) -> Result<Self::Rejection> {
        old.unsupported()
    }

    /// Reads a command, or the input of a deadline, that was asked for under an older schema version and is not carried out
    /// yet.
    ///
    /// # Errors
    /// Any: it is parked, with its process's later ones.
    fn upcast_asked(schema: u16, _old: serde_json::Value) -> Result<Asked<Self>> {
        Err(Error::invalid(format!(
            "what {} asked for under schema version {schema} cannot be read",
            Self::CATEGORY
        ))
        .advice("teach `upcast_asked` to read it, then retry what is parked"))
    }
}

/// One thing that a process asks for.
pub enum Asked<P: ProcessManager + ?Sized> {
    /// A command, for [`Dispatch`](crate::process::Dispatch).
    Command(P::Command),
    /// This input, so long after the reaction was recorded, by the store's clock.
    Deadline(Duration, P::Input),
}

/// What is to be done about an input. Carried out in this order, each once in effect.
pub struct Reaction<P: ProcessManager + ?Sized> {
    pub(super) asked: Vec<Asked<P>>,
    pub(super) messages: Vec<Message>,
    pub(super) completes: bool,
}

impl<P: ProcessManager + ?Sized> Reaction<P> {
    /// Nothing.
    #[must_use]
    pub fn none() -> Self {
        Self { asked: Vec::new(), messages: Vec::new(), completes: false }
    }

    /// A command is carried out; the next thing waits for it.
    #[must_use]
    pub fn dispatch(mut self, command: P::Command) -> Self {
        self.asked.push(Asked::Command(command));
        self
    }

    /// The process hears this input so long after now, by the store's clock; or a little later, never earlier. Nothing
    /// takes it back: a process that needs it no longer passes over it, or is complete by then.
    #[must_use]
    pub fn schedule(mut self, after: Duration, input: P::Input) -> Self {
        self.asked.push(Asked::Deadline(after, input));
        self
    }

    /// A message goes out, through the event buffer. Its key is the process's id, if it has none.
    #[must_use]
    pub fn publish(mut self, message: Message) -> Self {
        self.messages.push(message);
        self
    }

    /// The process is complete: what it hears later is accepted, and changes nothing.
    #[must_use]
    pub fn complete(mut self) -> Self {
        self.completes = true;
        self
    }

    /// What is asked for, in order.
    #[must_use]
    pub fn asked(&self) -> &[Asked<P>] {
        &self.asked
    }

    /// The messages that go out.
    #[must_use]
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// Whether the process is complete then.
    #[must_use]
    pub fn completes(&self) -> bool {
        self.completes
    }
}

impl<P: ProcessManager + ?Sized> fmt::Debug for Asked<P>
where
    P::Command: fmt::Debug,
    P::Input: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(command) => command.fmt(f),
            Self::Deadline(after, input) => write!(f, "{input:?} after {after:?}"),
        }
    }
}

impl<P: ProcessManager + ?Sized> PartialEq for Asked<P>
where
    P::Command: PartialEq,
    P::Input: PartialEq,
{
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Command(one), Self::Command(other)) => one == other,
            (Self::Deadline(after, one), Self::Deadline(later, other)) => (after, one) == (later, other),
            _ => false,
        }
    }
}

impl<P: ProcessManager + ?Sized> fmt::Debug for Reaction<P>
where
    P::Command: fmt::Debug,
    P::Input: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reaction")
            .field("asked", &self.asked)
            .field("messages", &self.messages)
            .field("completes", &self.completes)
            .finish()
    }
}
