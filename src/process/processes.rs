//! All processes of one kind.

use std::fmt;
use std::sync::Arc;

use crate::buffer::{Destination, DestinationSettings, EventBuffer};
use crate::clock::{Clock, SystemClock};
use crate::codec::Codecs;
use crate::command::{CommandHandler, Outcome, Settings};
use crate::error::Result;
#[cfg(feature = "testkit")]
use crate::event::Record;
use crate::id::TransactionId;
use crate::process::asked::ASKED;
use crate::process::deadlines::Deadlines;
use crate::process::deciding::{Deciding, ProcessState};
use crate::process::dispatch::{Dispatch, Dispatcher};
use crate::process::listener;
use crate::process::manager::ProcessManager;
use crate::process::timekeeper::{Ground, Timekeeper};
use crate::processor::Processor;
use crate::projection;
use crate::store::EventStore;
use crate::stream::{AggregateId, Version};

/// All processes of one kind, in a store: the front door that they hear by, and what carries out what they ask for. Cheap
/// to clone.
pub struct Processes<P: ProcessManager> {
    store: Arc<dyn EventStore>,
    clock: Arc<dyn Clock>,
    codecs: Codecs,
    handler: CommandHandler<Deciding<P>>,
    rules: Arc<P>,
    dispatch: Arc<dyn Dispatch<P>>,
    deadlines: Arc<Deadlines<P>>,
    sending: DestinationSettings,
    listening: projection::Settings,
}

/// Processes that are being set up.
#[must_use]
pub struct Builder<P: ProcessManager> {
    store: Arc<dyn EventStore>,
    clock: Arc<dyn Clock>,
    codecs: Codecs,
    settings: Settings,
    rules: Arc<P>,
    dispatch: Arc<dyn Dispatch<P>>,
    sending: DestinationSettings,
    listening: projection::Settings,
}

impl<P: ProcessManager> Builder<P> {
    /// How the processes' own commands, their inputs, are handled.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// How what is asked for is carried out: how many processes at once, how long, how often. If nothing is said, a command
    /// that cannot be carried out holds up its own process only, and no breaker closes.
    pub fn sending(mut self, sending: DestinationSettings) -> Self {
        self.sending = sending;
        self
    }

    /// How events elsewhere are followed.
    pub fn listening(mut self, listening: projection::Settings) -> Self {
        self.listening = listening;
        self
    }

    /// The codec that writes inputs and states, and those that can read, also events that are followed.
    pub fn codecs(mut self, codecs: Codecs) -> Self {
        self.codecs = codecs;
        self
    }

    /// Takes times, ids and jitter from this clock.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The processes.
    #[must_use]
    pub fn build(self) -> Processes<P> {
        let decider = Deciding(Arc::clone(&self.rules));
        let handler = CommandHandler::builder(Arc::clone(&self.store), decider)
            .settings(self.settings)
            .codecs(self.codecs.clone())
            .clock(Arc::clone(&self.clock));
        Processes {
            handler: handler.build(),
            deadlines: Arc::new(Deadlines::new(Arc::clone(&self.store))),
            store: self.store,
            clock: self.clock,
            codecs: self.codecs,
            rules: self.rules,
            dispatch: self.dispatch,
            sending: self.sending,
            listening: self.listening,
        }
    }
}

impl<P: ProcessManager> Processes<P> {
    /// Processes with default settings.
    pub fn new(store: impl EventStore, rules: P, dispatch: impl Dispatch<P>) -> Self {
        Self::builder(store, rules, dispatch).build()
    }

    /// Begins processes with settings of your own.
    pub fn builder(store: impl EventStore, rules: P, dispatch: impl Dispatch<P>) -> Builder<P> {
        Builder {
            store: Arc::new(store),
            clock: Arc::new(SystemClock),
            codecs: Codecs::default(),
            settings: Settings::default(),
            rules: Arc::new(rules),
            dispatch: Arc::new(dispatch),
            // A handler that is down is one target of many: the processes that it is not about go on.
            sending: DestinationSettings { failures: u32::MAX, ..DestinationSettings::default() },
            listening: projection::Settings::default(),
        }
    }

    /// Has a process hear something: the way to begin one. As any command it is heard once under its transaction id, and a
    /// retry hears the same.
    ///
    /// # Errors
    /// As [`CommandHandler::handle`].
    pub async fn hear(
        &self,
        process: &AggregateId,
        transaction: TransactionId,
        input: P::Input,
    ) -> Result<Outcome<P::Rejection>> {
        self.handler.handle(process, transaction, input).await
    }

    /// Looks at a process's state and its version, as of now or later.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn query<T: Send + 'static>(
        &self,
        process: &AggregateId,
        look: impl FnOnce(&ProcessState<P::State>, Version) -> T + Send + 'static,
    ) -> Result<T> {
        self.handler.query(process, look).await
    }

    /// The front door that inputs come in by: for recovery, compaction, statistics.
    #[must_use]
    pub fn handler(&self) -> &CommandHandler<Deciding<P>> {
        &self.handler
    }

    /// Adds what these processes ask for, and what they publish, to the event buffer of their store. What is asked for goes
    /// to a destination of its own, called `process.` and the category; in that name `:` stands as `-`.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when the settings of [`sending`](Builder::sending) break a bound.
    pub fn join(&self, buffer: EventBuffer) -> Result<EventBuffer> {
        let name = format!("process.{}", P::CATEGORY.as_str().replace(':', "-"));
        let dispatcher = Dispatcher {
            processes: self.handler.clone(),
            dispatch: Arc::clone(&self.dispatch),
            deadlines: Arc::clone(&self.deadlines),
        };
        let destination = Destination::new(&name, dispatcher, [ASKED])?.only_of(&P::CATEGORY);
        Ok(buffer.of::<Deciding<P>>().to(destination.settings(self.sending.clone())?))
    }

    /// What tells the processes of events elsewhere, where they follow some, and of deadlines. Give all of them to the
    /// workers, beside the processors of the event buffer.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when the selection breaks a bound.
    pub fn processors(&self) -> Result<Vec<Arc<dyn Processor>>> {
        let mut processors: Vec<Arc<dyn Processor>> = vec![Arc::new(Timekeeper::new(self.time())?)];
        if let Some(selection) = self.rules.follows()? {
            let listening = listener::Listening {
                store: Arc::clone(&self.store),
                clock: Arc::clone(&self.clock),
                codecs: self.codecs.clone(),
                settings: self.listening.clone(),
                processes: self.handler.clone(),
                rules: Arc::clone(&self.rules),
            };
            processors.push(listening.processor(selection)?);
        }
        Ok(processors)
    }

    /// The rules.
    #[cfg(feature = "testkit")]
    pub(crate) fn rules(&self) -> &P {
        &self.rules
    }

    /// Has the process hear an event that it is for, and says whether there is one.
    #[cfg(feature = "testkit")]
    pub(crate) async fn tell(&self, record: &Record) -> Result<bool, projection::Failure> {
        listener::tell(&*self.rules, &self.handler, &projection::Event::new(record, &self.codecs, false))
            .await
    }

    pub(crate) fn time(&self) -> Ground<P> {
        Ground { processes: self.handler.clone(), deadlines: Arc::clone(&self.deadlines) }
    }
}

impl<P: ProcessManager> Clone for Processes<P> {
    fn clone(&self) -> Self {
        Self {
            store: Arc::clone(&self.store),
            clock: Arc::clone(&self.clock),
            codecs: self.codecs.clone(),
            handler: self.handler.clone(),
            rules: Arc::clone(&self.rules),
            dispatch: Arc::clone(&self.dispatch),
            deadlines: Arc::clone(&self.deadlines),
            sending: self.sending.clone(),
            listening: self.listening.clone(),
        }
    }
}

impl<P: ProcessManager> fmt::Debug for Processes<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Processes").field("category", &P::CATEGORY).finish_non_exhaustive()
    }
}

impl<P: ProcessManager> fmt::Debug for Builder<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("settings", &self.settings).finish_non_exhaustive()
    }
}
