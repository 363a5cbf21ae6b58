//! Copying one partition's log, page by page.

use std::sync::Arc;

use crate::clock::{Stopwatch, sleep};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Record;
use crate::limits;
use crate::partition::PartitionId;
use crate::store::transfer::page::ImportPage;
use crate::store::transfer::progress::{Progress, Watcher};
use crate::store::transfer::spi::{LogHead, Transfer};
use crate::stream::Position;
use std::time::Duration;

/// Records of the first page: nothing is known of their size.
const FIRST: usize = 256;
/// Bytes of payload that a page may have, as the last one lets expect.
const PAGE_BYTES: usize = 4 << 20;
/// How long a target that is overloaded is left alone.
const PAUSE: Duration = Duration::from_millis(20);
/// How long it may stay so.
const PATIENCE: Duration = Duration::from_secs(60);

/// How many records the next page asks for, after this one.
pub(super) fn next_limit(limit: usize, records: &[Record]) -> usize {
    let bytes = records.iter().fold(0_usize, |sum, record| sum.saturating_add(record.data.payload.len()));
    let each = bytes.checked_div(records.len()).unwrap_or(0).max(1);
    let fits = PAGE_BYTES.checked_div(each).unwrap_or(1);
    limit.saturating_mul(2).min(fits).clamp(1, limits::PAGE_RECORDS)
}

/// A partition on its way.
pub(super) struct Part {
    pub(super) source: Arc<dyn Transfer>,
    pub(super) target: Arc<dyn Transfer>,
    pub(super) partition: PartitionId,
    pub(super) watcher: Watcher,
}

impl Part {
    /// Copies what follows `at`, up to `until` at least, and counts the records. A source that is written to all the
    /// time has no end by itself.
    pub(super) async fn copy(&self, mut at: Position, until: Position) -> Result<u64> {
        let mut copied = 0_u64;
        let (mut page, mut limit) = if at < until { self.read(at, FIRST).await? } else { (None, FIRST) };
        while let Some(next) = page.take() {
            at = next.through;
            let (done, records) = (next.through.get().saturating_sub(next.after.get()), next.records.len());
            // The next page is read while this one is written.
            let (imported, read) = tokio::join!(self.import(next), self.read(at, limit));
            imported?;
            (self.watcher)(Progress::Done(done));
            copied = copied.saturating_add(u64::try_from(records).unwrap_or(0));
            (page, limit) = read?;
            if at >= until {
                break;
            }
        }
        Ok(copied)
    }

    /// The page behind `at`, none at the log's end, and how many records the one behind it is to have.
    async fn read(&self, at: Position, limit: usize) -> Result<(Option<ImportPage>, usize)> {
        let read = self.source.read_log(self.partition, at, limit).await?;
        let next = next_limit(limit, &read.records);
        if read.read_to <= at {
            return Ok((None, next));
        }
        let last = read.records.last().map(|last| (last.position, last.recorded_at));
        if let Some((position, recorded_at)) = last.filter(|(position, _)| *position == read.read_to) {
            let page =
                ImportPage { after: at, through: position, recorded_to: recorded_at, records: read.records };
            return Ok((Some(page), next));
        }
        // The log ends with removed records: their time is known only as long as nothing follows them.
        let head = self.head().await?;
        let (through, recorded_to) = match last {
            _ if head.position == read.read_to => (head.position, head.recorded_at),
            Some(last) => last,
            None => return Box::pin(self.read(at, limit)).await,
        };
        Ok((Some(ImportPage { after: at, through, recorded_to, records: read.records }), next))
    }

    async fn head(&self) -> Result<LogHead> {
        let heads = self.source.log_heads().await?;
        let head = heads.get(usize::from(self.partition.get())).copied();
        head.ok_or_else(|| Error::corrupt(format!("partition {} has no head", self.partition)))
    }

    /// Nothing was written where the target is overloaded: it is asked again.
    async fn import(&self, page: ImportPage) -> Result<()> {
        let watch = Stopwatch::start();
        loop {
            match self.target.import(self.partition, page.clone()).await {
                Err(error) if error.kind() == ErrorKind::Overloaded && watch.elapsed() < PATIENCE => {
                    sleep(PAUSE).await
                }
                result => return result,
            }
        }
    }
}
