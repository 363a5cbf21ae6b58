//! The rules of an account with a limit: it refuses a hold that it has no money for, and a deposit that it has no room for.
//! Amounts are in minor units (cents, haléře).

use serde::{Deserialize, Serialize};
use sidestream::{Category, Decider, Events, StepName};

/// What can be asked of an account. `Capture` and `Release` are later steps of the hold's own transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Money comes in. The first deposit opens the account.
    Deposit { minor: i64 },
    /// Sets money aside for this transaction; where it says so, it is given back after so many milliseconds.
    Hold { minor: i64, expires_ms: Option<u64> },
    /// Pays the hold out.
    Capture,
    /// Gives the hold back.
    Release,
}

/// What can happen to an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    Deposited { minor: i64 },
    Held { minor: i64, expires_ms: Option<u64> },
    Captured { minor: i64 },
    Released { minor: i64 },
}

/// Why something is refused, for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rejection {
    /// Amounts are above zero.
    NotPositive,
    /// The account may not have so much.
    OverLimit { room: i64 },
    /// Overdraft is not allowed.
    Insufficient { available: i64 },
    /// Nothing is held: it was captured or released, or never was.
    NothingHeld,
}

/// Money that is there, apart from money set aside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Funds {
    pub available: i64,
    pub held: i64,
}

/// The decider.
#[derive(Debug, Clone, Copy)]
pub struct Account {
    /// The most that an account may have, held money included.
    pub limit: i64,
}

impl Decider for Account {
    const CATEGORY: Category = Category::new("account");
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;
    type State = Funds;
    /// What is left of the transaction's hold.
    type Transaction = i64;

    fn step(command: &Command) -> StepName {
        StepName::new(match command {
            Command::Deposit { .. } => "deposit",
            Command::Hold { .. } => "hold",
            Command::Capture => "capture",
            Command::Release => "release",
        })
    }

    fn decide(&self, funds: &Funds, held: &i64, command: &Command) -> Result<Events<Event>, Rejection> {
        let room = self.limit.saturating_sub(funds.available.saturating_add(funds.held));
        match *command {
            Command::Deposit { minor } | Command::Hold { minor, .. } if minor <= 0 => {
                Err(Rejection::NotPositive)
            }
            Command::Deposit { minor } if minor > room => Err(Rejection::OverLimit { room }),
            Command::Deposit { minor } => Ok(Event::Deposited { minor }.into()),
            Command::Hold { minor, .. } if minor > funds.available => {
                Err(Rejection::Insufficient { available: funds.available })
            }
            Command::Hold { minor, expires_ms } => Ok(Event::Held { minor, expires_ms }.into()),
            Command::Capture | Command::Release if *held == 0 => Err(Rejection::NothingHeld),
            Command::Capture => Ok(Event::Captured { minor: *held }.into()),
            Command::Release => Ok(Event::Released { minor: *held }.into()),
        }
    }

    // Every sum was checked by `decide`; should one overflow, the build's overflow checks fail the command.
    #[allow(clippy::arithmetic_side_effects)]
    fn evolve(funds: &mut Funds, event: &Event) {
        match *event {
            Event::Deposited { minor } => funds.available += minor,
            Event::Held { minor, .. } => {
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

    fn settle(held: &mut i64, command: &Command) {
        match *command {
            Command::Deposit { .. } => {}
            Command::Hold { minor, .. } => *held = minor,
            Command::Capture | Command::Release => *held = 0,
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
