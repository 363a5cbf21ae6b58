//! Inline: what processors do, done by the test itself until nothing is left. One thread, no timers, the same run each time.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//! use sidestream::buffer::EventBuffer;
//! use sidestream::clock::{ManualClock, Timestamp};
//! use sidestream::process::Processes;
//! use sidestream::protocol::Atomicity;
//! use sidestream::testkit::inline::{Inline, Ran};
//! use sidestream::{AggregateId, MemoryStore, TransactionId};
//! # use async_trait::async_trait;
//! # use serde::{Deserialize, Serialize};
//! # use sidestream::Category;
//! # use sidestream::process::{Dispatch, ProcessManager, Reaction};
//! # #[derive(Clone, Serialize, Deserialize)] enum Heard { Begin, Late }
//! # struct Reminder;
//! # impl ProcessManager for Reminder {
//! #     const CATEGORY: Category = Category::new("reminder");
//! #     type Input = Heard; type Command = (); type Rejection = (); type State = u8;
//! #     fn evolve(heard: &mut u8, _: &Heard) { *heard += 1; }
//! #     fn react(&self, _: &u8, input: &Heard) -> Result<Reaction<Self>, ()> {
//! #         Ok(match input {
//! #             Heard::Begin => Reaction::none().schedule(Duration::from_secs(60), Heard::Late),
//! #             Heard::Late => Reaction::none().dispatch(()).complete(),
//! #         })
//! #     }
//! # }
//! # struct Nobody;
//! # #[async_trait]
//! # impl Dispatch<Reminder> for Nobody {
//! #     async fn dispatch(&self, _: (), _: TransactionId) -> sidestream::Result<Option<Heard>> { Ok(None) }
//! # }
//!
//! # sidestream::testkit::run(async {
//! let clock = Arc::new(ManualClock::new(Timestamp::from_micros(0)));
//! let store = MemoryStore::with(Default::default(), Atomicity::Batch, clock.clone());
//! let reminders = Processes::new(store.clone(), Reminder, Nobody);
//! let buffer = reminders.join(EventBuffer::new(store))?;
//! let mut inline = Inline::of(&buffer)?.processes(&reminders)?;
//!
//! let begin = TransactionId::derive("begin", "7");
//! reminders.hear(&AggregateId::new("7")?, begin, Heard::Begin).await?;
//! assert_eq!(inline.run().await?, Ran { heard: 0, sent: 1, deadlines: 0 }); // the deadline is kept
//! clock.advance(Duration::from_secs(60));
//! assert_eq!(inline.run().await?, Ran { heard: 0, sent: 1, deadlines: 1 }); // it passed, and led to a command
//! assert_eq!(inline.run().await?, Ran::default());
//! # Ok::<(), sidestream::Error>(())
//! # }).unwrap();
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::buffer::{Answer, Delivery, Destination, EventBuffer};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Record;
use crate::feed::{Cursor, Selection};
use crate::message::RecordedMessage;
use crate::partition::PartitionId;
use crate::process::{ProcessManager, Processes};
use crate::store::EventStore;
use crate::stream::Position;

/// What a run did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ran {
    /// Events elsewhere that processes heard.
    pub heard: usize,
    /// Messages that were taken: commands, deadlines that are kept, and what is published.
    pub sent: usize,
    /// Deadlines that passed.
    pub deadlines: usize,
}

impl Ran {
    fn and(self, other: Self) -> Self {
        Self {
            heard: self.heard + other.heard,
            sent: self.sent + other.sent,
            deadlines: self.deadlines + other.deadlines,
        }
    }
}

/// An event buffer and the processes that joined it, carried out when the test says so.
///
/// It remembers in memory how far it came, and a new one begins at the log's first record, as after a crash that lost
/// everything that is not in the store: whatever is done again changes nothing, or the test has found a mistake.
pub struct Inline {
    buffer: EventBuffer,
    kinds: Vec<Box<dyn Kind>>,
    /// How far each destination, and each kind of process that follows events, came in each partition.
    sent_to: BTreeMap<(usize, PartitionId), Position>,
    heard_to: BTreeMap<(usize, PartitionId), Position>,
}

/// Processes of one kind; their type is forgotten here.
#[async_trait]
trait Kind: Send + Sync {
    fn follows(&self) -> Result<Option<Selection>>;
    async fn tell(&self, record: &Record) -> Result<bool>;
    async fn deadlines(&self, partition: PartitionId) -> Result<usize>;
}

#[async_trait]
impl<P: ProcessManager> Kind for Processes<P> {
    fn follows(&self) -> Result<Option<Selection>> {
        self.rules().follows()
    }

    async fn tell(&self, record: &Record) -> Result<bool> {
        self.tell(record).await.map_err(|failure| match failure.downcast::<Error>() {
            Ok(error) => *error,
            Err(other) => {
                let what = format!("{} cannot route version {}: {other}", P::CATEGORY, record.version);
                Error::invalid(what).in_stream(&record.stream)
            }
        })
    }

    async fn deadlines(&self, partition: PartitionId) -> Result<usize> {
        self.time().tell(partition).await.map(|(told, _)| told)
    }
}

impl Inline {
    /// What this buffer's processors would do.
    ///
    /// # Errors
    /// As [`EventBuffer::processors`].
    pub fn of(buffer: &EventBuffer) -> Result<Self> {
        buffer.check()?;
        let buffer = buffer.clone();
        Ok(Self { buffer, kinds: Vec::new(), sent_to: BTreeMap::new(), heard_to: BTreeMap::new() })
    }

    /// And what the processors of these processes would do, which joined the buffer.
    ///
    /// # Errors
    /// As [`Processes::processors`].
    pub fn processes<P: ProcessManager>(mut self, processes: &Processes<P>) -> Result<Self> {
        Kind::follows(processes)?;
        self.kinds.push(Box::new(processes.clone()));
        Ok(self)
    }

    /// Tells, sends and looks at the deadlines, again and again until there is nothing more. Time stands still unless the
    /// store's clock moves: a deadline that has not passed stays for a later run.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) when a message was not taken now, [`Invalid`](ErrorKind::Invalid) when it was
    /// refused, or an event could not be routed; those of the store. The next run goes on there.
    pub async fn run(&mut self) -> Result<Ran> {
        let mut all = Ran::default();
        loop {
            let ran = self.round().await?;
            if ran == Ran::default() {
                return Ok(all);
            }
            all = all.and(ran);
        }
    }

    async fn round(&mut self) -> Result<Ran> {
        let mut ran = Ran::default();
        for partition in self.buffer.store().properties().partitions.all() {
            ran.heard += self.hear(partition).await?;
            ran.sent += self.send(partition).await?;
            for kind in &self.kinds {
                ran.deadlines += kind.deadlines(partition).await?;
            }
        }
        Ok(ran)
    }

    /// Tells processes of the events that they follow.
    async fn hear(&mut self, partition: PartitionId) -> Result<usize> {
        let mut heard = 0;
        for (number, kind) in self.kinds.iter().enumerate() {
            let Some(selection) = kind.follows()? else { continue };
            let place = self.heard_to.entry((number, partition)).or_insert(Position::START);
            let store = Arc::clone(self.buffer.store());
            let mut cursor = Cursor::new(store, partition, selection, *place);
            loop {
                let page = cursor.next().await?;
                for record in &page.records {
                    heard += usize::from(kind.tell(record).await?);
                    *place = record.position;
                }
                *place = page.read_to;
                if !page.has_more() {
                    break;
                }
            }
        }
        Ok(heard)
    }

    /// Sends every destination its messages.
    async fn send(&mut self, partition: PartitionId) -> Result<usize> {
        let mut sent = 0;
        for (number, destination) in self.buffer.destinations().iter().enumerate() {
            let selection = self.buffer.selection(destination)?;
            let place = self.sent_to.entry((number, partition)).or_insert(Position::START);
            let store = Arc::clone(self.buffer.store());
            let mut cursor = Cursor::new(store, partition, selection, *place);
            loop {
                let page = cursor.next().await?;
                for record in &page.records {
                    send_one(destination, RecordedMessage::read(record)?).await?;
                    sent += 1;
                    *place = record.position;
                }
                *place = page.read_to;
                if !page.has_more() {
                    break;
                }
            }
        }
        Ok(sent)
    }
}

async fn send_one(destination: &Destination, message: RecordedMessage) -> Result<()> {
    let (id, stream) = (message.id, message.stream.clone());
    let delivery =
        Delivery { message: Arc::new(message), source: Arc::clone(&destination.source), refusals: 0 };
    let failed = |kind, how: &str, why: String| {
        let what = format!("message {id} was {how} by {}: {why}", destination.name());
        Err(Error::new(kind, what).in_stream(&stream))
    };
    match destination.sink.send(&delivery).await {
        Answer::Taken => Ok(()),
        Answer::Later { why, .. } => failed(ErrorKind::Unavailable, "not taken now", why),
        Answer::Refused { why } => failed(ErrorKind::Invalid, "refused", why),
    }
}

impl fmt::Debug for Inline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inline").field("buffer", &self.buffer).finish_non_exhaustive()
    }
}
