//! The rules of transfers and expiries by themselves.

use std::time::Duration;

use sidestream::TransactionId;
use sidestream::process::Asked;
use sidestream::testkit::given_process::given_process;

use crate::account::Rejection as Refusal;
use crate::expiry::{self, Expiry, Release};
use crate::transfer::{Command, Input, Rejection, Transfer};

fn begin(minor: i64) -> Input {
    Input::Begin { from: "a".into(), to: "b".into(), minor, within_ms: 7 }
}

fn hold() -> TransactionId {
    TransactionId::derive("hold", "1")
}

fn held() -> Input {
    Input::Held { hold: hold() }
}

const REFUSED: Input = Input::NotDeposited { why: Refusal::OverLimit { room: 3 } };

#[test]
fn a_transfer_holds_deposits_and_captures() {
    let deadline = Asked::Deadline(Duration::from_millis(7), Input::TimedOut);
    let ask_hold = Asked::Command(Command::Hold { account: "a".into(), minor: 5 });
    given_process(Transfer, [])
        .when(&begin(5))
        .then_asks(&[deadline, ask_hold])
        .and_when(&held())
        .then_asks(&[Asked::Command(Command::Deposit { account: "b".into(), minor: 5 })])
        .and_when(&Input::Deposited)
        .then_asks(&[Asked::Command(Command::Capture { account: "a".into(), hold: hold() })])
        .then_goes_on()
        .and_when(&Input::Captured)
        .then_asks(&[])
        .then_complete();
}

#[test]
fn a_transfer_that_cannot_go_on_gives_back() {
    let release = || Asked::Command(Command::Release { account: "a".into(), hold: hold() });
    given_process(Transfer, [begin(5), held()]).when(&REFUSED).then_asks(&[release()]);
    given_process(Transfer, [begin(5), Input::TimedOut]).when(&held()).then_asks(&[release()]);
    given_process(Transfer, [begin(5), held(), REFUSED]).when(&Input::Released).then_complete();
    let why = Refusal::Insufficient { available: 1 };
    given_process(Transfer, [begin(5)]).when(&Input::NotHeld { why }).then_asks(&[]).then_complete();
}

#[test]
fn a_deadline_behind_the_deposit_leaves_the_decision_to_the_payees_account() {
    let late = || [begin(5), held(), Input::TimedOut];
    let capture = Asked::Command(Command::Capture { account: "a".into(), hold: hold() });
    given_process(Transfer, [begin(5), held()]).when(&Input::TimedOut).then_asks(&[]).then_goes_on();
    given_process(Transfer, late()).when(&Input::Deposited).then_asks(&[capture]);
    let release = Asked::Command(Command::Release { account: "a".into(), hold: hold() });
    given_process(Transfer, late()).when(&REFUSED).then_asks(&[release]);
}

#[test]
fn a_transfer_refuses_what_makes_no_sense() {
    given_process(Transfer, []).when(&begin(0)).then_refused(&Rejection::NotPositive);
    given_process(Transfer, []).when(&held()).then_refused(&Rejection::NotBegun);
    given_process(Transfer, [begin(5)]).when(&begin(5)).then_refused(&Rejection::BegunBefore);
    let same = Input::Begin { from: "a".into(), to: "a".into(), minor: 1, within_ms: 7 };
    given_process(Transfer, []).when(&same).then_refused(&Rejection::SameAccount);
}

#[test]
fn given_process_passes_over_what_a_complete_process_hears() {
    let why = Refusal::NothingHeld;
    let when = given_process(Transfer, [begin(5), Input::NotHeld { why }, held()]).when(&Input::Deposited);
    when.then_asks(&[]).then_messages(&[]).then_complete();
}

#[test]
fn an_expiry_releases_after_its_time() {
    let heard = expiry::Input::Held { account: "a".into(), hold: hold(), expires_ms: 9 };
    let release = Release { account: "a".into(), hold: hold() };
    given_process(Expiry, [])
        .when(&heard)
        .then_asks(&[Asked::Deadline(Duration::from_millis(9), expiry::Input::Passed)])
        .then_state(&Some(release.clone()))
        .and_when(&expiry::Input::Passed)
        .then_asks(&[Asked::Command(release)])
        .and_when(&expiry::Input::Answered { was_held: true })
        .then_complete();
    given_process(Expiry, []).when(&expiry::Input::Passed).then_refused(&());
}
