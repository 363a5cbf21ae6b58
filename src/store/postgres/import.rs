//! Parts of another store's log as columns, which one call of a function takes.

use tokio_postgres::types::Type;

use crate::event::Record;
use crate::hash::{HashMap, HashSet};
use crate::id::{StepName, TransactionId};
use crate::partition::PartitionId;
use crate::store::postgres::record_columns::{RecordColumns, affecting};
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
    positions: Vec<i64>,
    times: Vec<i64>,
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
        page.records.iter().for_each(|record| columns.add(record));
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
            positions: Vec::new(),
            times: Vec::new(),
            records: RecordColumns::default(),
        }
    }

    fn add(&mut self, record: &'p Record) {
        let Record { stream, data, .. } = record;
        let place = self.by_name.get(stream).copied().unwrap_or(0);
        let affecting = affecting(data).map(|(transaction, step)| (stream, transaction, step));
        let is_effect = affecting.is_some_and(|step| self.effects_of.insert(step));
        self.positions.push(stored(record.position.get()));
        self.times.push(record.recorded_at.as_micros());
        self.records.add(place, (record.version, record.checksum), data, is_effect);
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
            (&self.positions, Type::INT8_ARRAY),
            (&self.times, Type::INT8_ARRAY),
        ];
        all.extend(self.records.parameters());
        all
    }
}
