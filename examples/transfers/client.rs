//! The client: what it wants is drawn from a seed, so that it asks for the same again after a crash.

use std::time::Duration;

use sidestream::clock::sleep;
use sidestream::process::Processes;
use sidestream::{AggregateId, CommandHandler, Outcome, TransactionId};

use super::Failure;
use super::account::{self, Account};
use super::audit::OPENING;
use super::transfer::{Input, Transfer};

/// What an account begins with, and the most that it may have, in minor units.
pub(crate) const OPENED: i64 = 100_000;
pub(crate) const LIMIT: i64 = 200_000;
/// Most that a transfer moves: accounts run dry now and then, and full.
const MOST: u64 = 40_000;
/// One of so many transfers has hardly any time.
const HURRIED: u64 = 8;
/// One of so many transfers comes with a hold that expires.
const HOLDS: u64 = 20;

/// SplitMix64 (Steele, Lea and Flood, 2014).
pub(crate) fn drawn(seed: u64, number: u64) -> u64 {
    let mut mixed = seed.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

pub(crate) fn account(number: u64) -> String {
    format!("a{number}")
}

/// The process of a transfer.
pub(crate) fn process(number: u64) -> Result<AggregateId, Failure> {
    Ok(AggregateId::new(format!("t{number}"))?)
}

/// Who wants what.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) seed: u64,
    pub(crate) accounts: u64,
    pub(crate) bank: CommandHandler<Account>,
    pub(crate) transfers: Processes<Transfer>,
}

impl Client {
    /// A number of what the client wants, the so-manieth of it.
    fn number(&self, wanted: u64, which: u64, below: u64) -> u64 {
        drawn(self.seed ^ 0x5eed, wanted * 16 + which) % below.max(1)
    }

    /// Money comes in.
    pub(crate) async fn open(&self, number: u64) -> Result<(), Failure> {
        let account = account(number);
        let (id, under) = (AggregateId::new(&account)?, TransactionId::derive(OPENING, &account));
        let deposit = account::Command::Deposit { minor: OPENED };
        insist(|| self.bank.handle(&id, under, deposit.clone())).await.map(drop)
    }

    /// The transfer of this number, and the hold that comes with it, until both are answered.
    pub(crate) async fn want(&self, number: u64) -> Result<(), Failure> {
        let from = self.number(number, 0, self.accounts);
        let to = (from + 1 + self.number(number, 1, self.accounts - 1)) % self.accounts;
        let minor = i64::try_from(1 + self.number(number, 2, MOST))?;
        let is_hurried = self.number(number, 3, HURRIED) == 0;
        let within_ms = if is_hurried { self.number(number, 4, 30) } else { 60_000 };
        let input = Input::Begin { from: account(from), to: account(to), minor, within_ms };
        let (id, under) = (process(number)?, TransactionId::derive("transfer", &number.to_string()));
        let begun = insist(|| self.transfers.hear(&id, under, input.clone())).await?;
        if !begun.is_accepted() {
            return Err(format!("transfer {number} was refused: {begun:?}").into());
        }
        if let Some((account, hold, command)) = self.hold(number)? {
            insist(|| self.bank.handle(&account, hold, command.clone())).await?;
        }
        Ok(())
    }

    /// The hold that comes with the transfer of this number, where one does: its account, its transaction.
    pub(crate) fn hold(
        &self,
        number: u64,
    ) -> Result<Option<(AggregateId, TransactionId, account::Command)>, Failure> {
        if self.number(number, 5, HOLDS) != 0 {
            return Ok(None);
        }
        let of = AggregateId::new(account(self.number(number, 0, self.accounts)))?;
        let expires_ms = Some(100 + self.number(number, 6, 400));
        let command = account::Command::Hold { minor: 100, expires_ms };
        Ok(Some((of, TransactionId::derive("hold", &number.to_string()), command)))
    }
}

/// Asks until it is answered, under the same id.
async fn insist<R, F>(ask: impl Fn() -> F) -> Result<Outcome<R>, Failure>
where
    F: Future<Output = sidestream::Result<Outcome<R>>>,
{
    loop {
        match ask().await {
            Err(error) if error.kind().retry_may_help() => sleep(Duration::from_millis(10)).await,
            answer => return Ok(answer?),
        }
    }
}
