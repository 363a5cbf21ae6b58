//! Event types and codecs as small numbers: each name is stored once.

use std::collections::HashMap;
use std::hash::Hash;

use rusqlite::{Connection, OptionalExtension};

use crate::error::{Error, Result};
use crate::event::{CodecName, EventType};
use crate::store::sqlite::failure;

/// A name that has a number.
pub(super) trait Name: Clone + Eq + Hash {
    const ID: &'static str;
    const NAME: &'static str;
    const INSERT: &'static str;
    fn text(&self) -> &str;
    fn stored(text: String) -> Result<Self>;
}

impl Name for EventType {
    const ID: &'static str = include_str!("sql/type_id.sql");
    const NAME: &'static str = include_str!("sql/type_name.sql");
    const INSERT: &'static str = include_str!("sql/add_type.sql");

    fn text(&self) -> &str {
        self.as_str()
    }

    fn stored(text: String) -> Result<Self> {
        Self::stored(text)
    }
}

impl Name for CodecName {
    const ID: &'static str = include_str!("sql/codec_id.sql");
    const NAME: &'static str = include_str!("sql/codec_name.sql");
    const INSERT: &'static str = include_str!("sql/add_codec.sql");

    fn text(&self) -> &str {
        self.as_str()
    }

    fn stored(text: String) -> Result<Self> {
        Self::new(text)
    }
}

/// The names that one connection knows. A number never changes once it is committed; the writer forgets
/// all after a rollback, since it may have learned uncommitted ones.
#[derive(Debug)]
pub(super) struct Names<T> {
    ids: HashMap<T, i64>,
    names: HashMap<i64, T>,
}

impl<T> Default for Names<T> {
    fn default() -> Self {
        Self { ids: HashMap::new(), names: HashMap::new() }
    }
}

impl<T: Name> Names<T> {
    /// The number of a name, if it has one.
    pub(super) fn find(&mut self, connection: &Connection, name: &T) -> rusqlite::Result<Option<i64>> {
        if let Some(id) = self.ids.get(name) {
            return Ok(Some(*id));
        }
        let mut statement = connection.prepare_cached(T::ID)?;
        let found = statement.query_row([name.text()], |row| row.get(0)).optional()?;
        found.into_iter().for_each(|id| self.learn(id, name.clone()));
        Ok(found)
    }

    /// The number of a name, which it gets now if it has none.
    pub(super) fn take(&mut self, connection: &Connection, name: &T) -> rusqlite::Result<i64> {
        if let Some(id) = self.find(connection, name)? {
            return Ok(id);
        }
        let id = connection.prepare_cached(T::INSERT)?.query_row([name.text()], |row| row.get(0))?;
        self.learn(id, name.clone());
        Ok(id)
    }

    /// The name of a number.
    pub(super) fn name(&mut self, connection: &Connection, id: i64) -> Result<T> {
        if let Some(name) = self.names.get(&id) {
            return Ok(name.clone());
        }
        let text = connection
            .prepare_cached(T::NAME)
            .and_then(|mut statement| statement.query_row([id], |row| row.get(0)))
            .map_err(|source| match source {
                rusqlite::Error::QueryReturnedNoRows => {
                    Error::corrupt(format!("no event type or codec has the number {id}"))
                }
                source => failure::of("reading a name", source),
            })?;
        let name = T::stored(text)?;
        self.learn(id, name.clone());
        Ok(name)
    }

    fn learn(&mut self, id: i64, name: T) {
        self.ids.insert(name.clone(), id);
        self.names.insert(id, name);
    }
}

/// All names that one connection knows.
#[derive(Debug, Default)]
pub(super) struct Dictionary {
    pub(super) types: Names<EventType>,
    pub(super) codecs: Names<CodecName>,
}
