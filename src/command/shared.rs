//! What all lanes of a command handler share, and how they encode values.

use std::sync::Arc;

use crate::clock::Clock;
use crate::codec::Codecs;
use crate::command::pressure::Pressure;
use crate::command::records::{self, Content};
use crate::command::reply::Replies;
use crate::command::settings::{Counters, Settings};
use crate::decider::{Decider, Stored};
use crate::error::{Error, Result};
use crate::event::{NewRecord, RecordKind};
use crate::id::Cause;
use crate::limits;
use crate::message::{Message, Topic};
use crate::store::{EventStore, StoreProperties};

pub(super) struct Shared<D: Decider> {
    pub(super) store: Arc<dyn EventStore>,
    pub(super) properties: StoreProperties,
    pub(super) decider: D,
    pub(super) codecs: Codecs,
    pub(super) settings: Settings,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) counters: Counters,
    pub(super) replies: Option<Replies<D>>,
    pub(super) pressure: Option<Arc<dyn Pressure>>,
}

impl<D: Decider> Shared<D> {
    fn encode<T: Stored>(&self, schema: u16, value: &T) -> Result<Content> {
        let (codec, payload) = self.codecs.encode(value)?;
        Ok(Content { schema, codec, payload })
    }

    pub(super) fn encode_command(&self, command: &D::Command) -> Result<Content> {
        let content = self.encode(D::SCHEMAS.command, command)?;
        content.at_most(self.settings.limits.command_bytes, "command")
    }

    pub(super) fn command(&self, record: &NewRecord) -> Result<D::Command> {
        let encoded = self.codecs.open(record);
        let current = encoded.schema() == D::SCHEMAS.command;
        if current { encoded.decode() } else { D::upcast_command(&encoded) }
    }

    pub(super) fn rejection(&self, reason: &D::Rejection, cause: &Cause) -> Result<NewRecord> {
        let content = self.encode(D::SCHEMAS.rejection, reason)?;
        let content = content.at_most(self.settings.limits.rejection_bytes, "rejection")?;
        records::framework(RecordKind::Rejected, cause, content)
    }

    pub(super) fn transaction(&self, transaction: &D::Transaction) -> Result<Content> {
        let content = self.encode(D::SCHEMAS.transaction, transaction)?;
        content.at_most(self.settings.limits.transaction_bytes, "transaction's state")
    }

    pub(super) fn events(&self, events: &[D::Event], cause: &Cause) -> Result<Vec<NewRecord>> {
        let most = self.settings.limits.decision_events;
        if events.len() > most {
            return Err(Error::invalid("a decision has too many events")
                .expected(format!("at most {most}"), events.len()));
        }
        let encode = |event: &D::Event| {
            let content = self.encode(D::SCHEMAS.event, event)?;
            records::event(D::event_type(event), cause, content)
        };
        events.iter().map(encode).collect()
    }

    pub(super) fn messages(&self, messages: &[Message], cause: &Cause) -> Result<Vec<NewRecord>> {
        let most = limits::DECISION_MESSAGES;
        if messages.len() > most {
            return Err(Error::invalid("a decision sends too many messages")
                .expected(format!("at most {most}"), messages.len()));
        }
        (0..).zip(messages).map(|(index, message)| self.message(index, message, cause)).collect()
    }

    fn message(&self, index: u32, message: &Message, cause: &Cause) -> Result<NewRecord> {
        if !message.topic().is_reserved() && !D::TOPICS.contains(message.topic()) {
            let known: Vec<_> = D::TOPICS.iter().map(Topic::as_str).collect();
            return Err(Error::invalid(format!("a decision of {} sends to an unknown topic", D::CATEGORY))
                .expected(format!("one of {known:?}"), message.topic())
                .advice("name the topic in the decider's `TOPICS`; nothing was written"));
        }
        self.pressure.as_ref().map_or(Ok(()), |pressure| pressure.admit(message.topic()))?;
        let content = message.encode()?;
        records::message(index, cause, content)
    }
}
