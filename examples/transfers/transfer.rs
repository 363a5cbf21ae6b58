//! A transfer between two accounts that no commit spans: hold on the payer's, deposit on the payee's, capture what was held;
//! or release it, where the payee's account refuses or a deadline passes.
//!
//! The deposit comes before the capture, so that whatever may fail fails while the money can still be given back: a
//! capture of what was held cannot be refused. While a transfer is between the two, its money is in both accounts, on the
//! payer's side out of reach.
//!
//! A deadline that passes before the deposit was asked for undoes the transfer. One that passes later changes nothing: the
//! payee's account may have the money by then, and nobody knows before its answer comes. To release the hold would then
//! make money. So the answer decides, and the transfer waits for it for as long as it takes.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use sidestream::process::{Dispatch, ProcessManager, Reaction};
use sidestream::{AggregateId, Category, CommandHandler, Error, Outcome, Result, TransactionId};

use super::account::{self, Account};

/// What a transfer hears.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Input {
    /// The client wants it.
    Begin { from: String, to: String, minor: i64, within_ms: u64 },
    /// The payer's account holds the money, under this transaction.
    Held { hold: TransactionId },
    /// It does not.
    NotHeld { why: account::Rejection },
    /// The payee's account has the money.
    Deposited,
    /// It does not take it.
    NotDeposited { why: account::Rejection },
    /// The hold is paid out.
    Captured,
    /// The hold is given back.
    Released,
    /// The deadline has passed.
    TimedOut,
}

/// What a transfer asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    Hold { account: String, minor: i64 },
    Deposit { account: String, minor: i64 },
    Capture { account: String, hold: TransactionId },
    Release { account: String, hold: TransactionId },
}

/// Why an input is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rejection {
    /// Amounts are above zero.
    NotPositive,
    /// Payer and payee are one.
    SameAccount,
    /// It has begun before, under another transaction id.
    BegunBefore,
    /// It has not begun.
    NotBegun,
}

/// Where a transfer is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    #[default]
    New,
    Holding,
    Depositing,
    Capturing,
    Releasing,
    Done,
    Undone,
}

/// A transfer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    pub stage: Stage,
    pub from: String,
    pub to: String,
    pub minor: i64,
    /// The transaction that the money is held under.
    pub hold: Option<TransactionId>,
    /// The deadline has passed.
    pub is_late: bool,
    /// How often it was begun.
    pub begins: u32,
}

/// The process manager.
#[derive(Debug, Clone, Copy, Default)]
pub struct Transfer;

impl ProcessManager for Transfer {
    const CATEGORY: Category = Category::new("transfer");
    type Input = Input;
    type Command = Command;
    type Rejection = Rejection;
    type State = State;

    fn evolve(state: &mut State, input: &Input) {
        state.stage = match (state.stage, input) {
            (stage, Input::Begin { from, to, minor, .. }) => {
                state.begins = state.begins.saturating_add(1);
                if stage != Stage::New {
                    return;
                }
                (state.from, state.to, state.minor) = (from.clone(), to.clone(), *minor);
                Stage::Holding
            }
            (Stage::Holding, Input::Held { hold }) => {
                state.hold = Some(*hold);
                if state.is_late { Stage::Releasing } else { Stage::Depositing }
            }
            (Stage::Holding, Input::NotHeld { .. }) => Stage::Undone,
            (Stage::Depositing, Input::Deposited) => Stage::Capturing,
            (Stage::Depositing, Input::NotDeposited { .. }) => Stage::Releasing,
            (Stage::Capturing, Input::Captured) => Stage::Done,
            (Stage::Releasing, Input::Released) => Stage::Undone,
            (stage, Input::TimedOut) => {
                state.is_late = true;
                stage
            }
            (stage, _) => stage,
        };
    }

    fn react(&self, state: &State, input: &Input) -> Result<Reaction<Self>, Rejection> {
        let State { from, to, minor, hold, .. } = state.clone();
        let reaction = Reaction::none();
        Ok(match (state.stage, input, hold) {
            (_, Input::Begin { .. }, _) if state.begins > 1 => return Err(Rejection::BegunBefore),
            (_, Input::Begin { minor: ..=0, .. }, _) => return Err(Rejection::NotPositive),
            (_, Input::Begin { .. }, _) if from == to => return Err(Rejection::SameAccount),
            (_, Input::Begin { within_ms, .. }, _) => reaction
                .schedule(Duration::from_millis(*within_ms), Input::TimedOut)
                .dispatch(Command::Hold { account: from, minor }),
            (Stage::New, ..) => return Err(Rejection::NotBegun),
            (Stage::Depositing, Input::Held { .. }, _) => {
                reaction.dispatch(Command::Deposit { account: to, minor })
            }
            (Stage::Capturing, Input::Deposited, Some(hold)) => {
                reaction.dispatch(Command::Capture { account: from, hold })
            }
            (Stage::Releasing, Input::Held { .. } | Input::NotDeposited { .. }, Some(hold)) => {
                reaction.dispatch(Command::Release { account: from, hold })
            }
            (Stage::Done | Stage::Undone, ..) => reaction.complete(),
            _ => reaction,
        })
    }
}

/// Carries out what transfers ask for, at the accounts' front door.
#[derive(Debug, Clone)]
pub struct Accounts(pub CommandHandler<Account>);

#[async_trait]
impl Dispatch<Transfer> for Accounts {
    async fn dispatch(&self, command: Command, transaction: TransactionId) -> Result<Option<Input>> {
        let (account, under, command) = match command {
            Command::Hold { account, minor } => {
                (account, transaction, account::Command::Hold { minor, expires_ms: None })
            }
            Command::Deposit { account, minor } => {
                (account, transaction, account::Command::Deposit { minor })
            }
            Command::Capture { account, hold } => (account, hold, account::Command::Capture),
            Command::Release { account, hold } => (account, hold, account::Command::Release),
        };
        let outcome = self.0.handle(&AggregateId::new(account)?, under, command.clone()).await?;
        answer(&command, under, outcome).map(Some)
    }
}

fn answer(
    command: &account::Command,
    hold: TransactionId,
    outcome: Outcome<account::Rejection>,
) -> Result<Input> {
    use account::Command::{Capture, Deposit, Hold, Release};
    match (command, outcome) {
        (Hold { .. }, Outcome::Accepted(_)) => Ok(Input::Held { hold }),
        (Hold { .. }, Outcome::Rejected(why)) => Ok(Input::NotHeld { why }),
        (Deposit { .. }, Outcome::Accepted(_)) => Ok(Input::Deposited),
        (Deposit { .. }, Outcome::Rejected(why)) => Ok(Input::NotDeposited { why }),
        (Capture, Outcome::Accepted(_)) => Ok(Input::Captured),
        (Release, Outcome::Accepted(_)) => Ok(Input::Released),
        // The hold is gone, or an operator overruled the step: parked, until somebody has looked.
        (command, outcome) => {
            Err(Error::invalid(format!("hold {hold}: {command:?} of a transfer came to {outcome:?}"))
                .advice("look at the transfer and at both accounts, settle it by hand, then skip this"))
        }
    }
}
