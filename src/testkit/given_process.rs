//! Given, when, then: a process manager's rules without a store.
//!
//! ```
//! use std::time::Duration;
//! use sidestream::process::{Asked, ProcessManager, Reaction};
//! use sidestream::testkit::given_process::given_process;
//! # use serde::{Deserialize, Serialize};
//! # use sidestream::Category;
//!
//! # #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
//! enum Heard { Ordered, Paid, Late }
//! # #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
//! enum Do { Bill, Cancel }
//! # #[derive(Debug, PartialEq, Serialize, Deserialize)]
//! struct OrderedTwice;
//! struct Order; // it is billed, and cancelled where it is not paid within a day
//!
//! # const DAY: Duration = Duration::from_secs(24 * 60 * 60);
//! impl ProcessManager for Order {
//!     const CATEGORY: Category = Category::new("order");
//!     type Input = Heard;
//!     type Command = Do;
//!     type Rejection = OrderedTwice;
//!     type State = u8; // orders
//!
//!     fn evolve(orders: &mut u8, input: &Heard) {
//!         if *input == Heard::Ordered { *orders += 1 }
//!     }
//!     fn react(&self, orders: &u8, input: &Heard) -> Result<Reaction<Self>, OrderedTwice> {
//!         match input {
//!             Heard::Ordered if *orders > 1 => Err(OrderedTwice),
//!             Heard::Ordered => Ok(Reaction::none().schedule(DAY, Heard::Late).dispatch(Do::Bill)),
//!             Heard::Paid => Ok(Reaction::none().complete()),
//!             Heard::Late => Ok(Reaction::none().dispatch(Do::Cancel).complete()),
//!         }
//!     }
//! }
//!
//! given_process(Order, []).when(&Heard::Ordered)
//!     .then_asks(&[Asked::Deadline(DAY, Heard::Late), Asked::Command(Do::Bill)]).then_state(&1);
//! given_process(Order, [Heard::Ordered]).when(&Heard::Ordered).then_refused(&OrderedTwice).then_state(&1);
//! given_process(Order, [Heard::Ordered]).when(&Heard::Paid).then_asks(&[]).then_complete()
//!     .and_when(&Heard::Late).then_asks(&[]); // complete: it hears nothing any more
//! ```

use std::fmt::Debug;

use crate::message::Message;
use crate::process::{Asked, ProcessManager, Reaction};

/// A process that has heard these inputs, in front of its rules. Where one of them completed it, those behind it are passed
/// over, as they are in a store.
///
/// # Panics
/// When one of the inputs is refused: no process has heard it then.
#[track_caller]
pub fn given_process<P: ProcessManager>(
    rules: P,
    inputs: impl IntoIterator<Item = P::Input>,
) -> GivenProcess<P> {
    let mut given = GivenProcess { rules, state: P::State::default(), is_complete: false };
    for input in inputs {
        assert!(given.hear(&input).is_ok(), "the process refused an input that is given");
    }
    given
}

/// What is given.
pub struct GivenProcess<P: ProcessManager> {
    rules: P,
    state: P::State,
    is_complete: bool,
}

impl<P: ProcessManager> GivenProcess<P> {
    fn hear(&mut self, input: &P::Input) -> Result<Reaction<P>, P::Rejection> {
        if self.is_complete {
            return Ok(Reaction::none());
        }
        let mut state = self.state.clone();
        P::evolve(&mut state, input);
        let reaction = self.rules.react(&state, input)?;
        self.state = state;
        self.is_complete = reaction.completes();
        Ok(reaction)
    }

    /// Has the process hear an input.
    pub fn when(mut self, input: &P::Input) -> WhenHeard<P> {
        let reaction = self.hear(input);
        WhenHeard { given: self, reaction }
    }
}

/// What came of an input.
pub struct WhenHeard<P: ProcessManager> {
    given: GivenProcess<P>,
    reaction: Result<Reaction<P>, P::Rejection>,
}

impl<P: ProcessManager> WhenHeard<P>
where
    P::Rejection: Debug,
{
    #[track_caller]
    fn reaction(&self) -> &Reaction<P> {
        self.reaction.as_ref().expect("an input that is heard")
    }

    /// It was heard, and this is asked for, in this order.
    ///
    /// # Panics
    /// When other things are, or when it was refused.
    #[track_caller]
    pub fn then_asks(self, expected: &[Asked<P>]) -> Self
    where
        P::Input: PartialEq + Debug,
        P::Command: PartialEq + Debug,
    {
        assert_eq!(self.reaction().asked(), expected, "what is asked for");
        self
    }

    /// It was heard, and these messages go out, in this order.
    ///
    /// # Panics
    /// When others do, or none, when one breaks a bound or has a topic that the process manager does not name, or when the
    /// input was refused.
    #[track_caller]
    pub fn then_messages(self, expected: &[Message]) -> Self {
        let messages = self.reaction().messages();
        assert_eq!(messages, expected, "the messages of the reaction");
        for message in messages {
            let topic = message.topic();
            assert!(P::TOPICS.contains(topic), "{topic} is not in the process manager's topics");
            message.encode().map(|_| ()).expect("a message that can be recorded");
        }
        self
    }

    /// It was refused for this reason.
    ///
    /// # Panics
    /// When it was not.
    #[track_caller]
    pub fn then_refused(self, reason: &P::Rejection) -> Self
    where
        P::Rejection: PartialEq,
    {
        assert_eq!(self.reaction.as_ref().err(), Some(reason), "the refusal");
        self
    }

    /// The process is in this state now.
    ///
    /// # Panics
    /// When it is not.
    #[track_caller]
    pub fn then_state(self, expected: &P::State) -> Self
    where
        P::State: PartialEq + Debug,
    {
        assert_eq!(&self.given.state, expected, "the process's state");
        self
    }

    /// The process is complete.
    ///
    /// # Panics
    /// When it is not.
    #[track_caller]
    pub fn then_complete(self) -> Self {
        assert!(self.given.is_complete, "the process is not complete");
        self
    }

    /// The process goes on.
    ///
    /// # Panics
    /// When it is complete.
    #[track_caller]
    pub fn then_goes_on(self) -> Self {
        assert!(!self.given.is_complete, "the process is complete");
        self
    }

    /// Goes on from here with the next input.
    pub fn and_when(self, input: &P::Input) -> Self {
        self.given.when(input)
    }
}

impl<P: ProcessManager> Debug for GivenProcess<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GivenProcess").field("category", &P::CATEGORY).finish_non_exhaustive()
    }
}

impl<P: ProcessManager> Debug for WhenHeard<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WhenHeard").field("given", &self.given).finish_non_exhaustive()
    }
}
