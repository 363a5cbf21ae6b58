//! Keeping the rows that list what is parked as the view has it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::limits;
use crate::partition::PartitionId;
use crate::projection::listing::{self, Listing};
use crate::projection::parked::Parked;
use crate::projection::place::ProjectionId;
use crate::store::rows::{RowExpected, RowWrite};
use crate::store::{EventStore, json_rows};

/// Lists what a runner has parked. It writes where that changed, and never over somebody of a higher epoch.
#[derive(Debug)]
pub(super) struct Lister {
    store: Arc<dyn EventStore>,
    partition: PartitionId,
    projection: ProjectionId,
    is_join: bool,
    epoch: u64,
    /// What the rows say, as this one read or wrote them.
    known: Option<Known>,
    /// The store takes no writes from here.
    is_over: bool,
}

#[derive(Debug)]
struct Known {
    /// The revision of the place's row, and what it says; `None` where there is none.
    place: Option<(u64, Listing)>,
    parked: BTreeMap<String, Parked>,
}

impl Lister {
    pub(super) fn new(
        (store, partition): (Arc<dyn EventStore>, PartitionId),
        (projection, is_join): (ProjectionId, bool),
        epoch: u64,
    ) -> Self {
        Self { store, partition, projection, is_join, epoch, known: None, is_over: false }
    }

    /// Lists what is parked. A projection goes on where that fails: it is tried again with the next look.
    pub(super) async fn tell(&mut self, parked: &BTreeMap<String, Parked>) {
        if self.is_over {
            return;
        }
        let Err(error) = self.write(parked).await else { return };
        self.is_over = error.kind() == ErrorKind::Invalid;
        tracing::warn!(%error, projection = %self.projection, partition = %self.partition,
            "what is parked is not listed for other processes");
    }

    async fn write(&mut self, parked: &BTreeMap<String, Parked>) -> Result<()> {
        // What fails half way is read again.
        let mut known = match self.known.take() {
            Some(known) => known,
            None => self.read().await?,
        };
        let found = known.place.as_ref().map(|(_, listing)| listing);
        if found.is_none_or(|listing| listing.epoch <= self.epoch) {
            let listing = Listing {
                projection: self.projection.clone(),
                is_join: self.is_join,
                epoch: self.epoch,
                parked: u64::try_from(parked.len()).unwrap_or(u64::MAX),
            };
            let wanted = parked.iter().take(limits::LISTED_PARKED);
            let wanted: BTreeMap<_, _> =
                wanted.map(|(cardinal, parked)| (cardinal.clone(), parked.clone())).collect();
            self.bring(&mut known, listing, wanted).await?;
        }
        self.known = Some(known);
        Ok(())
    }

    /// Brings the rows there, as many as go into a unit at a time.
    async fn bring(
        &self,
        known: &mut Known,
        listing: Listing,
        wanted: BTreeMap<String, Parked>,
    ) -> Result<()> {
        let changes = self.changes(&known.parked, &wanted)?;
        let is_told = known.place.as_ref().is_some_and(|(_, found)| *found == listing);
        if changes.is_empty() && is_told {
            return Ok(());
        }
        // The place's own row makes one more. It is written with each unit, so that two runners do not mix theirs.
        let most = limits::UNIT_ROWS.saturating_sub(1);
        let units = changes.len().div_ceil(most).max(1);
        for unit in 0..units {
            let revision = known.place.as_ref().map(|(revision, _)| *revision);
            let expected = revision.map_or(RowExpected::Absent, RowExpected::Revision);
            let some = changes.iter().skip(unit.saturating_mul(most)).take(most).cloned();
            let rows = std::iter::once(listing.write(expected)?).chain(some).collect();
            self.append(rows).await?;
            known.place = match revision {
                Some(revision) => Some((revision.saturating_add(1), listing.clone())),
                // Its number goes on from what was there before.
                None => self.find().await?,
            };
        }
        known.parked = wanted;
        Ok(())
    }

    fn changes(
        &self,
        known: &BTreeMap<String, Parked>,
        wanted: &BTreeMap<String, Parked>,
    ) -> Result<Vec<RowWrite>> {
        let gone = known.keys().filter(|cardinal| !wanted.contains_key(*cardinal));
        let gone = gone.map(|cardinal| listing::unlist(&self.projection, cardinal));
        let new = wanted.iter().filter(|(cardinal, parked)| known.get(*cardinal) != Some(*parked));
        gone.chain(new.map(|(_, parked)| listing::list(&self.projection, parked))).collect()
    }

    async fn read(&self) -> Result<Known> {
        // The place first: who writes in between has its row changed, and this one's write is refused.
        let place = self.find().await?;
        let listed = listing::listed(&*self.store, self.partition, &self.projection).await?;
        let parked = listed.into_iter().map(|parked| (parked.cardinal.clone(), parked)).collect();
        Ok(Known { place, parked })
    }

    async fn find(&self) -> Result<Option<(u64, Listing)>> {
        Listing::find(&*self.store, self.partition, &self.projection).await
    }

    async fn append(&self, rows: Vec<RowWrite>) -> Result<()> {
        json_rows::write(&*self.store, self.partition, rows).await?.map_err(|wrong| {
            Error::new(ErrorKind::Contended, format!("another runner lists what is parked: {wrong}"))
        })
    }
}
