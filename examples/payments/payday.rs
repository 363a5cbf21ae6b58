//! The payroll's commands: what the employer's system sends on a payday, in order.

use sidestream::{AggregateId, TransactionId};

use crate::Failure;
use crate::bank::account;
use crate::rules::Command;

/// What the employer paid in before: one deposit each.
pub(crate) const PAID_IN: u64 = 20_000;
pub(crate) const PAID_IN_MINOR: i64 = 12_500;
/// People on the payroll.
pub(crate) const PEOPLE: u64 = 150;
/// The payment, counted from 0, at which the service crashes.
pub(crate) const CRASH_AT: u64 = 60;
/// Holds that are requested and not answered when it does.
pub(crate) const OPEN_AT_CRASH: u64 = 25;

/// One command, as a client sends it.
#[derive(Clone)]
pub(crate) struct Send {
    pub(crate) account: AggregateId,
    pub(crate) transaction: TransactionId,
    pub(crate) command: Command,
}

pub(crate) fn employer() -> Result<AggregateId, Failure> {
    account("employer")
}

pub(crate) fn employee(number: u64) -> Result<AggregateId, Failure> {
    account(&format!("employee-{number}"))
}

/// What the employer paid in over the years.
pub(crate) fn paid_in(number: u64) -> Result<Send, Failure> {
    let transaction = TransactionId::derive("paid-in", &number.to_string());
    Ok(Send { account: employer()?, transaction, command: Command::Deposit { minor: PAID_IN_MINOR } })
}

/// What the employer pays in while holds stay unanswered.
pub(crate) fn late(number: u64) -> Result<Send, Failure> {
    paid_in(PAID_IN + number)
}

/// A salary; every fiftieth person asks for a bonus that nobody could pay.
pub(crate) fn salary(number: u64) -> i64 {
    let base = 150_000 + i64::try_from(number % 7).unwrap_or(0) * 12_345;
    if number % 50 == 49 { base * 10_000 } else { base }
}

/// One payment's transaction, the same on the employer's account and the employee's.
pub(crate) fn payment(number: u64) -> TransactionId {
    TransactionId::derive("payday-2026-11", &number.to_string())
}

pub(crate) fn hold(number: u64) -> Result<Send, Failure> {
    let command = Command::Hold { minor: salary(number) };
    Ok(Send { account: employer()?, transaction: payment(number), command })
}

pub(crate) fn pay(number: u64) -> Result<Send, Failure> {
    let command = Command::Deposit { minor: salary(number) };
    Ok(Send { account: employee(number)?, transaction: payment(number), command })
}

pub(crate) fn capture(number: u64) -> Result<Send, Failure> {
    let command = Command::Capture { part: 1, minor: salary(number) };
    Ok(Send { account: employer()?, transaction: payment(number), command })
}

/// How often a payment's commands are sent: a third of them twice or more.
pub(crate) fn copies(number: u64) -> usize {
    match number % 6 {
        0 => 2,
        3 => 3,
        _ => 1,
    }
}
