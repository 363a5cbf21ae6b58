//! Whose messages go where.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::buffer::collector::Collector;
use crate::buffer::destination::{Destination, DestinationName};
use crate::buffer::parked;
use crate::buffer::place;
use crate::buffer::publisher::Publisher;
use crate::clock::{Clock, SystemClock};
use crate::decider::Decider;
use crate::error::{Error, Result};
use crate::feed::Selection;
use crate::limits;
use crate::message::Topic;
use crate::processor::Processor;
use crate::store::EventStore;
use crate::store::rows::{RowChange, RowExpected, RowKey, RowWrite};
use crate::stream::Category;

/// How long messages are kept after all destinations have them, if nothing is said.
const RETENTION: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The messages of some deciders, and the destinations that they go to: one for a store, with all of them.
///
/// It only says what is to be done: its [`processors`](Self::processors) do it, run by the workers of a
/// [`Runtime`](crate::runtime::Runtime).
#[derive(Clone)]
pub struct EventBuffer {
    store: Arc<dyn EventStore>,
    clock: Arc<dyn Clock>,
    categories: Vec<Category>,
    topics: BTreeSet<Topic>,
    destinations: Vec<Destination>,
    retention: Duration,
}

impl EventBuffer {
    /// A buffer over a store, with nobody's messages yet.
    #[must_use]
    pub fn new(store: impl EventStore) -> Self {
        Self {
            store: Arc::new(store),
            clock: Arc::new(SystemClock),
            categories: Vec::new(),
            topics: BTreeSet::new(),
            destinations: Vec::new(),
            retention: RETENTION,
        }
    }

    /// The messages that this decider's decisions send, too.
    #[must_use]
    pub fn of<D: Decider>(mut self) -> Self {
        self.categories.push(D::CATEGORY.messages());
        self.topics.extend(D::TOPICS.iter().cloned());
        self
    }

    /// To this destination, too. A destination begins with the oldest message that is kept.
    #[must_use]
    pub fn to(mut self, destination: Destination) -> Self {
        self.destinations.push(destination);
        self
    }

    /// How long messages are kept, by the store's clock, after all destinations have them; then they are removed from the
    /// log. A week if nothing is said.
    #[must_use]
    pub fn retention(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }

    /// Takes times and jitter from this clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// What sends the messages, one processor for each destination, and what collects those that are past their
    /// retention. Give all of them to the workers.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when a topic goes nowhere, a destination wants a topic that nobody sends, two
    /// destinations share a name, or there are too many.
    pub fn processors(&self) -> Result<Vec<Arc<dyn Processor>>> {
        self.check()?;
        let mut processors: Vec<Arc<dyn Processor>> = Vec::new();
        for destination in &self.destinations {
            let (store, clock) = (Arc::clone(&self.store), Arc::clone(&self.clock));
            let selection = self.selection(destination)?;
            processors.push(Arc::new(Publisher::new(store, selection, destination.clone(), clock)?));
        }
        let names = self.destinations.iter().map(|destination| destination.name.clone()).collect();
        let collector = Collector::new(Arc::clone(&self.store), self.everything()?, (self.retention, names))?;
        processors.push(Arc::new(collector));
        Ok(processors)
    }

    /// Forgets a destination that nothing is sent to any more: what it has not got does not keep messages from being
    /// collected, and under the same name it would begin anew. Stop its publishers first.
    ///
    /// # Errors
    /// Those of the store; then forget it again.
    pub async fn forget(&self, destination: &DestinationName) -> Result<()> {
        for partition in self.store.properties().partitions.all() {
            for (parked, _) in parked::read_all(&*self.store, partition, destination).await? {
                place::write(&*self.store, partition, vec![parked.gone(destination)?]).await?;
            }
            let key = RowKey::new(place::SPACE, destination.as_str())?;
            let gone = RowWrite { key, expected: RowExpected::Any, change: RowChange::Remove };
            place::write(&*self.store, partition, vec![gone]).await?;
        }
        Ok(())
    }

    pub(crate) fn store(&self) -> &Arc<dyn EventStore> {
        &self.store
    }

    pub(crate) fn destinations(&self) -> &[Destination] {
        &self.destinations
    }

    /// The messages that a destination gets.
    pub(crate) fn selection(&self, destination: &Destination) -> Result<Selection> {
        let selection = Selection::messages().types(destination.topics.iter().map(Topic::as_str))?;
        match &destination.only {
            Some(category) => selection.category(category.clone()),
            None => self.of_categories(selection),
        }
    }

    /// All messages that any destination gets.
    fn everything(&self) -> Result<Selection> {
        let topics = self.destinations.iter().flat_map(|destination| &destination.topics);
        self.of_categories(Selection::messages().types(topics.map(Topic::as_str))?)
    }

    fn of_categories(&self, selection: Selection) -> Result<Selection> {
        self.categories.iter().try_fold(selection, |selection, category| selection.category(category.clone()))
    }

    pub(crate) fn check(&self) -> Result<()> {
        let most = limits::DESTINATIONS;
        if !(1..=most).contains(&self.destinations.len()) || self.categories.is_empty() {
            return Err(Error::invalid(
                "a buffer needs a decider whose messages it sends, and a destination",
            )
            .expected(format!("1 to {most} destinations"), self.destinations.len()));
        }
        let mut names = BTreeSet::new();
        let mut wanted = BTreeSet::new();
        for Destination { name, topics, .. } in &self.destinations {
            if !names.insert(name) {
                return Err(Error::invalid(format!("two destinations are called {name}")));
            }
            let is_sent = |topic: &Topic| topic.is_reserved() || self.topics.contains(topic);
            if let Some(unknown) = topics.iter().find(|topic| !is_sent(topic)) {
                return Err(Error::invalid(format!(
                    "destination {name} wants the topic {unknown}, which nobody sends"
                ))
                .expected(format!("topics among {:?}", names_of(&self.topics)), unknown)
                .advice("name it in the `TOPICS` of a decider that the buffer is `of`"));
            }
            wanted.extend(topics);
        }
        match self.topics.iter().find(|topic| !wanted.contains(topic)) {
            Some(lost) => Err(Error::invalid(format!("the topic {lost} goes nowhere"))
                .expected("a destination for each topic of the deciders", format!("{:?}", names))
                .advice("give it a destination, or take it out of the decider's `TOPICS`")),
            None => Ok(()),
        }
    }
}

fn names_of(topics: &BTreeSet<Topic>) -> Vec<&str> {
    topics.iter().map(Topic::as_str).collect()
}

impl fmt::Debug for EventBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventBuffer")
            .field("topics", &self.topics)
            .field("destinations", &self.destinations)
            .finish_non_exhaustive()
    }
}
