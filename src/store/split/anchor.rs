//! What one half remembers of the other one, and whether that still is so.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::{Error, ErrorKind, Result};
use crate::event::{Checksum, CodecName, NewRecord, Record, RecordKind};
use crate::partition::{PartitionCount, PartitionId};
use crate::store::split::half::Half;
use crate::store::{EventStore, LogPage};
use crate::stream::{AggregateId, Category, Position, StreamName};

/// The schema of the payload.
const SCHEMA: u16 = 1;
/// Ids tried until one lies in the last partition. Of 1,024 partitions, each is missed by so many ids less
/// than once in e⁶⁴ times.
const IDS_TRIED: u32 = 1 << 16;

/// The payload of an anchor: what the other half was like when it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Anchor {
    /// Where it stands.
    here: Half,
    /// The id of the other half.
    other: Uuid,
    /// The other half's last record of each partition.
    heads: Vec<Head>,
}

/// A partition's last position, and the checksum of the record there, unless that was removed by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Head(Position, Option<u32>);

impl Anchor {
    /// What `half` is to remember of `other`. Only what is durable can be read, so nothing else is remembered.
    pub(super) async fn of(half: Half, other: &dyn EventStore) -> Result<Self> {
        let properties = other.properties();
        let mut heads = Vec::new();
        for partition in properties.partitions.all() {
            heads.push(head(other, partition).await?);
        }
        Ok(Self { here: half, other: properties.id, heads })
    }

    /// The stream of anchors, in the last partition of `count`.
    pub(super) fn stream(count: PartitionCount) -> Result<StreamName> {
        let category = Category::reserved("anchor");
        for number in 0..IDS_TRIED {
            let id = AggregateId::new(number.to_string())?;
            if Some(count.of(id.cardinal())) == count.all().last() {
                return Ok(category.stream(&id));
            }
        }
        Err(Error::invalid("no id was found in the last partition"))
    }

    pub(super) fn to_record(&self) -> Result<NewRecord> {
        let encoded = serde_json::to_vec(self);
        let payload =
            encoded.map_err(|source| Error::invalid("an anchor has no JSON form").caused_by(source))?;
        let kind = RecordKind::Anchor;
        let event_type =
            kind.framework_type().ok_or_else(|| Error::invalid("an anchor is a framework's record"))?;
        let codec = CodecName::builtin("json");
        Ok(NewRecord {
            kind,
            event_type,
            schema: SCHEMA,
            codec,
            cause: None,
            requester: None,
            payload: payload.into(),
        })
    }

    pub(super) fn read(record: &Record) -> Result<Self> {
        record.verify()?;
        let in_stream = |error: Error| error.in_stream(&record.stream);
        if record.data.kind != RecordKind::Anchor || record.data.schema != SCHEMA {
            return Err(in_stream(Error::corrupt("an anchor of another schema"))
                .expected(format!("schema {SCHEMA}"), record.data.schema)
                .advice("open these stores with the version of sidestream that wrote them, or a newer one"));
        }
        serde_json::from_slice(&record.data.payload)
            .map_err(|source| in_stream(Error::corrupt("an anchor cannot be read").caused_by(source)))
    }

    /// Demands that it stands in `half`, and that `other` still has all that it names.
    pub(super) async fn check(&self, half: Half, other: &dyn EventStore) -> Result<()> {
        if self.here != half {
            return Err(Error::invalid("gateway and ledger are exchanged")
                .expected(format!("the store with side streams as the {}", Half::Gateway), "the other one")
                .advice("exchange the two stores in the call"));
        }
        let properties = other.properties();
        if self.other != properties.id {
            let what = format!("the {} is not the one that the {half} worked with", half.other());
            return Err(Error::new(ErrorKind::LostHistory, what)
                .expected(format!("store {}", self.other), format!("store {}", properties.id))
                .advice(format!("open the {half} with that {}", half.other())));
        }
        let count = usize::from(properties.partitions.get());
        if self.heads.len() != count {
            let what = format!("an anchor of the {half} names another number of partitions");
            return Err(Error::corrupt(what).expected(count, self.heads.len()));
        }
        for (partition, head) in properties.partitions.all().zip(&self.heads) {
            head.check(half, partition, other).await?;
        }
        Ok(())
    }
}

impl Head {
    async fn check(self, half: Half, partition: PartitionId, other: &dyn EventStore) -> Result<()> {
        let Self(position, checksum) = self;
        if position == Position::START {
            return Ok(());
        }
        let page = other.read_log(partition, position.minus(1), 1).await?;
        if page.head < position {
            return Err(self.older(half, partition, &page));
        }
        // A record that was removed meanwhile has no checksum to compare; that the log goes so far must do.
        let record = page.records.first().filter(|record| record.position == position);
        match (record, checksum) {
            (Some(record), Some(checksum)) if record.checksum != Checksum(checksum) => {
                Err(self.altered(half, record, Checksum(checksum)))
            }
            _ => Ok(()),
        }
    }

    fn older(self, half: Half, partition: PartitionId, page: &LogPage) -> Error {
        let other = half.other();
        let what = format!("the {other} is older than the {half} knows it, in partition {partition}");
        Error::new(ErrorKind::LostHistory, what)
            .expected(format!("position {} or above", self.0), format!("position {}", page.head))
            .advice(restore(other))
    }

    fn altered(self, half: Half, record: &Record, checksum: Checksum) -> Error {
        let (other, partition) = (half.other(), record.partition);
        let what = format!(
            "the {other} went on from an older copy than the {half} knows: another record stands at position {} \
             of partition {partition}",
            self.0
        );
        Error::new(ErrorKind::LostHistory, what)
            .in_stream(&record.stream)
            .expected(format!("checksum {checksum}"), record.checksum)
            .advice(restore(other))
    }
}

fn restore(older: Half) -> String {
    format!(
        "serve nothing from these two: bring the newest {older} back, or restore both from backups that were \
         made while nothing was written"
    )
}

async fn head(store: &dyn EventStore, partition: PartitionId) -> Result<Head> {
    let position = store.read_log(partition, Position::START, 0).await?.head;
    if position == Position::START {
        return Ok(Head(position, None));
    }
    let page = store.read_log(partition, position.minus(1), 1).await?;
    let record = page.records.first().filter(|record| record.position == position);
    Ok(Head(position, record.map(|record| record.checksum.0)))
}

/// Whether no record was ever written to a store.
pub(super) async fn is_unused(store: &dyn EventStore) -> Result<bool> {
    for partition in store.properties().partitions.all() {
        if store.read_log(partition, Position::START, 0).await?.head != Position::START {
            return Ok(false);
        }
    }
    Ok(true)
}
