//! Parts of another store's log as columns, which one call of a function takes.

use tokio_postgres::types::Type;

use crate::event::Record;
use crate::hash::{HashMap, HashSet};
use crate::id::{StepName, TransactionId};
use crate::partition::PartitionId;
use crate::store::postgres::entry::{Entry, affecting};
use crate::store::postgres::record_columns::RecordColumns;
use crate::store::postgres::session::Parameter;
use crate::store::postgres::types::stored;
use crate::store::stream_key::StreamKey;
use crate::store::transfer::{ImportPage, Run};
use crate::stream::StreamName;

/// A page as the parameters of `import.sql`.
pub(super) struct Columns<'p> {
    partition: i32,
    quorum: bool,
    after: i64,
    through: i64,
    at: i64,
    keys: Vec<Vec<u8>>,
    names: Vec<&'p str>,
    heads: Vec<i64>,
    by_name: HashMap<&'p StreamName, i32>,
    effects_of: HashSet<(&'p StreamName, TransactionId, &'p StepName)>,
    records: RecordColumns<'p>,
}

impl<'p> Columns<'p> {
    pub(super) fn new(partition: PartitionId, quorum: bool, page: &'p ImportPage, runs: &[Run<'p>]) -> Self {
        let mut columns = Self::empty(partition, quorum, page);
        for (run, place) in runs.iter().zip(1_i32..) {
            columns.by_name.insert(run.stream, place);
            columns.keys.push(StreamKey::of(run.stream).to_vec());
            columns.names.push(run.stream.as_str());
            columns.heads.push(stored(run.before.get()));
        }
        let entries: Vec<_> = page.records.iter().map(|record| columns.entry(record)).collect();
        columns.records.add(&entries);
        columns
    }

    fn empty(partition: PartitionId, quorum: bool, page: &ImportPage) -> Self {
        Self {
            partition: i32::from(partition.get()),
            quorum,
            after: stored(page.after.get()),
            through: stored(page.through.get()),
            at: page.recorded_to.as_micros(),
            keys: Vec::new(),
            names: Vec::new(),
            heads: Vec::new(),
            by_name: HashMap::default(),
            effects_of: HashSet::default(),
            records: RecordColumns::default(),
        }
    }

    fn entry(&mut self, record: &'p Record) -> Entry<'p> {
        let Record { stream, data, .. } = record;
        let affecting = affecting(data).map(|(transaction, step)| (stream, transaction, step));
        Entry {
            stream,
            of_stream: self.by_name.get(stream).copied().unwrap_or(0),
            place: stored(record.position.get()),
            version: record.version,
            checksum: record.checksum,
            recorded_at: Some(record.recorded_at),
            is_effect: affecting.is_some_and(|step| self.effects_of.insert(step)),
            data,
        }
    }

    pub(super) fn parameters(&self) -> Vec<Parameter<'_>> {
        let mut all: Vec<Parameter<'_>> = vec![
            (&self.partition, Type::INT4),
            (&self.quorum, Type::BOOL),
            (&self.after, Type::INT8),
            (&self.through, Type::INT8),
            (&self.at, Type::INT8),
            (&self.keys, Type::BYTEA_ARRAY),
            (&self.names, Type::TEXT_ARRAY),
            (&self.heads, Type::INT8_ARRAY),
            self.records.times(),
        ];
        all.extend(self.records.parameters());
        all
    }
}
