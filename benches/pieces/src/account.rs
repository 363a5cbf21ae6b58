//! The rules of the account that is measured. It refuses nothing: refusals are short-cuts.

use serde::{Deserialize, Serialize};
use sidestream::{Category, Decider, Events, StepName};

/// What can be asked of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Sets an amount aside, for a merchant.
    Hold {
        /// The amount.
        cents: i64,
        /// Who is to be paid.
        merchant: String,
    },
    /// Makes a history: so many holds of a cent.
    Age {
        /// How many.
        events: u32,
    },
    /// Stops the account. It is asked for rarely.
    Freeze,
}

/// What can happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// An amount was set aside.
    Held {
        /// The amount.
        cents: i64,
        /// Who is to be paid.
        merchant: String,
    },
    /// The account was stopped.
    Frozen,
}

/// There is no reason to refuse anything, but a type has to have a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused;

/// An account, without an end to its credit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Funds {
    /// What was set aside.
    pub held: i64,
    /// Whether it was stopped.
    pub is_frozen: bool,
}

/// What is left of a transaction's hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// The amount.
    pub cents: i64,
}

/// The decider.
#[derive(Debug, Clone, Copy, Default)]
pub struct Account;

impl Decider for Account {
    const CATEGORY: Category = Category::new("account");
    type Command = Command;
    type Event = Event;
    type Rejection = Refused;
    type State = Funds;
    type Transaction = Left;

    fn step(command: &Command) -> StepName {
        match command {
            Command::Hold { .. } => StepName::new("hold"),
            Command::Age { .. } => StepName::new("age"),
            Command::Freeze => StepName::new("freeze"),
        }
    }

    fn decide(&self, _: &Funds, _: &Left, command: &Command) -> Result<Events<Event>, Refused> {
        Ok(match command {
            Command::Hold { cents, merchant } => {
                Event::Held { cents: *cents, merchant: merchant.clone() }.into()
            }
            Command::Age { events } => (0..*events)
                .map(|_| Event::Held { cents: 1, merchant: merchant(1) })
                .collect::<Vec<_>>()
                .into(),
            Command::Freeze => Event::Frozen.into(),
        })
    }

    fn evolve(funds: &mut Funds, event: &Event) {
        match event {
            Event::Held { cents, .. } => funds.held = funds.held.saturating_add(*cents),
            Event::Frozen => funds.is_frozen = true,
        }
    }

    fn settle(left: &mut Left, command: &Command) {
        if let Command::Hold { cents, .. } = command {
            left.cents = *cents;
        }
    }

    fn event_type(event: &Event) -> &'static str {
        match event {
            Event::Held { .. } => "Held",
            Event::Frozen => "Frozen",
        }
    }
}

/// The hold that is measured.
pub fn hold(number: u64) -> Command {
    Command::Hold { cents: 12_345, merchant: merchant(number) }
}

/// What comes of it.
pub fn held(number: u64) -> Event {
    Event::Held { cents: 12_345, merchant: merchant(number) }
}

fn merchant(number: u64) -> String {
    format!("merchant-{:06}", number % 1_000_000)
}
