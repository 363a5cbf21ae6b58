//! What the indexes have to know of a unit, and where it lies.

use crate::clock::Timestamp;
use crate::error::Result;
use crate::event::{EventType, RecordKind};
use crate::partition::PartitionId;
use crate::store::Unit;
use crate::store::sqlite::body::{Body, number};
use crate::store::stream_key::StreamKey;
use crate::stream::{Position, StreamName, Version};

/// What the indexes have to know of a unit.
#[derive(Debug, Default)]
pub(in crate::store::sqlite) struct Outline {
    pub(in crate::store::sqlite) appends: Vec<OutlineAppend>,
    /// The types of its records, each once.
    pub(in crate::store::sqlite) types: Vec<EventType>,
    /// Its records, removed ones included.
    pub(in crate::store::sqlite) records: u64,
}

/// What the indexes have to know of the records of one stream in a unit.
#[derive(Debug)]
pub(in crate::store::sqlite) struct OutlineAppend {
    pub(in crate::store::sqlite) key: StreamKey,
    /// The version of the first record.
    pub(in crate::store::sqlite) first: Version,
    pub(in crate::store::sqlite) records: u64,
    /// The places of snapshots among them, from 0.
    pub(in crate::store::sqlite) snapshots: Vec<u64>,
}

impl Outline {
    /// The outline of a unit that is about to be written. The versions are not known yet.
    pub(in crate::store::sqlite) fn of(unit: &Unit) -> Self {
        let mut outline =
            Self { appends: Vec::with_capacity(unit.appends.len()), types: Vec::new(), records: 0 };
        for append in &unit.appends {
            let kinds = append.records.iter().map(|record| record.kind).zip(0_u64..);
            let snapshots =
                kinds.filter(|(kind, _)| *kind == RecordKind::Snapshot).map(|(_, at)| at).collect();
            append.records.iter().for_each(|record| outline.add_type(&record.event_type));
            let records = number(append.records.len());
            outline.records = outline.records.saturating_add(records);
            let key = StreamKey::of(&append.stream);
            outline.appends.push(OutlineAppend { key, first: Version::EMPTY, records, snapshots });
        }
        outline
    }

    /// The outline of a unit as it is stored.
    pub(in crate::store::sqlite) fn read(body: &Body<'_>) -> Result<Self> {
        let mut outline =
            Self { appends: Vec::with_capacity(body.appends.len()), types: Vec::new(), records: 0 };
        for append in &body.appends {
            let mut records = body.records(append);
            let mut snapshots = Vec::new();
            while let Some((version, kind, event_type)) = records.kinds()? {
                if kind == RecordKind::Snapshot {
                    snapshots.push(version.since(append.first));
                }
                match (kind.framework_type(), event_type) {
                    (Some(of_kind), _) => outline.add_type(&of_kind),
                    (None, Some(name)) if outline.types.iter().any(|known| known.as_str() == name) => {}
                    (None, name) => {
                        outline.types.push(EventType::stored(name.unwrap_or_default().to_owned())?)
                    }
                }
            }
            let key = StreamKey::of(&StreamName::parse(&append.stream)?);
            outline.records = outline.records.saturating_add(append.records);
            outline.appends.push(OutlineAppend {
                key,
                first: append.first,
                records: append.records,
                snapshots,
            });
        }
        Ok(outline)
    }

    fn add_type(&mut self, event_type: &EventType) {
        if !self.types.contains(event_type) {
            self.types.push(event_type.clone());
        }
    }
}

/// Where a unit lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::store::sqlite) struct Place {
    /// Its row.
    pub(in crate::store::sqlite) row: u64,
    /// The position of its first record.
    pub(in crate::store::sqlite) position: u64,
}

/// A committed unit.
#[derive(Debug)]
pub(in crate::store::sqlite) struct Written {
    pub(in crate::store::sqlite) partition: PartitionId,
    pub(in crate::store::sqlite) place: Place,
    pub(in crate::store::sqlite) recorded_at: Timestamp,
    pub(in crate::store::sqlite) outline: Outline,
}

impl Written {
    /// How far its partition's log goes with it.
    pub(in crate::store::sqlite) fn head(&self) -> Head {
        let last = self.place.position.saturating_add(self.outline.records).saturating_sub(1);
        Head { position: Position::new(last), time: self.recorded_at }
    }
}

/// How far a partition's log goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store::sqlite) struct Head {
    /// Its last position.
    pub(in crate::store::sqlite) position: Position,
    /// The last time that was stamped.
    pub(in crate::store::sqlite) time: Timestamp,
}
