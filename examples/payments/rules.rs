//! The rules of an account. Amounts are in minor units (cents, haléře): whole numbers, never floats.
//!
//! Holds live in their transactions' side streams, so an account's state is two numbers, however old it is.

use serde::{Deserialize, Serialize};
use sidestream::{Category, Decider, Events, StepName};

/// What can be asked of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Money comes in. The first deposit opens the account.
    Deposit { minor: i64 },
    /// Sets money aside for this transaction.
    Hold { minor: i64 },
    /// Pays out a part of the hold, or all of it. Parts are numbered by the client.
    Capture { part: u32, minor: i64 },
    /// Gives back what is left of the hold.
    Release,
}

/// What can happen to an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    Deposited { minor: i64 },
    Held { minor: i64 },
    Captured { minor: i64 },
    Released { minor: i64 },
}

/// Why something is refused, for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rejection {
    /// Amounts are above zero.
    NotPositive,
    /// The account would hold more than can be counted.
    TooMuch,
    /// Nothing was ever deposited.
    UnknownAccount,
    /// Overdraft is not allowed.
    Insufficient { available: i64 },
    /// The transaction's hold is smaller.
    ExceedsHold { held: i64 },
    /// There is nothing to release.
    NothingHeld,
}

/// An account: `None` until the first deposit.
pub type State = Option<Funds>;

/// Money that is there, apart from money set aside. Their sum is the balance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Funds {
    pub available: i64,
    pub held: i64,
}

/// What is left of a transaction's hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    pub left: i64,
}

/// The decider.
#[derive(Debug, Clone, Copy, Default)]
pub struct Account;

impl Decider for Account {
    const CATEGORY: Category = Category::new("account");
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;
    type State = State;
    type Transaction = Hold;

    fn step(command: &Command) -> StepName {
        match command {
            Command::Deposit { .. } => StepName::new("deposit"),
            Command::Hold { .. } => StepName::new("hold"),
            Command::Capture { part, .. } => StepName::keyed("capture", part),
            Command::Release => StepName::new("release"),
        }
    }

    fn decide(&self, state: &State, hold: &Hold, command: &Command) -> Result<Events<Event>, Rejection> {
        match (command.clone(), state) {
            (Command::Deposit { minor } | Command::Hold { minor } | Command::Capture { minor, .. }, _)
                if minor <= 0 =>
            {
                Err(Rejection::NotPositive)
            }
            (Command::Deposit { minor }, state) => deposit(state.as_ref(), minor),
            (_, None) => Err(Rejection::UnknownAccount),
            (Command::Hold { minor }, Some(Funds { available, .. })) if minor > *available => {
                Err(Rejection::Insufficient { available: *available })
            }
            (Command::Hold { minor }, _) => Ok(Event::Held { minor }.into()),
            (Command::Capture { minor, .. }, _) if minor > hold.left => {
                Err(Rejection::ExceedsHold { held: hold.left })
            }
            (Command::Capture { minor, .. }, _) => Ok(Event::Captured { minor }.into()),
            (Command::Release, _) if hold.left == 0 => Err(Rejection::NothingHeld),
            (Command::Release, _) => Ok(Event::Released { minor: hold.left }.into()),
        }
    }

    // Every sum below was checked by `decide`; should one ever overflow, the build's overflow checks fail
    // the command rather than count wrongly.
    #[allow(clippy::arithmetic_side_effects)]
    fn evolve(state: &mut State, event: &Event) {
        let funds = state.get_or_insert(Funds { available: 0, held: 0 });
        match *event {
            Event::Deposited { minor } => funds.available += minor,
            Event::Held { minor } => {
                funds.available -= minor;
                funds.held += minor;
            }
            Event::Captured { minor } => funds.held -= minor,
            Event::Released { minor } => {
                funds.held -= minor;
                funds.available += minor;
            }
        }
    }

    #[allow(clippy::arithmetic_side_effects)]
    fn settle(hold: &mut Hold, command: &Command) {
        match *command {
            Command::Deposit { .. } => {}
            Command::Hold { minor } => hold.left = minor,
            Command::Capture { minor, .. } => hold.left -= minor,
            Command::Release => hold.left = 0,
        }
    }

    fn event_type(event: &Event) -> &'static str {
        match event {
            Event::Deposited { .. } => "Deposited",
            Event::Held { .. } => "Held",
            Event::Captured { .. } => "Captured",
            Event::Released { .. } => "Released",
        }
    }
}

fn deposit(state: Option<&Funds>, minor: i64) -> Result<Events<Event>, Rejection> {
    let balance = state.map_or(Some(0), |funds| funds.available.checked_add(funds.held));
    let fits = balance.and_then(|balance| balance.checked_add(minor)).is_some();
    if fits { Ok(Event::Deposited { minor }.into()) } else { Err(Rejection::TooMuch) }
}
