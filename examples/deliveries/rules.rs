//! An account that tells others of each payment.

use serde::{Deserialize, Serialize};
use sidestream::{Category, Decider, Events, Message, StepName, Topic};

pub(crate) const PAID: Topic = Topic::new("paid");

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Account;

/// A payment, and the event that it was made.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Pay {
    pub(crate) number: u64,
}

impl Decider for Account {
    const CATEGORY: Category = Category::new("account");
    const TOPICS: &'static [Topic] = &[PAID];
    type Command = Pay;
    type Event = Pay;
    type Rejection = ();
    type State = u64;
    type Transaction = ();

    fn step(_: &Pay) -> StepName {
        StepName::new("pay")
    }

    fn decide(&self, payments: &u64, _: &(), pay: &Pay) -> Result<Events<Pay>, ()> {
        let told = serde_json::json!({ "number": pay.number, "payments": payments + 1 });
        Ok(Events::from(*pay).with_message(Message::json(PAID, &told)))
    }

    fn evolve(payments: &mut u64, _: &Pay) {
        *payments += 1;
    }

    fn settle(_: &mut (), _: &Pay) {}

    fn event_type(_: &Pay) -> &'static str {
        "Paid"
    }
}
