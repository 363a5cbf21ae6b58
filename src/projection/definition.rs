//! What a user writes: what an event does to a view's rows.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use crate::codec::Codecs;
use crate::error::{Error, Result};
use crate::event::Record;
use crate::feed::Selection;
use crate::limits;
use crate::partition::PartitionCount;
use crate::projection::event::Event;
use crate::projection::place::ProjectionId;
use crate::projection::progress::Progress;

/// Why a handler failed: any error.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The rules of one view, over rows of type `R`: [`SqliteRows`](super::SqliteRows), or the state of a
/// [`MemoryView`](super::MemoryView).
///
/// A handler runs on a thread of the view's, within a transaction of the view's, so it should do little but change its
/// rows. Its future need not be `Send`: it never leaves that thread.
#[allow(async_fn_in_trait, reason = "the future stays on the view's thread, so it need not be Send")]
pub trait Projection<R>: Send + Sync + 'static {
    /// The durable name.
    const NAME: &'static str;

    /// The version of the rules. With another one, the view is made anew from the log's beginning, beside the one that
    /// there is: name the rows' tables after it.
    const VERSION: u16 = 1;

    /// Applies one event. All that it does to the rows is committed together with the checkpoint, or not at all.
    ///
    /// It is called in the order of the partition's log, once for each event that takes effect, and again for those whose
    /// transaction was rolled back, and again for all of them when the view is made anew
    /// ([`is_replay`](Event::is_replay)). It reads no clock and no random numbers if the view is to be the same after a
    /// rebuild.
    ///
    /// # Errors
    /// Any. The event is tried again, then its aggregate is parked. An [`Error`](crate::Error) of kind
    /// [`Unavailable`](crate::ErrorKind::Unavailable) says that something outside is down: then it is tried for as long
    /// as it takes.
    async fn apply(&self, rows: &mut R, event: &Event<'_>) -> Result<(), Failure>;

    /// Which events it follows; all users' events if nothing is said.
    ///
    /// # Errors
    /// Those of a [`Selection`] that breaks a bound.
    fn selection(&self) -> Result<Selection> {
        Ok(Selection::all())
    }

    /// Several selections, where the projection is over a join of them; none if nothing is said.
    ///
    /// Then it follows these, and not [`selection`](Self::selection), over all partitions at once, in the order in which
    /// the events were recorded ([`Join`](crate::feed::Join)), the same live and in a rebuild. An event that several of
    /// them select comes once. One runner carries all of it, and the view's checkpoint is the positions of all selections
    /// in all partitions. To change their number or order is another [`VERSION`](Self::VERSION).
    ///
    /// # Errors
    /// Those of a [`Selection`] that breaks a bound.
    fn join(&self) -> Result<Vec<Selection>> {
        Ok(Vec::new())
    }

    /// Makes what the rows need: tables, say. Called each time a partition is opened, in the same transaction, so it
    /// must not mind what is there already.
    ///
    /// # Errors
    /// Any: the partition is not opened, and tried again later.
    async fn prepare(&self, _rows: &mut R) -> Result<(), Failure> {
        Ok(())
    }
}

/// A projection as runners take it: its identity, what it follows, and its rules.
pub struct Definition<R> {
    id: ProjectionId,
    /// Of a join, one that covers all of its selections.
    selection: Selection,
    /// The selections of a join.
    join: Vec<Selection>,
    rules: Arc<dyn Rules<R>>,
}

impl<R: 'static> Definition<R> {
    /// The definition that a projection gives of itself.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when its name or its selection breaks a bound.
    pub fn of<P: Projection<R>>(projection: P) -> Result<Self> {
        let (id, selection) = (ProjectionId::new(P::NAME, P::VERSION)?, projection.selection()?);
        let join = projection.join()?;
        Ok(Self { id, selection, join: Vec::new(), rules: Arc::new(Written(projection, PhantomData)) }
            .join(join))
    }

    /// The same over a join of these selections, as [`Projection::join`] gives them; as it is where there are none.
    #[must_use]
    pub fn join(mut self, selections: impl IntoIterator<Item = Selection>) -> Self {
        self.join = selections.into_iter().collect();
        if self.is_join() {
            self.selection = Selection::covering(&self.join);
        }
        self
    }

    /// The same under another name.
    pub(crate) fn called(self, name: &str) -> Result<Self> {
        Ok(Self { id: ProjectionId::new(name, 1)?, ..self })
    }

    /// Whether it is over a join.
    #[must_use]
    pub fn is_join(&self) -> bool {
        !self.join.is_empty()
    }

    /// The selections that are joined.
    pub(super) fn joined(&self) -> &[Selection] {
        &self.join
    }

    /// Whether it follows a record.
    pub(super) fn follows(&self, record: &Record) -> bool {
        if self.is_join() {
            self.join.iter().any(|selection| selection.matches(record))
        } else {
            self.selection.matches(record)
        }
    }

    /// Demands that its checkpoint keeps its bound.
    pub(super) fn check(&self, partitions: PartitionCount) -> Result<()> {
        let found = self.join.len().saturating_mul(usize::from(partitions.get()));
        if found <= limits::JOIN_POSITIONS {
            return Ok(());
        }
        Err(Error::invalid(format!("projection {} joins too many selections", self.id))
            .expected(format!("at most {} of all partitions together", limits::JOIN_POSITIONS), found)
            .advice("select more widely, and have the handler pass over the rest"))
    }

    /// Its identity.
    #[must_use]
    pub fn id(&self) -> &ProjectionId {
        &self.id
    }

    /// What it follows; of a join, at least that.
    #[must_use]
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    pub(super) fn rules(&self) -> Arc<dyn Rules<R>> {
        Arc::clone(&self.rules)
    }
}

impl<R> Clone for Definition<R> {
    fn clone(&self) -> Self {
        let (id, selection, join) = (self.id.clone(), self.selection.clone(), self.join.clone());
        Self { id, selection, join, rules: Arc::clone(&self.rules) }
    }
}

impl<R> fmt::Debug for Definition<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Definition")
            .field("id", &self.id)
            .field("selection", &self.selection)
            .field("join", &self.join)
            .finish_non_exhaustive()
    }
}

/// A small projection, of version 1, from a function.
///
/// # Errors
/// [`Invalid`](crate::ErrorKind::Invalid) when the name breaks a bound.
///
/// ```
/// use sidestream::feed::Selection;
/// use sidestream::projection::{Event, project_fn};
///
/// let holds = project_fn("holds", Selection::all().types(["Held"])?, |rows: &mut u64, _: &Event<'_>| {
///     *rows += 1;
///     Ok(())
/// })?;
/// # assert_eq!(holds.id().name(), "holds");
/// # Ok::<(), sidestream::Error>(())
/// ```
pub fn project_fn<R, F>(name: &str, selection: Selection, apply: F) -> Result<Definition<R>>
where
    R: 'static,
    F: Fn(&mut R, &Event<'_>) -> Result<(), Failure> + Send + Sync + 'static,
{
    let rules = Arc::new(Function(apply));
    Ok(Definition { id: ProjectionId::new(name, 1)?, selection, join: Vec::new(), rules })
}

/// A future that stays on its thread.
pub(super) type Local<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Rules whose type was forgotten: one box for a batch, none for an event.
pub(super) trait Rules<R>: Send + Sync {
    fn apply_all<'a>(
        &'a self,
        rows: &'a mut R,
        records: &'a [Record],
        with: (&'a Codecs, bool),
        progress: &'a Progress,
    ) -> Local<'a, Result<(), Failure>>;

    fn prepare<'a>(&'a self, rows: &'a mut R) -> Local<'a, Result<(), Failure>>;
}

struct Written<P, R>(P, PhantomData<fn(R)>);

impl<R: 'static, P: Projection<R>> Rules<R> for Written<P, R> {
    fn apply_all<'a>(
        &'a self,
        rows: &'a mut R,
        records: &'a [Record],
        (codecs, is_replay): (&'a Codecs, bool),
        progress: &'a Progress,
    ) -> Local<'a, Result<(), Failure>> {
        Box::pin(async move {
            for record in records {
                progress.begin_next();
                self.0.apply(rows, &Event::new(record, codecs, is_replay)).await?;
            }
            Ok(())
        })
    }

    fn prepare<'a>(&'a self, rows: &'a mut R) -> Local<'a, Result<(), Failure>> {
        Box::pin(self.0.prepare(rows))
    }
}

struct Function<F>(F);

impl<R: 'static, F> Rules<R> for Function<F>
where
    F: Fn(&mut R, &Event<'_>) -> Result<(), Failure> + Send + Sync + 'static,
{
    fn apply_all<'a>(
        &'a self,
        rows: &'a mut R,
        records: &'a [Record],
        (codecs, is_replay): (&'a Codecs, bool),
        progress: &'a Progress,
    ) -> Local<'a, Result<(), Failure>> {
        Box::pin(async move {
            for record in records {
                progress.begin_next();
                (self.0)(rows, &Event::new(record, codecs, is_replay))?;
            }
            Ok(())
        })
    }

    fn prepare<'a>(&'a self, _rows: &'a mut R) -> Local<'a, Result<(), Failure>> {
        Box::pin(async { Ok(()) })
    }
}
