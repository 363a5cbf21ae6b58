//! The rules of the account that is measured: small, and it refuses nothing but a sum that is no number.

use serde::{Deserialize, Serialize};

use crate::decider::{Decider, Events};
use crate::id::StepName;
use crate::stream::Category;

/// Most events that one `Age` makes.
pub(super) const AGE_EVENTS: u32 = 256;

/// What can be asked of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Command {
    /// Sets an amount aside.
    Hold { cents: i64 },
    /// Makes a history: so many holds of a cent.
    Age { events: u32 },
}

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Event {
    /// An amount was set aside.
    Held { cents: i64 },
}

/// Why something is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Rejection {
    /// The sum leaves the range of 64 bits.
    TooMuch,
}

/// An account with credit without end: what is held is taken from the balance, which may go below zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Funds {
    pub(super) balance: i64,
    pub(super) held: i64,
}

/// What is left of a transaction's hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hold {
    pub(super) left: i64,
}

/// The decider.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Account;

impl Decider for Account {
    const CATEGORY: Category = Category::new("account");
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;
    type State = Funds;
    type Transaction = Hold;

    fn step(command: &Command) -> StepName {
        match command {
            Command::Hold { .. } => StepName::new("hold"),
            Command::Age { .. } => StepName::new("age"),
        }
    }

    fn decide(&self, funds: &Funds, _: &Hold, command: &Command) -> Result<Events<Event>, Rejection> {
        let (events, cents) = match *command {
            Command::Hold { cents } => (1, cents),
            Command::Age { events } => (events, 1),
        };
        let sum = cents.checked_mul(i64::from(events)).ok_or(Rejection::TooMuch)?;
        funds.held.checked_add(sum).ok_or(Rejection::TooMuch)?;
        funds.balance.checked_sub(sum).ok_or(Rejection::TooMuch)?;
        Ok((0..events).map(|_| Event::Held { cents }).collect::<Vec<_>>().into())
    }

    /// Every sum was checked by `decide`.
    fn evolve(funds: &mut Funds, event: &Event) {
        let Event::Held { cents } = *event;
        funds.balance = funds.balance.saturating_sub(cents);
        funds.held = funds.held.saturating_add(cents);
    }

    fn settle(hold: &mut Hold, command: &Command) {
        match *command {
            Command::Hold { cents } => hold.left = cents,
            Command::Age { events } => hold.left = i64::from(events),
        }
    }

    fn event_type(_: &Event) -> &'static str {
        "Held"
    }
}
