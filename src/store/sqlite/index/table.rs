//! What one stretch of the log adds to the indexes, in memory.

use crate::event::EventType;
use crate::hash::HashMap;
use crate::partition::PartitionId;
use crate::store::sqlite::index::entry::{Append, Entry};
use crate::store::sqlite::index::outline::{Head, OutlineAppend, Place, Written};
use crate::store::stream_key::StreamKey;

/// What is asked of the lists.
#[derive(Debug, Clone, Copy)]
pub(in crate::store::sqlite) struct PlacesRead<'a> {
    /// `None` for all units of the partition.
    pub(in crate::store::sqlite) event_type: Option<&'a EventType>,
    pub(in crate::store::sqlite) partition: PartitionId,
    /// The unit that holds this position comes first; without one, the next.
    pub(in crate::store::sqlite) from: u64,
    pub(in crate::store::sqlite) most: usize,
}

impl PlacesRead<'_> {
    /// The part of a sorted list that is asked for: whatever lies in older lists lies before it.
    pub(in crate::store::sqlite) fn part<'p>(&self, places: &'p [Place]) -> &'p [Place] {
        let behind = places.partition_point(|place| place.position <= self.from).saturating_sub(1);
        let rest = places.get(behind..).unwrap_or_default();
        rest.get(..self.most).unwrap_or(rest)
    }
}

/// The appends to one stream, in order. Most streams are side streams, and have one.
#[derive(Debug)]
enum Appends {
    One(Append),
    Many(Vec<Append>),
}

impl Appends {
    fn as_slice(&self) -> &[Append] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }

    fn push(&mut self, append: Append) {
        match self {
            Self::One(one) => *self = Self::Many(vec![*one, append]),
            Self::Many(many) => many.push(append),
        }
    }
}

/// The indexes over a stretch of the log.
#[derive(Debug, Default)]
pub(in crate::store::sqlite) struct Table {
    /// Of the first and the last unit; 0 where there is none.
    pub(in crate::store::sqlite) first_row: u64,
    pub(in crate::store::sqlite) last_row: u64,
    pub(in crate::store::sqlite) units: usize,
    streams: HashMap<StreamKey, Appends>,
    /// The highest transaction id of its side streams: a later version 7 id is not here.
    newest: u128,
    logs: HashMap<PartitionId, Vec<Place>>,
    types: HashMap<EventType, HashMap<PartitionId, Vec<Place>>>,
    heads: HashMap<PartitionId, Head>,
}

impl Table {
    /// An empty table with room for as much as there is in this one.
    pub(in crate::store::sqlite) fn next(&self) -> Self {
        let mut next = Self::default();
        next.streams.reserve(self.streams.len());
        next
    }

    /// Adds a unit behind those that are there.
    pub(in crate::store::sqlite) fn add(&mut self, unit: &Written) {
        let Written { partition, place, outline, .. } = unit;
        if self.units == 0 {
            self.first_row = place.row;
        }
        self.last_row = place.row;
        self.units = self.units.saturating_add(1);
        for append in outline.appends.iter().filter(|append| append.records > 0) {
            self.add_append(append, place.row);
        }
        self.logs.entry(*partition).or_default().push(*place);
        for event_type in &outline.types {
            if let Some(places) = self.types.get_mut(event_type) {
                places.entry(*partition).or_default().push(*place);
            } else {
                let places = HashMap::from_iter([(*partition, vec![*place])]);
                self.types.insert(event_type.clone(), places);
            }
        }
        self.heads.insert(*partition, unit.head());
    }

    fn add_append(&mut self, append: &OutlineAppend, row: u64) {
        let before = append.first.get().saturating_sub(1);
        let last = before.saturating_add(append.records);
        self.push(append.key, Append { last, records: append.records, row });
        for at in &append.snapshots {
            let version = append.first.get().saturating_add(*at);
            self.push(append.key.snapshots(), Append { last: version, records: 1, row });
        }
    }

    fn push(&mut self, key: StreamKey, append: Append) {
        if key.is_side() {
            self.newest = self.newest.max(key.id);
        }
        self.streams.entry(key).and_modify(|appends| appends.push(append)).or_insert(Appends::One(append));
    }

    /// The appends to a stream, or the snapshots of one.
    pub(in crate::store::sqlite) fn appends(&self, key: &StreamKey) -> &[Append] {
        if key.is_side() && key.id > self.newest {
            return &[];
        }
        self.streams.get(key).map_or(&[], Appends::as_slice)
    }

    /// The units of a partition, or those of them that have a type.
    pub(in crate::store::sqlite) fn places(
        &self,
        event_type: Option<&EventType>,
        partition: PartitionId,
    ) -> &[Place] {
        let of_partition = match event_type {
            None => Some(&self.logs),
            Some(event_type) => self.types.get(event_type),
        };
        of_partition.and_then(|places| places.get(&partition)).map_or(&[], Vec::as_slice)
    }

    /// The partitions that have units here, and how far their logs go with them.
    pub(in crate::store::sqlite) fn heads(&self) -> impl Iterator<Item = (PartitionId, Head)> {
        self.heads.iter().map(|(partition, head)| (*partition, *head))
    }

    pub(in crate::store::sqlite) fn keys(&self) -> usize {
        self.streams.len()
    }

    /// All entries, sorted.
    pub(in crate::store::sqlite) fn entries(&self) -> Vec<Entry> {
        let mut entries: Vec<_> = self
            .streams
            .iter()
            .flat_map(|(key, appends)| appends.as_slice().iter().map(|append| Entry::new(*key, *append)))
            .collect();
        entries.sort_unstable_by_key(Entry::order);
        entries
    }

    /// All lists of units: of partitions, and of the types in them.
    pub(in crate::store::sqlite) fn lists(
        &self,
    ) -> impl Iterator<Item = (Option<&EventType>, PartitionId, &[Place])> {
        let logs = self.logs.iter().map(|(partition, places)| (None, *partition, places.as_slice()));
        let types = self.types.iter().flat_map(|(event_type, of_type)| {
            of_type.iter().map(move |(partition, places)| (Some(event_type), *partition, places.as_slice()))
        });
        logs.chain(types)
    }
}
