//! Several generations of a view's rows, of which one is live.

use async_trait::async_trait;
use serde::Serialize;

use crate::error::{Error, ErrorKind, Result};
use crate::partition::PartitionId;
use crate::projection::content::ContentHash;
use crate::projection::place::{Place, ProjectionId};
use crate::projection::view::View;
use crate::stream::Position;

/// A view that can be made anew beside itself.
///
/// Its rows have *generations*, numbered from 1. One is *live*: readers see it, and runners follow the log with it. Another
/// one may be *being built*: it has rows, checkpoints and parked aggregates of its own, and never gets ahead of the live
/// one. A *former* one was live, takes no writes any more, and is kept until it is dropped. What shares a view is built
/// anew together.
///
/// An implementation must
/// - have exactly one live generation, through any crash, and switch in one commit;
/// - commit nothing to a former generation;
/// - let whoever opens a place of the live generation open it in the one that is live at that moment;
/// - lose a hold when its holder dies.
#[async_trait]
pub trait Generational: View + Clone {
    /// What says which rows are compared.
    type Content: Send + Sync + 'static;

    /// Which generations there are.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) when the database is down.
    async fn generations(&self) -> Result<Generations>;

    /// The generation that is being built, begun where there is none. What comes back is a view of it: its places are
    /// opened there, under whatever epoch they have, until it is live.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) when the database is down.
    async fn build(&self) -> Result<Self>;

    /// How far a place that is being built may go. Called on what [`build`](Self::build) returned.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) when the database is down.
    async fn ceiling(&self, place: &Place) -> Result<Ceiling>;

    /// Where the places of this view stand: of the live generation, or of the one that is being built.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) when the database is down.
    async fn stands(&self) -> Result<Vec<Stand>>;

    /// Keeps the live generation where it is, for as long as what comes back lives: its runners wait as for a database
    /// that is down, its readers do not.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) when nothing is being built; [`Unavailable`](ErrorKind::Unavailable) when somebody
    /// else writes for too long, or the database is down.
    async fn hold(&self) -> Result<Box<dyn Hold<Self::Content>>>;

    /// Gives up what is being built, with its rows. Nothing happens where nothing is.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) when the database is down.
    async fn give_up(&self) -> Result<()>;

    /// Removes the rows of all former generations, and says how many there were. A reader that began to look at one sees
    /// it to the end, or fails and sees the live one when it tries again.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) when the database is down.
    async fn drop_former(&self) -> Result<usize>;
}

/// The live generation, kept where it is. Dropped, it goes on.
#[async_trait]
pub trait Hold<C>: Send {
    /// Where its places stand. They do not move.
    fn stands(&self) -> &[Stand];

    /// Compares both generations, and switches: from then on what was built is live.
    ///
    /// # Errors
    /// [`Conflict`](ErrorKind::Conflict) when they do not stand alike: nothing was changed, and the error says what
    /// differs. [`Unavailable`](ErrorKind::Unavailable) when the database failed and nothing was changed;
    /// [`Unknown`](ErrorKind::Unknown) when [`generations`](Generational::generations) tells whether it was.
    async fn switch(self: Box<Self>, demands: Demands<C>) -> Result<Switched>;
}

/// Which generations a view has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Generations {
    /// The one that readers see.
    pub live: u32,
    /// The one that is being built.
    pub building: Option<u32>,
    /// Those that were live and still have rows.
    pub former: Vec<u32>,
}

/// How far a place of a generation that is being built may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ceiling {
    /// As far as the live generation stands.
    At(Position),
    /// Nowhere any more: the generation is live, or was given up.
    Over,
}

/// Which generation a view is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The one that is live, whichever that is.
    Live,
    /// This one, as long as it is being built.
    Building(u32),
}

/// Where a place of a generation stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stand {
    /// The projection.
    pub projection: ProjectionId,
    /// The partition.
    pub partition: PartitionId,
    /// The epoch that it was opened under last.
    pub epoch: u64,
    /// How often it was opened or committed.
    pub revision: u64,
    /// Everything selected up to here has taken effect, or is parked.
    pub position: Position,
    /// The cardinal ids of what is parked.
    pub parked: Vec<String>,
}

/// What a switch demands besides equal positions.
#[derive(Debug, Clone)]
#[must_use]
pub struct Demands<C> {
    pub(super) content: Option<C>,
    pub(super) more_parked: bool,
}

impl<C> Demands<C> {
    /// These rows must be the same in both generations: for rules that are the same, or should do the same.
    pub fn same(content: C) -> Self {
        Self { content: Some(content), more_parked: false }
    }

    /// The rows are not compared: for rules that changed what the rows are.
    pub fn none() -> Self {
        Self { content: None, more_parked: false }
    }

    /// Switches though aggregates are parked in the new generation that are not in the live one.
    pub fn with_more_parked(mut self, may: bool) -> Self {
        self.more_parked = may;
        self
    }
}

/// What a switch did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switched {
    /// The generation that was live.
    pub from: u32,
    /// The one that is.
    pub to: u32,
    /// Where the new one stood at that moment, exactly where the former one did.
    pub stands: Vec<Stand>,
    /// The hash of both contents, where they were compared.
    pub content: Option<ContentHash>,
}

/// Demands that what was built stands where the live generation does.
///
/// # Errors
/// [`Conflict`](ErrorKind::Conflict), with the first difference.
pub(super) fn compare(live: &[Stand], built: &[Stand], more_parked: bool) -> Result<()> {
    if live.is_empty() {
        return Err(refused("the live one has no places").advice("run the view's projections first"));
    }
    for stand in live {
        let found = successor(stand, built);
        let at = found.map(|found| found.position);
        if at != Some(stand.position) {
            let name = stand.projection.name();
            let found = at.map_or_else(|| "no such place".to_owned(), |at| format!("position {at}"));
            return Err(refused(&format!("{name} in partition {} was not built as far", stand.partition))
                .expected(format!("position {}", stand.position), found)
                .advice("let the rebuild of every projection of this view catch up, then switch again"));
        }
        let is_new = |cardinal: &&String| !stand.parked.contains(cardinal);
        let parked = found.and_then(|found| found.parked.iter().find(is_new));
        if let Some(cardinal) = parked.filter(|_| !more_parked) {
            let what = format!("{cardinal} is parked in what was built, and not in the live generation");
            return Err(refused(&what)
                .advice("mend the projection and retry what is parked there, or allow more to be parked"));
        }
    }
    Ok(())
}

/// The place that takes over from a live one: of the same name and partition, of the newest rules.
pub(super) fn successor<'a>(stand: &Stand, built: &'a [Stand]) -> Option<&'a Stand> {
    let is_of = |other: &&Stand| {
        other.projection.name() == stand.projection.name() && other.partition == stand.partition
    };
    built.iter().filter(is_of).max_by_key(|other| other.projection.version())
}

/// How far a place may be built: as far as the live generation has the projection, of whichever version is newest.
pub(super) fn ceiling(place: &Place, live: &[Stand]) -> Ceiling {
    let is_of = |stand: &&Stand| {
        stand.projection.name() == place.projection.name() && stand.partition == place.partition
    };
    let newest = live.iter().filter(is_of).max_by_key(|stand| stand.projection.version());
    Ceiling::At(newest.map_or(Position::START, |stand| stand.position))
}

/// Demands that both contents are the same.
///
/// # Errors
/// [`Conflict`](ErrorKind::Conflict) with both hashes.
pub(super) fn agree(live: &ContentHash, built: &ContentHash) -> Result<()> {
    if live == built {
        return Ok(());
    }
    Err(refused("the rows that were built are not those of the live generation")
        .expected(format!("content {live}"), built)
        .advice("look at both; then mend the projection and rebuild, or switch without comparing"))
}

fn refused(why: &str) -> Error {
    Error::new(ErrorKind::Conflict, format!("the generations are not switched: {why}"))
}

/// Nothing is being built.
pub(super) fn nothing_built() -> Error {
    Error::invalid("nothing is being built in this view").advice("begin a rebuild")
}

/// The generation that a place was opened in is no longer the live one. Whoever opens the place again finds that.
pub(super) fn moved_on(place: &Place) -> Error {
    Error::new(ErrorKind::Unavailable, format!("{place} has moved on to another generation of its view"))
        .advice("open it again")
}

/// The generation that a place was opened in is no longer being built.
pub(super) fn not_building(place: &Place) -> Error {
    Error::new(ErrorKind::Fenced, format!("the generation of {place} is not being built any more"))
        .advice("stop this runner; nothing of its last batch was committed")
}
