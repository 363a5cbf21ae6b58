//! Expiry: a hold that says for how long it stands is given back after that time, once. What was captured or released before
//! stays as it is.
//!
//! One process follows one hold. It hears of the hold by the account's event, and releases it as a step of the hold's own
//! transaction, so the account itself knows whether there is anything left to release. The time is counted from when the
//! process heard of the hold: a hold may stand a little longer than it says, never shorter.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use sidestream::feed::Selection;
use sidestream::process::{Dispatch, ProcessManager, Reaction};
use sidestream::projection::{Event, Failure};
use sidestream::{AggregateId, Category, CommandHandler, Decider, Error, Outcome, Result, TransactionId};

use super::account::{self, Account};

/// What the expiry of a hold hears.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Input {
    /// Money is held for so long.
    Held { account: String, hold: TransactionId, expires_ms: u64 },
    /// The time has passed.
    Passed,
    /// Whether there was something to release.
    Answered { was_held: bool },
}

/// What it asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    pub account: String,
    pub hold: TransactionId,
}

/// The hold that it is about.
pub type State = Option<Release>;

/// The process manager.
#[derive(Debug, Clone, Copy, Default)]
pub struct Expiry;

impl ProcessManager for Expiry {
    const CATEGORY: Category = Category::new("expiry");
    type Input = Input;
    type Command = Release;
    type Rejection = ();
    type State = State;

    fn follows(&self) -> Result<Option<Selection>> {
        Selection::all().category(Account::CATEGORY)?.types(["Held"]).map(Some)
    }

    fn route(&self, event: &Event<'_>) -> Result<Option<(AggregateId, Input)>, Failure> {
        let account::Event::Held { expires_ms: Some(expires_ms), .. } = event.decode::<Account>()? else {
            return Ok(None);
        };
        let hold = event.cause().ok_or("a hold without a transaction")?.transaction;
        let account = event.aggregate_id().to_owned();
        // A transaction id is its account's; the account's id in front keeps both in one partition.
        let process = AggregateId::new(format!("{account}+{hold}"))?;
        Ok(Some((process, Input::Held { account, hold, expires_ms })))
    }

    fn evolve(state: &mut State, input: &Input) {
        if let Input::Held { account, hold, .. } = input {
            *state = Some(Release { account: account.clone(), hold: *hold });
        }
    }

    fn react(&self, state: &State, input: &Input) -> Result<Reaction<Self>, ()> {
        let release = state.clone().ok_or(())?;
        Ok(match input {
            Input::Held { expires_ms, .. } => {
                Reaction::none().schedule(Duration::from_millis(*expires_ms), Input::Passed)
            }
            Input::Passed => Reaction::none().dispatch(release),
            Input::Answered { .. } => Reaction::none().complete(),
        })
    }
}

/// Carries out releases, at the accounts' front door.
#[derive(Debug, Clone)]
pub struct Releases(pub CommandHandler<Account>);

#[async_trait]
impl Dispatch<Expiry> for Releases {
    async fn dispatch(&self, release: Release, _: TransactionId) -> Result<Option<Input>> {
        let Release { account, hold } = release;
        let account = AggregateId::new(account)?;
        match self.0.handle(&account, hold, account::Command::Release).await? {
            Outcome::Accepted(_) => Ok(Some(Input::Answered { was_held: true })),
            Outcome::Rejected(_) => Ok(Some(Input::Answered { was_held: false })),
            Outcome::Overruled(why) => Err(Error::invalid(format!("the release was overruled: {why:?}"))),
        }
    }
}
