//! Which records a processor follows.

use crate::error::{Error, Result};
use crate::event::{EventType, Record, RecordKind};
use crate::hash::HashSet;
use crate::limits;
use crate::stream::{Category, StreamName};

/// Which records a processor follows: users' events, as far as nothing else is said. What is named once (a category, say)
/// narrows it; several of a kind widen it among themselves.
///
/// ```
/// use sidestream::Category;
/// use sidestream::feed::Selection;
///
/// let large = Selection::all().category(Category::new("account"))?.types(["Held", "Captured"])?;
/// # Ok::<(), sidestream::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    categories: Vec<Category>,
    types: Vec<EventType>,
    streams: HashSet<StreamName>,
    kinds: Kinds,
}

/// Which kinds of records are among them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Kinds {
    #[default]
    Events,
    Messages,
    All,
}

impl Selection {
    /// All users' events.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// All messages.
    #[must_use]
    pub fn messages() -> Self {
        Self { kinds: Kinds::Messages, ..Self::default() }
    }

    /// Only streams of this category, and of others that are named so.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when there are more than [`limits::SELECTED_CATEGORIES`].
    pub fn category(mut self, category: Category) -> Result<Self> {
        self.categories.push(category);
        at_most("categories", self.categories.len(), limits::SELECTED_CATEGORIES)?;
        Ok(self)
    }

    /// Only records of these event types. They are read by the store's index of types, so that everything else costs
    /// nothing.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when there are none, more than [`limits::SELECTED_TYPES`], or one is no
    /// event type.
    pub fn types<T: Into<String>>(mut self, types: impl IntoIterator<Item = T>) -> Result<Self> {
        for name in types {
            self.types.push(EventType::stored(name.into())?);
        }
        self.types.sort();
        self.types.dedup();
        if self.types.is_empty() {
            return Err(Error::invalid("a selection by event types names none"));
        }
        at_most("event types", self.types.len(), limits::SELECTED_TYPES)?;
        Ok(self)
    }

    /// Only this stream, and others that are named so.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when there are more than [`limits::SELECTED_STREAMS`].
    pub fn stream(mut self, stream: StreamName) -> Result<Self> {
        self.streams.insert(stream);
        at_most("streams", self.streams.len(), limits::SELECTED_STREAMS)?;
        Ok(self)
    }

    /// All other records, too: what side streams hold, markers, fences, snapshots, messages.
    #[must_use]
    pub fn framework_records(mut self) -> Self {
        self.kinds = Kinds::All;
        self
    }

    /// Whether a record is among those that are followed.
    #[must_use]
    pub fn matches(&self, record: &Record) -> bool {
        self.has_kind(record.data.kind)
            && (self.types.is_empty() || self.types.contains(&record.data.event_type))
            && (self.categories.is_empty() || self.has_category(record.stream.category()))
            && (self.streams.is_empty() || self.streams.contains(&record.stream))
    }

    fn has_kind(&self, kind: RecordKind) -> bool {
        match self.kinds {
            Kinds::Events => kind == RecordKind::Event,
            Kinds::Messages => matches!(kind, RecordKind::Message { .. }),
            Kinds::All => true,
        }
    }

    /// One that selects all that any of these do, and more: as little more as one selection can say. Read by the index of
    /// types where all of them name types.
    pub(crate) fn covering(selections: &[Self]) -> Self {
        let mut types: Vec<EventType> = Vec::new();
        if selections.iter().all(|selection| !selection.types.is_empty()) {
            types.extend(selections.iter().flat_map(|selection| selection.types.iter().cloned()));
            types.sort();
            types.dedup();
        }
        if types.len() > limits::SELECTED_TYPES {
            types.clear();
        }
        let kinds = match selections {
            [first, rest @ ..] if rest.iter().all(|other| other.kinds == first.kinds) => first.kinds,
            _ => Kinds::All,
        };
        Self { types, kinds, ..Self::default() }
    }

    fn has_category(&self, name: &str) -> bool {
        self.categories.iter().any(|category| category.as_str() == name)
    }

    /// The types to read by; empty where the whole log has to be read.
    pub(super) fn indexed(&self) -> &[EventType] {
        &self.types
    }
}

fn at_most(what: &str, found: usize, most: usize) -> Result<()> {
    if found <= most {
        return Ok(());
    }
    Err(Error::invalid(format!("a selection names too many {what}"))
        .expected(format!("at most {most}"), found)
        .advice("select more widely, and have the handler pass over the rest"))
}
