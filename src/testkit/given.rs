//! Given, when, then: a decider's rules without a store.
//!
//! ```
//! use sidestream::testkit::given::given;
//! # use serde::{Deserialize, Serialize};
//! # use sidestream::{Category, Decider, Events, StepName};
//! # #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)] struct Add(u8);
//! # #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)] struct Full;
//! # struct Counter;
//! # impl Decider for Counter {
//! #     const CATEGORY: Category = Category::new("counter");
//! #     type Command = Add; type Event = Add; type Rejection = Full; type State = u64; type Transaction = ();
//! #     fn step(_: &Add) -> StepName { StepName::new("add") }
//! #     fn decide(&self, state: &u64, _: &(), add: &Add) -> Result<Events<Add>, Full> {
//! #         if state + u64::from(add.0) > 300 { Err(Full) } else { Ok(add.clone().into()) }
//! #     }
//! #     fn evolve(state: &mut u64, add: &Add) { *state += u64::from(add.0); }
//! #     fn settle(_: &mut (), _: &Add) {}
//! #     fn event_type(_: &Add) -> &'static str { "Added" }
//! # }
//! given(Counter, [Add(200)]).when(&Add(100)).then_events(&[Add(100)]).then_state(&300);
//! given(Counter, [Add(200)]).when(&Add(101)).then_rejected(&Full).then_state(&200);
//! ```

use std::fmt::Debug;

use crate::decider::Decider;
use crate::message::Message;

/// An aggregate with a history, in front of its rules.
pub fn given<D: Decider>(decider: D, events: impl IntoIterator<Item = D::Event>) -> Given<D> {
    let mut state = D::State::default();
    events.into_iter().for_each(|event| D::evolve(&mut state, &event));
    Given { decider, state, transaction: D::Transaction::default() }
}

/// What is given.
pub struct Given<D: Decider> {
    decider: D,
    state: D::State,
    transaction: D::Transaction,
}

impl<D: Decider> Given<D> {
    /// Earlier steps of the transaction, accepted. Give their events to [`given`].
    #[must_use]
    pub fn and_steps(mut self, accepted: impl IntoIterator<Item = D::Command>) -> Self {
        accepted.into_iter().for_each(|command| D::settle(&mut self.transaction, &command));
        self
    }

    /// Decides on a command, and applies what was decided.
    pub fn when(mut self, command: &D::Command) -> When<D> {
        let decided = self.decider.decide(&self.state, &self.transaction, command);
        let (decided, messages) = match decided.map(crate::decider::Events::into_parts) {
            Ok((events, messages)) => (Ok(events), messages),
            Err(reason) => (Err(reason), Vec::new()),
        };
        if let Ok(events) = &decided {
            events.iter().for_each(|event| D::evolve(&mut self.state, event));
            D::settle(&mut self.transaction, command);
        }
        When { given: self, decided, messages }
    }
}

/// What came of a command.
pub struct When<D: Decider> {
    given: Given<D>,
    decided: Result<Vec<D::Event>, D::Rejection>,
    messages: Vec<Message>,
}

impl<D: Decider> When<D>
where
    D::Event: PartialEq + Debug,
    D::Rejection: PartialEq + Debug,
{
    /// It was accepted with these events, in this order.
    ///
    /// # Panics
    /// When it was not.
    #[track_caller]
    pub fn then_events(self, expected: &[D::Event]) -> Self {
        assert_eq!(self.decided.as_deref(), Ok(expected), "the decision");
        self
    }

    /// These messages go out, in this order.
    ///
    /// # Panics
    /// When others do, or none, or when one breaks a bound or has a topic that the decider does not name.
    #[track_caller]
    pub fn then_messages(self, expected: &[Message]) -> Self {
        assert_eq!(self.messages, expected, "the messages of the decision");
        for message in &self.messages {
            assert!(
                D::TOPICS.contains(message.topic()),
                "{} is not in the decider's topics",
                message.topic()
            );
            message.encode().map(|_| ()).expect("a message that can be recorded");
        }
        self
    }

    /// It was refused for this reason.
    ///
    /// # Panics
    /// When it was not.
    #[track_caller]
    pub fn then_rejected(self, reason: &D::Rejection) -> Self {
        assert_eq!(self.decided.as_ref().map(Vec::as_slice), Err(reason), "the decision");
        self
    }

    /// The aggregate is in this state now.
    ///
    /// # Panics
    /// When it is not.
    #[track_caller]
    pub fn then_state(self, expected: &D::State) -> Self
    where
        D::State: PartialEq + Debug,
    {
        assert_eq!(&self.given.state, expected, "the aggregate's state");
        self
    }

    /// The transaction has come to this.
    ///
    /// # Panics
    /// When it has not.
    #[track_caller]
    pub fn then_transaction(self, expected: &D::Transaction) -> Self
    where
        D::Transaction: PartialEq + Debug,
    {
        assert_eq!(&self.given.transaction, expected, "the transaction's state");
        self
    }

    /// Goes on from here with the next command of the same transaction.
    pub fn and_when(self, command: &D::Command) -> Self {
        self.given.when(command)
    }
}

impl<D: Decider> Debug for Given<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Given").field("category", &D::CATEGORY).finish_non_exhaustive()
    }
}

impl<D: Decider> Debug for When<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("When").field("given", &self.given).finish_non_exhaustive()
    }
}
