//! The view itself.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::Connection;

use crate::error::{Error, ErrorKind, Result};
use crate::projection::batch::Batch;
use crate::projection::definition::Definition;
use crate::projection::failure::{ViewFailure, fenced};
use crate::projection::generation::Role;
use crate::projection::parked::Audited;
use crate::projection::place::Place;
use crate::projection::sqlite::file::failed;
use crate::projection::sqlite::files::Files;
use crate::projection::sqlite::generation::Generation;
use crate::projection::sqlite::options::Options;
use crate::projection::sqlite::place;
use crate::projection::sqlite::rows::SqliteRows;
use crate::projection::view::{Limits, Opened, View, Work};

/// Rows in a SQLite file of their own. Clones share it.
///
/// One thread writes; several projections, and all their partitions, may share the file, batch after batch. Processes may
/// share it, too: epochs say who has which place.
///
/// A batch is of one partition, or of a join. So a large table whose key begins with
/// [`Event::partition`](crate::projection::Event::partition) has the rows of a batch next to each other, and takes several
/// times as many events a second as one whose key has no order.
///
/// A generation that is built beside it ([`Rebuild`](crate::projection::Rebuild)) has a file and a thread of its own:
/// `balances.db.g2` beside `balances.db`. The first file leads to the live one, so it stays.
#[derive(Clone)]
pub struct SqliteView {
    pub(super) files: Arc<Files>,
    pub(super) role: Role,
}

impl SqliteView {
    /// Opens the view at `path`, and makes it where there is none. It blocks.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) when the file is a store's, or no view; it was not changed then.
    /// [`Unavailable`](ErrorKind::Unavailable) when the disk fails.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::builder(path).open()
    }

    /// Options to open the view at `path` with.
    pub fn builder(path: impl AsRef<Path>) -> Options {
        Options::new(path.as_ref().to_owned())
    }

    /// Looks at the rows as of one moment, on a connection that only reads. It waits for no batch. The rows are those of
    /// the live generation; of a view that [`build`](crate::projection::Generational::build) returned, those that are
    /// being built.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) with what `look` or SQLite said.
    pub async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let look =
            |connection: &Connection| look(connection).map_err(|source| failed("reading a view", source));
        self.blocking(move |view| view.generation()?.read_here(look)).await
    }

    /// Runs work that blocks on a thread for that.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(Self) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let view = self.clone();
        let gone =
            |source| Error::new(ErrorKind::Unavailable, "a view's work was given up").caused_by(source);
        tokio::task::spawn_blocking(move || work(view)).await.map_err(gone)?
    }

    /// The generation that this is a view of. It blocks.
    pub(super) fn generation(&self) -> Result<Arc<Generation>> {
        match self.role {
            Role::Live => self.files.live().map(|(generation, _)| generation),
            Role::Building(number) => self.files.generation(number),
        }
    }
}

impl Options {
    /// Opens the view, and makes it where there is none.
    ///
    /// # Errors
    /// As [`SqliteView::open`].
    pub fn open(self) -> Result<SqliteView> {
        Ok(SqliteView { files: Arc::new(Files::open(self)?), role: Role::Live })
    }
}

#[async_trait]
impl View for SqliteView {
    type Rows = SqliteRows;

    async fn open(
        &self,
        place: &Place,
        epoch: u64,
        definition: &Definition<SqliteRows>,
        limits: &Limits,
    ) -> Result<Opened, ViewFailure> {
        let generation = self.blocking(|view| view.generation()).await?;
        if self.role == Role::Live {
            self.files.place(place, generation.number);
        }
        generation.open_place((place, epoch, self.role), Batch::preparing(definition), *limits).await
    }

    async fn run(&self, place: &Place, epoch: u64, work: Work<SqliteRows>) -> Result<(), ViewFailure> {
        let number = match self.role {
            Role::Live => self.files.placed(place).ok_or_else(|| fenced(place))?,
            Role::Building(number) => number,
        };
        let generation = self.files.generation(number)?;
        generation.run((place, epoch, self.role), work).await
    }

    async fn audit(&self, place: &Place, limit: usize) -> Result<Vec<Audited>> {
        let at = place.clone();
        self.read(move |connection| place::audited(connection, &at, limit)).await
    }
}

impl fmt::Debug for SqliteView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteView")
            .field("path", &self.files.options.path)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}
