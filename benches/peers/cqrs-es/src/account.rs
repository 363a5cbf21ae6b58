//! The account as a cqrs-es aggregate: deposits and holds, as in the example's rules.

use std::collections::BTreeSet;

use cqrs_es::event_sink::EventSink;
use cqrs_es::{Aggregate, DomainEvent};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Account {
    available: i64,
    held: i64,
    /// The ids of all holds. Without them a retry would hold twice.
    known: BTreeSet<Uuid>,
}

#[derive(Debug)]
pub enum Command {
    Deposit { minor: i64 },
    Hold { transaction: Uuid, minor: i64 },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    Deposited { minor: i64 },
    Held { transaction: Uuid, minor: i64 },
}

#[derive(Debug, PartialEq, thiserror::Error)]
pub enum Rejection {
    #[error("amounts are above zero")]
    NotPositive,
    #[error("the account would hold more than can be counted")]
    TooMuch,
    #[error("only {available} is available")]
    Insufficient { available: i64 },
}

impl DomainEvent for Event {
    fn event_type(&self) -> String {
        match self {
            Self::Deposited { .. } => "Deposited".to_owned(),
            Self::Held { .. } => "Held".to_owned(),
        }
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

impl Account {
    fn decide(&self, command: &Command) -> Result<Option<Event>, Rejection> {
        match *command {
            Command::Deposit { minor } | Command::Hold { minor, .. } if minor <= 0 => {
                Err(Rejection::NotPositive)
            }
            Command::Deposit { minor } => {
                let balance = self.available.checked_add(self.held).and_then(|sum| sum.checked_add(minor));
                balance.map(|_| Some(Event::Deposited { minor })).ok_or(Rejection::TooMuch)
            }
            Command::Hold { transaction, .. } if self.known.contains(&transaction) => Ok(None),
            Command::Hold { minor, .. } if minor > self.available => {
                Err(Rejection::Insufficient { available: self.available })
            }
            Command::Hold { transaction, minor } => Ok(Some(Event::Held { transaction, minor })),
        }
    }
}

impl Aggregate for Account {
    const TYPE: &'static str = "account";
    type Command = Command;
    type Event = Event;
    type Error = Rejection;
    type Services = ();

    async fn handle(&mut self, command: Command, _: &(), sink: &EventSink<Self>) -> Result<(), Rejection> {
        if let Some(event) = self.decide(&command)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: Event) {
        match event {
            Event::Deposited { minor } => self.available += minor,
            Event::Held { transaction, minor } => {
                self.available -= minor;
                self.held += minor;
                self.known.insert(transaction);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_hold_changes_nothing() {
        let mut account = Account::default();
        account.apply(Event::Deposited { minor: 10 });
        let hold = Command::Hold { transaction: Uuid::nil(), minor: 6 };
        let event = account.decide(&hold).unwrap().unwrap();
        account.apply(event);
        assert_eq!(account.decide(&hold), Ok(None));
        let other = Command::Hold { transaction: Uuid::max(), minor: 6 };
        assert_eq!(account.decide(&other), Err(Rejection::Insufficient { available: 4 }));
    }
}
