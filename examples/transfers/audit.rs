//! The auditor: adds up the money, and says what became of each transfer, from the logs alone.
//!
//! It asks no process and no account: what was asked for stands in the messages, what was done in the accounts' events,
//! and both name the same transaction.

use std::collections::BTreeMap;
use std::sync::Arc;

use sidestream::codec::Codecs;
use sidestream::event::{Record, RecordKind};
use sidestream::feed::{Cursor, Selection};
use sidestream::message::RecordedMessage;
use sidestream::partition::PartitionId;
use sidestream::process::{ProcessEvent, ProcessManager};
use sidestream::{Decider, Error, EventStore, Position, Result, TransactionId};

use super::account::{self, Account, Funds};
use super::transfer::{Command, Input, Transfer};

/// The scope of the ids that money comes in under.
pub const OPENING: &str = "opening";

/// What was done of one transfer, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Trail {
    minor: i64,
    held: u32,
    deposited: u32,
    captured: u32,
    released: u32,
    is_complete: bool,
    not_held: bool,
    not_deposited: bool,
}

/// What the logs say, as far as they were read.
#[derive(Debug, Default)]
pub struct Audit {
    read_to: BTreeMap<PartitionId, Position>,
    funds: BTreeMap<String, Funds>,
    money_in: i64,
    trails: BTreeMap<String, Trail>,
    /// Which transfer a transaction on an account is of.
    transfers: BTreeMap<TransactionId, String>,
    /// What happened on accounts, until it is known whom it belongs to.
    happened: Vec<(TransactionId, account::Event)>,
    /// Holds that expire: how often they were held, captured, released.
    expiring: BTreeMap<TransactionId, (u32, u32, u32)>,
}

/// What it all comes to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    pub begun: u64,
    /// The money went over.
    pub done: u64,
    /// Nothing went over, and nothing is held any more.
    pub undone: u64,
    /// Neither, or not yet.
    pub half_done: u64,
    /// Something happened twice, or against each other, or was asked for by nobody.
    pub doubled: u64,
    pub money_in: i64,
    /// All that accounts have, less what is on both sides of a transfer at the moment.
    pub money_now: i64,
    /// Undone because the payer's account refused, because the payee's did, because it was late.
    pub not_held: u64,
    pub not_deposited: u64,
    pub late: u64,
    /// Holds that expire; those that were released.
    pub expiring: u64,
    pub expired: u64,
}

impl Figures {
    /// What must hold at any moment.
    pub fn is_right(&self) -> bool {
        self.money_in == self.money_now && self.doubled == 0
    }
}

impl Audit {
    /// Reads what is new. Nobody may write meanwhile, or the money of a transfer is seen on one side only.
    pub async fn look(&mut self, store: Arc<dyn EventStore>) -> Result<Figures> {
        let messages = Transfer::CATEGORY.messages();
        let everything = Selection::all()
            .framework_records()
            .category(Account::CATEGORY)?
            .category(Transfer::CATEGORY)?
            .category(messages)?;
        for partition in store.properties().partitions.all() {
            let from = self.read_to.get(&partition).copied().unwrap_or(Position::START);
            let mut cursor = Cursor::new(Arc::clone(&store), partition, everything.clone(), from);
            loop {
                let page = cursor.next().await?;
                page.records.iter().try_for_each(|record| self.take(record))?;
                self.read_to.insert(partition, page.read_to);
                if !page.has_more() {
                    break;
                }
            }
        }
        self.sort_out();
        Ok(self.figures())
    }

    fn take(&mut self, record: &Record) -> Result<()> {
        let codecs = Codecs::default();
        match (&record.data.kind, record.stream.category()) {
            (RecordKind::Message { .. }, _) => self.asked(&RecordedMessage::read(record)?),
            (RecordKind::Event, category) if category == Account::CATEGORY.as_str() => {
                let event: account::Event = codecs.open(&record.data).decode()?;
                self.moved(record, event)
            }
            (RecordKind::Event, category) if category == Transfer::CATEGORY.as_str() => {
                let event: ProcessEvent<Input> = codecs.open(&record.data).decode()?;
                self.heard(record.stream.id(), &event);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn asked(&mut self, message: &RecordedMessage) -> Result<()> {
        #[derive(serde::Deserialize)]
        struct Asked {
            asked: serde_json::Value,
        }
        let wrong = |error| Error::corrupt("a message cannot be read").caused_by(error);
        let Asked { asked } = serde_json::from_slice(&message.data).map_err(wrong)?;
        if let Ok(Command::Hold { .. } | Command::Deposit { .. }) = serde_json::from_value(asked) {
            let transfer = message.stream.id().to_owned();
            self.transfers.insert(TransactionId::new(message.id.as_uuid()), transfer);
        }
        Ok(())
    }

    fn moved(&mut self, record: &Record, event: account::Event) -> Result<()> {
        let account = record.stream.id().to_owned();
        Account::evolve(self.funds.entry(account.clone()).or_default(), &event);
        let cause = record.data.cause.as_ref().ok_or_else(|| Error::corrupt("an event without a cause"))?;
        match event {
            account::Event::Deposited { minor }
                if cause.transaction == TransactionId::derive(OPENING, &account) =>
            {
                self.money_in += minor;
            }
            event => self.happened.push((cause.transaction, event)),
        }
        Ok(())
    }

    fn heard(&mut self, transfer: &str, event: &ProcessEvent<Input>) {
        let trail = self.trails.entry(transfer.to_owned()).or_default();
        match event {
            ProcessEvent::Heard(Input::Begin { minor, .. }) => trail.minor = *minor,
            ProcessEvent::Heard(Input::NotHeld { .. }) => trail.not_held = true,
            ProcessEvent::Heard(Input::NotDeposited { .. }) => trail.not_deposited = true,
            ProcessEvent::Completed => trail.is_complete = true,
            ProcessEvent::Heard(_) => {}
        }
    }

    /// Gives what happened on accounts to the transfers that asked for it. What nobody asked for is left over.
    fn sort_out(&mut self) {
        let happened = std::mem::take(&mut self.happened);
        for (transaction, event) in happened {
            if let Some(transfer) = self.transfers.get(&transaction) {
                let trail = self.trails.entry(transfer.clone()).or_default();
                let count = match event {
                    account::Event::Held { .. } => &mut trail.held,
                    account::Event::Deposited { .. } => &mut trail.deposited,
                    account::Event::Captured { .. } => &mut trail.captured,
                    account::Event::Released { .. } => &mut trail.released,
                };
                *count += 1;
                continue;
            }
            let counts = self.expiring.get_mut(&transaction);
            match (&event, counts) {
                (account::Event::Held { expires_ms: Some(_), .. }, counts) => match counts {
                    Some(counts) => counts.0 += 1,
                    None => drop(self.expiring.insert(transaction, (1, 0, 0))),
                },
                (account::Event::Captured { .. }, Some(counts)) => counts.1 += 1,
                (account::Event::Released { .. }, Some(counts)) => counts.2 += 1,
                _ => self.happened.push((transaction, event)),
            }
        }
    }

    fn figures(&self) -> Figures {
        let money: i64 = self.funds.values().map(|funds| funds.available + funds.held).sum();
        let in_transit: i64 = self.trails.values().map(Trail::in_transit).sum();
        let strays = u64::try_from(self.happened.len()).unwrap_or(u64::MAX);
        let count = |holds: &dyn Fn(&Trail) -> bool| {
            u64::try_from(self.trails.values().filter(|trail| holds(trail)).count()).unwrap_or(u64::MAX)
        };
        let of = |holds: &dyn Fn(&(u32, u32, u32)) -> bool| {
            u64::try_from(self.expiring.values().filter(|counts| holds(counts)).count()).unwrap_or(u64::MAX)
        };
        let twice = of(&|(held, captured, released)| *held > 1 || captured + released > 1);
        Figures {
            begun: count(&|_| true),
            done: count(&Trail::is_done),
            undone: count(&Trail::is_undone),
            half_done: count(&|trail| !trail.is_done() && !trail.is_undone()),
            doubled: count(&Trail::is_doubled) + strays + twice,
            money_in: self.money_in,
            money_now: money - in_transit,
            not_held: count(&|trail| trail.is_undone() && trail.not_held),
            not_deposited: count(&|trail| trail.is_undone() && trail.not_deposited),
            late: count(&|trail| trail.is_undone() && !trail.not_held && !trail.not_deposited),
            expiring: of(&|_| true),
            expired: of(&|(_, _, released)| *released == 1),
        }
    }
}

impl Trail {
    fn is_done(&self) -> bool {
        self.is_complete && (self.held, self.deposited, self.captured, self.released) == (1, 1, 1, 0)
    }

    fn is_undone(&self) -> bool {
        self.is_complete
            && (self.deposited, self.captured) == (0, 0)
            && matches!((self.held, self.released), (0, 0) | (1, 1))
    }

    fn is_doubled(&self) -> bool {
        self.held > 1 || self.deposited > 1 || self.captured + self.released > 1
    }

    /// What is on both accounts: deposited, and not captured yet.
    fn in_transit(&self) -> i64 {
        self.minor * (i64::from(self.deposited) - i64::from(self.captured))
    }
}
