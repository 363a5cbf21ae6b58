//! Generations in memory. They end with the process, as the view does: a rebuild of a view in memory serves rules that
//! change while it runs, and tests.

use std::fmt;

use async_trait::async_trait;

use crate::error::{Error, ErrorKind, Result};
use crate::projection::content::{ContentHash, Hasher};
use crate::projection::generation::{
    self, Ceiling, Demands, Generational, Generations, Hold, Role, Stand, Switched, nothing_built,
};
use crate::projection::memory::kept::Kept;
use crate::projection::memory::view::MemoryView;
use crate::projection::place::Place;

/// What of each state must be the same.
pub struct MemoryContent<S>(Box<Bytes<S>>);

/// What makes bytes of a state.
type Bytes<S> = dyn Fn(&S) -> Vec<u8> + Send + Sync;

impl<S> MemoryContent<S> {
    /// These bytes of each state.
    #[must_use]
    pub fn new(bytes: impl Fn(&S) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self(Box::new(bytes))
    }

    /// The hash of a generation: of its states by projection's name and partition.
    fn hash(&self, kept: &Kept<S>, number: u32) -> ContentHash {
        let of = kept.places.iter().filter(|((generation, _), _)| *generation == number);
        let mut all: Vec<_> = of
            .map(|((_, place), kept)| (place.projection.name(), place.partition, (self.0)(&kept.state)))
            .collect();
        all.sort();
        let mut hasher = Hasher::default();
        for (name, partition, bytes) in all {
            hasher.value(b'n', name.as_bytes());
            hasher.value(b'p', &partition.get().to_le_bytes());
            hasher.value(b's', &bytes);
        }
        hasher.end()
    }
}

impl<S> fmt::Debug for MemoryContent<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryContent").finish_non_exhaustive()
    }
}

#[async_trait]
impl<S: Clone + Default + Send + 'static> Generational for MemoryView<S> {
    type Content = MemoryContent<S>;

    async fn generations(&self) -> Result<Generations> {
        let kept = self.lock();
        let (live, building) = (kept.live, kept.building);
        Ok(Generations { live, building, former: former(&kept) })
    }

    async fn build(&self) -> Result<Self> {
        let mut kept = self.lock();
        let number = kept.building.unwrap_or_else(|| kept.last.saturating_add(1));
        (kept.building, kept.last) = (Some(number), number);
        drop(kept);
        Ok(self.building(number))
    }

    async fn ceiling(&self, place: &Place) -> Result<Ceiling> {
        let kept = self.lock();
        match self.role {
            Role::Building(number) if kept.building == Some(number) => {
                Ok(generation::ceiling(place, &kept.stands(kept.live)))
            }
            _ => Ok(Ceiling::Over),
        }
    }

    async fn stands(&self) -> Result<Vec<Stand>> {
        let kept = self.lock();
        Ok(kept.stands(kept.number(self.role)))
    }

    async fn hold(&self) -> Result<Box<dyn Hold<MemoryContent<S>>>> {
        let mut kept = self.lock();
        let number = kept.building.ok_or_else(nothing_built)?;
        if kept.is_held {
            return Err(Error::new(ErrorKind::Unavailable, "another one holds this view"));
        }
        kept.is_held = true;
        let stands = kept.stands(kept.live);
        drop(kept);
        Ok(Box::new(MemoryHold { view: self.clone(), number, stands }))
    }

    async fn give_up(&self) -> Result<()> {
        let mut kept = self.lock();
        if let Some(number) = kept.building.take() {
            kept.places.retain(|(generation, _), _| *generation != number);
        }
        Ok(())
    }

    async fn drop_former(&self) -> Result<usize> {
        let mut kept = self.lock();
        let former = former(&kept);
        kept.places.retain(|(generation, _), _| !former.contains(generation));
        Ok(former.len())
    }
}

fn former<S>(kept: &Kept<S>) -> Vec<u32> {
    let mut former: Vec<_> = kept.places.keys().map(|(generation, _)| *generation).collect();
    former.retain(|generation| *generation != kept.live && Some(*generation) != kept.building);
    former.sort_unstable();
    former.dedup();
    former
}

/// A hold. Dropped, it lets the live generation go on.
struct MemoryHold<S: Clone + Default + Send + 'static> {
    view: MemoryView<S>,
    number: u32,
    stands: Vec<Stand>,
}

#[async_trait]
impl<S: Clone + Default + Send + 'static> Hold<MemoryContent<S>> for MemoryHold<S> {
    fn stands(&self) -> &[Stand] {
        &self.stands
    }

    async fn switch(self: Box<Self>, demands: Demands<MemoryContent<S>>) -> Result<Switched> {
        let mut kept = self.view.lock();
        let (from, to) = (kept.live, self.number);
        if kept.building != Some(to) {
            return Err(nothing_built());
        }
        let found = kept.stands(to);
        generation::compare(&self.stands, &found, demands.more_parked)?;
        let mut content = None;
        if let Some(demanded) = &demands.content {
            let (live, built) = (demanded.hash(&kept, from), demanded.hash(&kept, to));
            generation::agree(&live, &built)?;
            content = Some(live);
        }
        for former in &self.stands {
            if let Some(stand) = generation::successor(former, &found) {
                take_over(&mut kept, (from, former), (to, stand));
            }
        }
        (kept.live, kept.building) = (to, None);
        let stands = kept.stands(to);
        drop(kept);
        Ok(Switched { from, to, stands, content })
    }
}

/// Fences lower epochs than the former place had, and keeps what operators did.
fn take_over<S>(kept: &mut Kept<S>, (from, former): (u32, &Stand), (to, stand): (u32, &Stand)) {
    let of = |number, stand: &Stand, (generation, place): &(u32, Place)| {
        *generation == number && place.projection == stand.projection && place.partition == stand.partition
    };
    let old = kept.places.iter().find(|(key, _)| of(from, former, key));
    let mut audit = old.map(|(_, place)| place.audit.clone()).unwrap_or_default();
    if let Some((_, place)) = kept.places.iter_mut().find(|(key, _)| of(to, stand, key)) {
        place.epoch = place.epoch.max(former.epoch);
        place.revision = place.revision.max(former.revision).saturating_add(1);
        audit.append(&mut place.audit);
        place.audit = audit;
    }
}

impl<S: Clone + Default + Send + 'static> Drop for MemoryHold<S> {
    fn drop(&mut self) {
        self.view.lock().is_held = false;
    }
}
