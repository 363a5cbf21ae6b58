//! Which partition is placed where, and the mistakes that are found before anything is written.

use std::sync::Arc;

use uuid::Uuid;

use crate::error::{Error, Result};
use crate::partition::PartitionId;
use crate::store::dealt::side_by_side;
use crate::store::placed::store::PlacedStore;
use crate::store::{Atomicity, EventStore, LogScope, StoreProperties};
use crate::stream::Position;

/// The namespace of the ids of placements. It never changes.
const NAMESPACE: Uuid = Uuid::from_u128(0x2f5b_07c4_91de_5c36_b8a1_6d40_e37f_92aa);

/// Places partitions on stores. Made by [`PlacedStore::builder`].
#[derive(Debug, Default)]
pub struct Placement {
    stores: Vec<Placed>,
    id: Option<Uuid>,
}

#[derive(Debug)]
struct Placed {
    store: Arc<dyn EventStore>,
    partitions: Vec<PartitionId>,
}

impl PlacedStore {
    /// Begins a placement.
    #[must_use]
    pub fn builder() -> Placement {
        Placement::default()
    }
}

impl Placement {
    /// Places partitions on a store. A store without partitions is fine: it is checked that it holds none.
    #[must_use]
    pub fn place(
        mut self,
        partitions: impl IntoIterator<Item = PartitionId>,
        store: impl EventStore,
    ) -> Self {
        let partitions = partitions.into_iter().collect();
        self.stores.push(Placed { store: Arc::new(store), partitions });
        self
    }

    /// Demands that the placed store has this id: that of its first start, from
    /// [`properties`](EventStore::properties), kept in your configuration. It is the one check that notices
    /// a store that was left out or exchanged for an empty one.
    #[must_use]
    pub fn expect_id(mut self, id: Uuid) -> Self {
        self.id = Some(id);
        self
    }

    /// Checks the placement and opens it. Nothing is written.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when a partition is not placed, placed twice or does not exist;
    /// when the stores differ in their number of partitions, in what they commit at once or in what their logs
    /// show; when one store was given twice; when a store holds records of a partition that is placed on
    /// another one; when the id is not the expected one. Otherwise what reading the stores failed with: a
    /// placement that cannot be checked is not believed.
    pub async fn open(self) -> Result<PlacedStore> {
        let first = self.check_alike()?;
        self.check_given_once()?;
        let places = self.places(first)?;
        let properties = StoreProperties { id: self.id_of(&places), ..first };
        if let Some(expected) = self.id.filter(|expected| *expected != properties.id) {
            return Err(Error::invalid("this is another placement than the one it was opened with before")
                .expected(format!("id {expected}"), format!("id {}", properties.id))
                .advice(RESTORE_PLACEMENT));
        }
        let checks = side_by_side(self.stores.iter().map(|placed| holds_only_its_own(placed, first))).await;
        checks.into_iter().collect::<Result<Vec<()>>>()?;
        let stores = self.stores.into_iter().map(|placed| placed.store).collect();
        Ok(PlacedStore::new(properties, stores, places))
    }

    /// What all stores have in common, with the id of the first.
    fn check_alike(&self) -> Result<StoreProperties> {
        let mut all = self.stores.iter().map(|placed| placed.store.properties());
        let first = all.next().ok_or_else(|| {
            Error::invalid("no partition is placed").advice("place every partition on a store")
        })?;
        let differ = |what: &str, expected: String, found: String, other: StoreProperties| {
            Err(Error::invalid(format!("stores of one placement differ in {what}"))
                .expected(
                    format!("{expected}, as in store {}", first.id),
                    format!("{found} in store {}", other.id),
                )
                .advice("place partitions on stores that are alike; copy the events of a store that is not"))
        };
        for other in all {
            if other.partitions != first.partitions {
                let count = |of: StoreProperties| format!("{} partitions", of.partitions);
                return differ("their number of partitions", count(first), count(other), other);
            }
            if other.atomicity != first.atomicity {
                let name = |of: StoreProperties| atomicity(of.atomicity).to_owned();
                return differ("what they commit at once", name(first), name(other), other);
            }
            if other.log != first.log {
                let name = |of: StoreProperties| scope(of.log).to_owned();
                return differ("what their logs show", name(first), name(other), other);
            }
        }
        Ok(first)
    }

    fn check_given_once(&self) -> Result<()> {
        let ids: Vec<_> = self.stores.iter().map(|placed| placed.store.properties().id).collect();
        let twice = ids.iter().enumerate().find(|(at, id)| ids.iter().take(*at).any(|before| before == *id));
        match twice {
            None => Ok(()),
            Some((_, id)) => Err(Error::invalid(format!("store {id} was given twice")).advice(
                "give each store once, with all its partitions; a copy of a store is no second store",
            )),
        }
    }

    /// The number of each partition's store.
    fn places(&self, properties: StoreProperties) -> Result<Vec<usize>> {
        let count = properties.partitions;
        let all = self.stores.iter().flat_map(|placed| &placed.partitions);
        if let Some(beyond) = all.clone().find(|partition| partition.get() >= count.get()) {
            return Err(Error::invalid(format!("partition {beyond} does not exist"))
                .expected(format!("below {count}"), beyond));
        }
        let (mut places, mut missing) = (Vec::new(), Vec::new());
        for partition in count.all() {
            let times = all.clone().filter(|placed| **placed == partition).count();
            if times > 1 {
                return Err(Error::invalid(format!("partition {partition} is placed more than once"))
                    .expected("one place", times)
                    .advice(RESTORE_PLACEMENT));
            }
            match self.stores.iter().position(|placed| placed.partitions.contains(&partition)) {
                Some(place) => places.push(place),
                None => missing.push(partition.to_string()),
            }
        }
        if missing.is_empty() {
            return Ok(places);
        }
        Err(Error::invalid(format!("partitions are not placed: {}", missing.join(", ")))
            .expected(format!("all {count} partitions"), places.len())
            .advice("place every partition on a store"))
    }

    /// Another placement is another store: the ids of the stores, by partition.
    fn id_of(&self, places: &[usize]) -> Uuid {
        let stores = places.iter().filter_map(|place| self.stores.get(*place));
        let bytes: Vec<u8> = stores.flat_map(|placed| placed.store.properties().id.into_bytes()).collect();
        Uuid::new_v5(&NAMESPACE, &bytes)
    }
}

const RESTORE_PLACEMENT: &str = "restore the placement that the stores were filled under: a partition's history \
     stays where it was written, and would be missing elsewhere";

/// A partition that was filled here and is placed elsewhere now would begin anew there, without its history.
async fn holds_only_its_own(placed: &Placed, properties: StoreProperties) -> Result<()> {
    for partition in properties.partitions.all().filter(|partition| !placed.partitions.contains(partition)) {
        let page = placed.store.read_log(partition, Position::START, 1).await?;
        if let Some(record) = page.records.first() {
            let id = placed.store.properties().id;
            return Err(Error::invalid(format!(
                "store {id} holds records of a partition that is not placed on it"
            ))
            .in_stream(&record.stream)
            .expected(format!("no record of partition {partition}"), format!("position {}", record.position))
            .advice(RESTORE_PLACEMENT));
        }
    }
    Ok(())
}

fn atomicity(of: Atomicity) -> &'static str {
    match of {
        Atomicity::Batch => "units of several streams",
        Atomicity::Stream => "units of one stream",
    }
}

fn scope(of: LogScope) -> &'static str {
    match of {
        LogScope::AllStreams => "all streams",
        LogScope::Aggregates => "aggregate streams only",
    }
}
