//! A destination: which messages go to which sink.

use std::fmt;
use std::sync::Arc;

use crate::buffer::settings::DestinationSettings;
use crate::buffer::sink::Sink;
use crate::error::{Error, Result};
use crate::limits;
use crate::message::Topic;
use crate::stream::Category;

/// The durable name of a destination: what was sent to it is recorded by it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DestinationName(Arc<str>);

impl DestinationName {
    /// Checks and takes a name: 1 to 64 letters, digits, `_`, `.` and `-`.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when it is another one.
    pub fn new(name: &str) -> Result<Self> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
        if (1..=limits::DESTINATION_NAME_BYTES).contains(&name.len()) && name.bytes().all(allowed) {
            return Ok(Self(Arc::from(name)));
        }
        let shown: String = name.chars().take(64).collect();
        Err(Error::invalid(format!(
            "the destination's name {shown:?} is not 1 to {} letters, digits, '_', '.' or '-'",
            limits::DESTINATION_NAME_BYTES
        )))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DestinationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A sink, and the messages that go to it.
#[derive(Debug, Clone)]
pub struct Destination {
    pub(super) name: DestinationName,
    pub(crate) sink: Arc<dyn Sink>,
    pub(super) topics: Vec<Topic>,
    /// Only those of this category's aggregates, where there is one.
    pub(super) only: Option<Category>,
    pub(crate) source: Arc<str>,
    pub(super) settings: DestinationSettings,
}

impl Destination {
    /// A destination that gets the messages of these topics.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a bad name, and when there is no topic, or more than
    /// [`limits::SELECTED_TYPES`].
    pub fn new(name: &str, sink: impl Sink, topics: impl IntoIterator<Item = Topic>) -> Result<Self> {
        let name = DestinationName::new(name)?;
        let mut topics: Vec<_> = topics.into_iter().collect();
        topics.sort();
        topics.dedup();
        if topics.is_empty() || topics.len() > limits::SELECTED_TYPES {
            return Err(Error::invalid(format!("destination {name} has no topic, or too many"))
                .expected(format!("1 to {}", limits::SELECTED_TYPES), topics.len()));
        }
        let settings = DestinationSettings::default();
        Ok(Self { name, sink: Arc::new(sink), topics, only: None, source: Arc::from("sidestream"), settings })
    }

    /// Only messages that this category's aggregates send.
    #[must_use]
    pub fn only_of(mut self, category: &Category) -> Self {
        self.only = Some(category.messages());
        self
    }

    /// With these settings.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid), naming the setting that breaks its bound.
    pub fn settings(mut self, settings: DestinationSettings) -> Result<Self> {
        settings.check()?;
        self.settings = settings;
        Ok(self)
    }

    /// Who sends, as receivers are told: an absolute URI, best. `sidestream` if nothing is said.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when it is empty, too long, or not visible ASCII.
    pub fn source(mut self, source: &str) -> Result<Self> {
        let is_visible = source.bytes().all(|byte| byte.is_ascii_graphic());
        if source.is_empty() || source.len() > limits::HEADER_VALUE_BYTES || !is_visible {
            return Err(Error::invalid(format!(
                "the source of destination {} is no URI reference",
                self.name
            )));
        }
        self.source = Arc::from(source);
        Ok(self)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &DestinationName {
        &self.name
    }

    /// Its topics, in order.
    #[must_use]
    pub fn topics(&self) -> &[Topic] {
        &self.topics
    }
}
