//! Which units of some lists are committed, and where their records go, given where the streams are.

use crate::error::{Error, Result};
use crate::hash::HashMap;
use crate::partition::PartitionId;
use crate::store::admission::{Admission, check};
use crate::store::postgres::rows::Rows;
use crate::store::{AppendFailure, StoreProperties, StreamAppend, Unit};
use crate::stream::{ExpectedVersion, StreamName, Version};

/// Units that were handed over together.
pub(super) type List = Vec<Checked>;

/// A unit, and whether it keeps all bounds.
pub(super) struct Checked {
    pub(super) unit: Unit,
    checked: Result<()>,
}

impl Checked {
    pub(super) fn new(unit: Unit, partition: PartitionId, properties: StoreProperties) -> Self {
        let checked = check(&unit, partition, properties);
        Self { unit, checked }
    }
}

/// Where streams are.
pub(super) type Heads = HashMap<StreamName, Version>;

/// What becomes of each unit.
pub(super) struct Plan<'l> {
    /// By list and unit: its place among those admitted, or why it is not.
    pub(super) verdicts: Vec<Vec<Result<usize, AppendFailure>>>,
    pub(super) admitted: Vec<Admitted<'l>>,
}

/// A unit that may be committed.
pub(super) struct Admitted<'l> {
    pub(super) unit: &'l Unit,
    /// By append: where its stream is before it.
    pub(super) heads: Vec<Version>,
    /// Records of the units before it.
    pub(super) offset: u64,
}

impl<'l> Admitted<'l> {
    /// Where the streams are behind it of which nothing is expected.
    pub(super) fn heads_after(&self) -> impl Iterator<Item = (&'l StreamName, Version)> {
        let appends = self.unit.appends.iter().zip(&self.heads);
        let free = appends.filter(|(append, _)| append.expected == ExpectedVersion::Any);
        free.map(|(append, before)| (&append.stream, before.plus(count(append))))
    }
}

fn count(append: &StreamAppend) -> u64 {
    u64::try_from(append.records.len()).unwrap_or(u64::MAX)
}

impl<'l> Plan<'l> {
    /// Admits units in turn. The lists are apart: what failed in one fails nothing in another.
    pub(super) fn new(lists: &'l [List], heads: &mut Heads, rows: &mut Rows) -> Self {
        let mut plan = Self { verdicts: Vec::with_capacity(lists.len()), admitted: Vec::new() };
        let mut offset: u64 = 0;
        for list in lists {
            let mut admission = Admission::default();
            let mut judge = |Checked { unit, checked }: &'l Checked| {
                let head = |stream: &StreamName| heads.get(stream).copied().ok_or_else(unknown);
                admission.admit(unit, checked, head)?;
                rows.admit(&mut admission, unit)?;
                let before = advance(unit, heads);
                plan.admitted.push(Admitted { unit, heads: before, offset });
                offset = offset.saturating_add(u64::try_from(unit.len()).unwrap_or(u64::MAX));
                Ok(plan.admitted.len().saturating_sub(1))
            };
            plan.verdicts.push(list.iter().map(&mut judge).collect());
        }
        plan
    }

    /// Where the streams must be for all that is expected of them to hold, apart from those of which it was `told` where
    /// they are; where nothing is expected, it is a guess. None where what is expected contradicts itself, and where there
    /// are rows: then somebody has to look.
    pub(super) fn hopeful(
        lists: &'l [List],
        told: &Heads,
        guess: impl Fn(&StreamName) -> Version,
    ) -> Option<Self> {
        if lists.iter().flatten().any(|checked| !checked.unit.rows.is_empty()) {
            return None;
        }
        let mut heads = told.clone();
        for append in lists.iter().flatten().flat_map(|checked| &checked.unit.appends) {
            if !heads.contains_key(&append.stream) {
                let head = demanded(append.expected).unwrap_or_else(|| guess(&append.stream));
                heads.insert(append.stream.clone(), head);
            }
        }
        let plan = Self::new(lists, &mut heads, &mut Rows::default());
        let contradicts = |verdict: &Result<usize, AppendFailure>| matches!(verdict, Err(AppendFailure::WrongVersion { stream, .. }) if !told.contains_key(stream));
        (!plan.verdicts.iter().flatten().any(contradicts)).then_some(plan)
    }
}

fn advance(unit: &Unit, heads: &mut Heads) -> Vec<Version> {
    let moved = unit.appends.iter().map(|append| {
        let before = heads.get(&append.stream).copied().unwrap_or(Version::EMPTY);
        if let Some(head) = heads.get_mut(&append.stream) {
            *head = before.plus(count(append));
        }
        before
    });
    moved.collect()
}

fn demanded(expected: ExpectedVersion) -> Option<Version> {
    match expected {
        ExpectedVersion::NoStream => Some(Version::EMPTY),
        ExpectedVersion::Exact(version) => Some(version),
        ExpectedVersion::Any => None,
    }
}

fn unknown() -> Error {
    Error::corrupt("a stream's head was not read")
}
