//! The rules of an account, without a store.

use std::collections::BTreeMap;

use proptest::prelude::*;
use sidestream::Decider;
use sidestream::testkit::effort;
use sidestream::testkit::given::{Given, given};

use crate::account::{Account, Command, Event, Funds, Hold, Rejection, State};

const HOLD: Command = Command::Hold { minor: 60 };

fn capture(part: u32, minor: i64) -> Command {
    Command::Capture { part, minor }
}

/// An account with 100, in front of a new transaction.
fn account() -> Given<Account> {
    given(Account, [Event::Deposited { minor: 100 }])
}

/// The same, with 60 of it held by the transaction.
fn holding() -> Given<Account> {
    given(Account, [Event::Deposited { minor: 100 }, Event::Held { minor: 60 }]).and_steps([HOLD])
}

#[test]
fn the_first_deposit_opens_the_account() {
    given(Account, [])
        .when(&Command::Deposit { minor: 5 })
        .then_events(&[Event::Deposited { minor: 5 }])
        .then_state(&Some(Funds { available: 5, held: 0 }));
}

#[test]
fn nothing_but_a_deposit_is_taken_by_an_unknown_account() {
    for command in [HOLD, capture(1, 1), Command::Release] {
        given(Account, []).when(&command).then_rejected(&Rejection::UnknownAccount).then_state(&None);
    }
}

#[test]
fn a_hold_sets_money_aside_to_the_last_cent_and_no_further() {
    account()
        .when(&HOLD)
        .then_state(&Some(Funds { available: 40, held: 60 }))
        .then_transaction(&Hold { left: 60 });
    account().when(&Command::Hold { minor: 100 }).then_state(&Some(Funds { available: 0, held: 100 }));
    let refused = account().when(&Command::Hold { minor: 101 });
    refused.then_rejected(&Rejection::Insufficient { available: 100 }).then_transaction(&Hold { left: 0 });
}

#[test]
fn a_hold_is_captured_in_parts_and_never_beyond_what_is_left() {
    holding()
        .when(&capture(1, 25))
        .then_state(&Some(Funds { available: 40, held: 35 }))
        .and_when(&capture(2, 36))
        .then_rejected(&Rejection::ExceedsHold { held: 35 })
        .then_state(&Some(Funds { available: 40, held: 35 }))
        .and_when(&capture(3, 35))
        .then_events(&[Event::Captured { minor: 35 }])
        .then_state(&Some(Funds { available: 40, held: 0 }))
        .then_transaction(&Hold { left: 0 })
        .and_when(&capture(4, 1))
        .then_rejected(&Rejection::ExceedsHold { held: 0 });
}

#[test]
fn a_release_gives_back_what_is_left_once() {
    holding()
        .when(&capture(1, 25))
        .and_when(&Command::Release)
        .then_events(&[Event::Released { minor: 35 }])
        .then_state(&Some(Funds { available: 75, held: 0 }))
        .and_when(&Command::Release)
        .then_rejected(&Rejection::NothingHeld)
        .and_when(&capture(2, 1))
        .then_rejected(&Rejection::ExceedsHold { held: 0 })
        .then_state(&Some(Funds { available: 75, held: 0 }));
}

/// Another transaction's hold is not this one's to capture or release.
#[test]
fn a_transaction_touches_its_own_hold_only() {
    let other = || given(Account, [Event::Deposited { minor: 100 }, Event::Held { minor: 60 }]);
    other().when(&capture(1, 1)).then_rejected(&Rejection::ExceedsHold { held: 0 });
    other().when(&Command::Release).then_rejected(&Rejection::NothingHeld);
}

#[test]
fn amounts_are_above_zero() {
    for minor in [0, -1, i64::MIN] {
        let commands = [Command::Deposit { minor }, Command::Hold { minor }, capture(1, minor)];
        for command in commands {
            holding().when(&command).then_rejected(&Rejection::NotPositive);
            given(Account, []).when(&command).then_rejected(&Rejection::NotPositive).then_state(&None);
        }
    }
}

#[test]
fn a_balance_reaches_the_largest_number_and_does_not_wrap() {
    let full = || given(Account, [Event::Deposited { minor: i64::MAX }]);
    full().when(&Command::Deposit { minor: 1 }).then_rejected(&Rejection::TooMuch);
    given(Account, [Event::Deposited { minor: i64::MAX - 1 }])
        .when(&Command::Deposit { minor: 1 })
        .then_state(&Some(Funds { available: i64::MAX, held: 0 }));
    // What is held counts: it may come back.
    full()
        .when(&Command::Hold { minor: i64::MAX })
        .then_state(&Some(Funds { available: 0, held: i64::MAX }))
        .and_when(&Command::Deposit { minor: 1 })
        .then_rejected(&Rejection::TooMuch)
        .and_when(&capture(1, i64::MAX))
        .then_state(&Some(Funds { available: 0, held: 0 }));
    given(Account, [])
        .when(&Command::Deposit { minor: i64::MAX })
        .then_state(&Some(Funds { available: i64::MAX, held: 0 }));
}

/// What went through an account, counted by the test itself.
#[derive(Debug, Default)]
struct Books {
    deposited: i128,
    captured: i128,
    by_transaction: BTreeMap<u32, (Hold, i128, i128)>,
}

impl Books {
    fn enter(&mut self, transaction: u32, command: &Command, events: &[Event]) {
        let (hold, held, paid) = self.by_transaction.entry(transaction).or_default();
        Account::settle(hold, command);
        for event in events {
            match *event {
                Event::Deposited { minor } => self.deposited += i128::from(minor),
                Event::Held { minor } => *held += i128::from(minor),
                Event::Captured { minor } => {
                    (self.captured, *paid) = (self.captured + i128::from(minor), *paid + i128::from(minor));
                }
                Event::Released { minor } => *paid += i128::from(minor),
            }
        }
    }
}

fn amount() -> impl Strategy<Value = i64> {
    prop_oneof![6 => 1_i64..100, 2 => Just(i64::MAX), 1 => i64::MAX - 100..i64::MAX, 1 => -2_i64..1]
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        3 => amount().prop_map(|minor| Command::Deposit { minor }),
        3 => amount().prop_map(|minor| Command::Hold { minor }),
        3 => (1_u32..4, amount()).prop_map(|(part, minor)| Command::Capture { part, minor }),
        1 => Just(Command::Release),
    ]
}

/// Each step of a transaction once, as the command handler sees to it.
fn once_each(commands: Vec<(u32, Command)>) -> Vec<(u32, Command)> {
    let mut seen = std::collections::HashSet::new();
    commands
        .into_iter()
        .filter(|(of, command)| seen.insert((*of, Account::step(command).to_string())))
        .collect()
}

proptest! {
    #![proptest_config(effort::proptest_config(2_000, "proptest-regressions/payments_rules.txt"))]

    /// F6 and F7: after every command, whatever was sent before.
    #[test]
    fn money_is_conserved_and_never_below_zero(
        commands in prop::collection::vec((0_u32..4, command()), 1..40).prop_map(once_each),
    ) {
        let (mut state, mut books) = (State::default(), Books::default());
        for (transaction, command) in commands {
            let hold = books.by_transaction.get(&transaction).map_or(Hold::default(), |(hold, ..)| *hold);
            if let Ok(events) = Account.decide(&state, &hold, &command) {
                events.as_slice().iter().for_each(|event| Account::evolve(&mut state, event));
                books.enter(transaction, &command, events.as_slice());
            }
            let funds = state.unwrap_or(Funds { available: 0, held: 0 });
            prop_assert!(funds.available >= 0 && funds.held >= 0, "{funds:?} after {command:?}");
            let there = i128::from(funds.available) + i128::from(funds.held);
            prop_assert_eq!(books.deposited - books.captured, there, "after {:?}", command);
            let left: i128 = books.by_transaction.values().map(|(hold, ..)| i128::from(hold.left)).sum();
            prop_assert_eq!(left, i128::from(funds.held), "what is held is what the transactions have left");
            for (hold, held, paid) in books.by_transaction.values() {
                prop_assert!(paid <= held, "captured and released {paid} of {held}");
                prop_assert_eq!(held - paid, i128::from(hold.left));
            }
        }
    }
}
