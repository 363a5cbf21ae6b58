//! What a view in memory keeps.

use std::collections::HashMap;

use crate::error::{Error, ErrorKind, Result};
use crate::feed::JoinPositions;
use crate::projection::failure::fenced;
use crate::projection::generation::{Role, Stand, moved_on, not_building};
use crate::projection::parked::{Audited, Parked};
use crate::projection::place::Place;
use crate::projection::view::{Change, Work};
use crate::stream::Position;

/// All generations.
pub(super) struct Kept<S> {
    pub(super) live: u32,
    pub(super) building: Option<u32>,
    /// The highest number that was given to one.
    pub(super) last: u32,
    /// Somebody keeps the live one where it is.
    pub(super) is_held: bool,
    pub(super) places: HashMap<(u32, Place), KeptPlace<S>>,
    /// In which generation each place of the live one was opened.
    opened: HashMap<Place, u32>,
}

/// One place.
pub(super) struct KeptPlace<S> {
    pub(super) epoch: u64,
    pub(super) revision: u64,
    pub(super) position: Position,
    pub(super) joined: Option<JoinPositions>,
    pub(super) state: S,
    pub(super) parked: HashMap<String, Parked>,
    pub(super) audit: Vec<Audited>,
}

impl<S> Kept<S> {
    pub(super) fn new() -> Self {
        let (places, opened) = (HashMap::new(), HashMap::new());
        Self { live: 1, building: None, last: 1, is_held: false, places, opened }
    }

    /// The generation that this is a view of.
    pub(super) fn number(&self, role: Role) -> u32 {
        match role {
            Role::Live => self.live,
            Role::Building(number) => number,
        }
    }

    /// In which generation a place is opened now.
    pub(super) fn opening(&mut self, place: &Place, role: Role) -> Result<u32> {
        match role {
            Role::Live if self.is_held => return Err(held(place)),
            Role::Live => drop(self.opened.insert(place.clone(), self.live)),
            Role::Building(number) if self.building != Some(number) => return Err(not_building(place)),
            Role::Building(_) => {}
        }
        Ok(self.number(role))
    }

    /// The place that a batch is for, where it is as its work says.
    pub(super) fn guarded(
        &mut self,
        (place, epoch, role): (&Place, u64, Role),
        work: &Work<S>,
    ) -> Result<&mut KeptPlace<S>> {
        match role {
            Role::Live if self.is_held => return Err(held(place)),
            Role::Live if self.opened.get(place) != Some(&self.live) => return Err(moved_on(place)),
            Role::Building(number) if self.building != Some(number) => return Err(not_building(place)),
            Role::Live | Role::Building(_) => {}
        }
        let found = self.places.get_mut(&(self.number(role), place.clone())).ok_or_else(|| fenced(place))?;
        let is_mine = role != Role::Live || found.epoch == epoch;
        let is_there = (found.revision, found.position) == (work.revision, work.from);
        if is_mine && is_there { Ok(found) } else { Err(fenced(place)) }
    }

    /// Where the places of a generation stand, in order.
    pub(super) fn stands(&self, number: u32) -> Vec<Stand> {
        let of = self.places.iter().filter(|((generation, _), _)| *generation == number);
        let mut stands: Vec<_> = of.map(|((_, place), kept)| stand(place, kept)).collect();
        stands.sort_by(|one, other| {
            (&one.projection, one.partition).cmp(&(&other.projection, other.partition))
        });
        stands
    }
}

fn stand<S>(place: &Place, kept: &KeptPlace<S>) -> Stand {
    let mut parked: Vec<_> = kept.parked.keys().cloned().collect();
    parked.sort();
    let (projection, partition) = (place.projection.clone(), place.partition);
    Stand {
        projection,
        partition,
        epoch: kept.epoch,
        revision: kept.revision,
        position: kept.position,
        parked,
    }
}

fn held(place: &Place) -> Error {
    Error::new(ErrorKind::Unavailable, format!("{place} is held while its view is switched"))
}

impl<S> KeptPlace<S> {
    pub(super) fn change(&mut self, change: Change) {
        match change {
            Change::Park(parked) => drop(self.parked.insert(parked.cardinal.clone(), parked)),
            Change::Waiting(cardinal, more) => {
                if let Some(parked) = self.parked.get_mut(&cardinal) {
                    parked.waiting = parked.waiting.saturating_add(more);
                }
            }
            Change::Unpark(cardinal) => drop(self.parked.remove(&cardinal)),
            Change::Joined(joined) => self.joined = Some(joined),
            Change::Audit(audited) => self.audit.push(audited),
        }
    }
}
