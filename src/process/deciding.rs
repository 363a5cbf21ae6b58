//! A process as an aggregate: its manager's rules as a decider's.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::codec::Encoded;
use crate::decider::{Decider, Events, Schemas};
use crate::error::Result;
use crate::id::StepName;
use crate::message::Topic;
use crate::process::asked;
use crate::process::event::ProcessEvent;
use crate::process::manager::ProcessManager;
use crate::stream::Category;

/// A process's state, and whether it is complete.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessState<S> {
    /// What its inputs folded to.
    pub state: S,
    /// Whether it is complete.
    pub is_complete: bool,
}

/// The decider that a process manager makes: inputs are its commands, and what is asked for goes out as messages.
#[derive(Debug)]
pub struct Deciding<P>(pub(super) Arc<P>);

impl<P: ProcessManager> Decider for Deciding<P> {
    const CATEGORY: Category = P::CATEGORY;
    const SCHEMAS: Schemas = Schemas {
        command: P::SCHEMA,
        event: P::SCHEMA,
        rejection: P::SCHEMA,
        transaction: 1,
        snapshot: P::SCHEMA,
    };
    const TOPICS: &'static [Topic] = P::TOPICS;

    type Command = P::Input;
    type Event = ProcessEvent<P::Input>;
    type Rejection = P::Rejection;
    type State = ProcessState<P::State>;
    type Transaction = ();

    fn step(_: &P::Input) -> StepName {
        StepName::new("hear")
    }

    fn decide(
        &self,
        process: &ProcessState<P::State>,
        (): &(),
        input: &P::Input,
    ) -> Result<Events<ProcessEvent<P::Input>>, P::Rejection> {
        if process.is_complete {
            return Ok(Events::none());
        }
        let mut state = process.state.clone();
        P::evolve(&mut state, input);
        let reaction = self.0.react(&state, input)?;
        let mut events = vec![ProcessEvent::Heard(input.clone())];
        events.extend(reaction.completes.then_some(ProcessEvent::Completed));
        let asked = reaction.asked.iter().map(asked::message);
        Ok(reaction.messages.into_iter().chain(asked).fold(Events::from(events), Events::with_message))
    }

    fn evolve(process: &mut ProcessState<P::State>, event: &ProcessEvent<P::Input>) {
        match event {
            ProcessEvent::Heard(input) => P::evolve(&mut process.state, input),
            ProcessEvent::Completed => process.is_complete = true,
        }
    }

    fn settle((): &mut (), _: &P::Input) {}

    fn event_type(event: &ProcessEvent<P::Input>) -> &'static str {
        match event {
            ProcessEvent::Heard(_) => "Heard",
            ProcessEvent::Completed => "Completed",
        }
    }

    fn upcast_event(old: &Encoded<'_>) -> Result<ProcessEvent<P::Input>> {
        P::upcast_event(old)
    }

    fn upcast_command(old: &Encoded<'_>) -> Result<P::Input> {
        P::upcast_input(old)
    }

    fn upcast_rejection(old: &Encoded<'_>) -> Result<P::Rejection> {
        P::upcast_rejection(old)
    }
}
