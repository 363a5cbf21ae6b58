//! An account that tells others of a payment, or does not.

use serde::{Deserialize, Serialize};

use crate::decider::{Decider, Events};
use crate::id::StepName;
use crate::message::{Message, Topic};
use crate::stream::Category;

pub(super) const PAID: Topic = Topic::new("paid");

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Teller;

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Pay {
    pub(super) cents: i64,
    pub(super) tells: bool,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Paid {
    cents: i64,
}

/// What others are told.
#[derive(Serialize)]
struct Notice {
    cents: i64,
    balance_before: i64,
    currency: &'static str,
    reference: &'static str,
}

impl Decider for Teller {
    const CATEGORY: Category = Category::new("teller");
    const TOPICS: &'static [Topic] = &[PAID];
    type Command = Pay;
    type Event = Paid;
    type Rejection = ();
    type State = i64;
    type Transaction = ();

    fn step(_: &Pay) -> StepName {
        StepName::new("pay")
    }

    fn decide(&self, balance: &i64, _: &(), pay: &Pay) -> Result<Events<Paid>, ()> {
        let events = Events::from(Paid { cents: pay.cents });
        if !pay.tells {
            return Ok(events);
        }
        let notice = Notice {
            cents: pay.cents,
            balance_before: *balance,
            currency: "EUR",
            reference: "a payment, as it is measured",
        };
        Ok(events.with_message(Message::json(PAID, &notice)))
    }

    fn evolve(balance: &mut i64, paid: &Paid) {
        *balance = balance.saturating_sub(paid.cents);
    }

    fn settle(_: &mut (), _: &Pay) {}

    fn event_type(_: &Paid) -> &'static str {
        "Paid"
    }
}
