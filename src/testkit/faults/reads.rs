//! What was read of each stream: the proof that recovery reads only the tail.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::store::{StreamPage, StreamRead};
use crate::stream::{StreamName, Version};

/// What was read of one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StreamReads {
    /// How many reads asked for it and were answered.
    pub reads: u64,
    /// How many records they returned, snapshots not counted.
    pub records: u64,
    /// How many of them returned a snapshot.
    pub snapshots: u64,
    /// The lowest version of a record that was returned, snapshots not counted; `None` before the first.
    pub lowest: Option<Version>,
}

pub(super) fn count(
    reads: &mut BTreeMap<StreamName, StreamReads>,
    read: &StreamRead,
    page: &Result<StreamPage>,
) {
    let Ok(page) = page else { return };
    let of_stream = reads.entry(read.stream.clone()).or_default();
    of_stream.reads += 1;
    of_stream.records += u64::try_from(page.records.len()).expect("a page");
    of_stream.snapshots += u64::from(page.snapshot.is_some());
    let first = page.records.first().map(|record| record.version);
    of_stream.lowest = [of_stream.lowest, first].into_iter().flatten().min();
}
