//! The guarded rows in both stores, and the times at which partitions were closed. They are copied once the source is
//! sealed: they change all the time, and there are few of them.

use crate::error::{Error, Result};
use crate::limits;
use crate::store::rows::KeptRow;
use crate::store::transfer::spi::{RowPlace, Transfer};

/// Hands all rows over, in place of those that are there, and the times. What is removed goes along: its numbers are
/// not to be used again.
pub(super) async fn copy(source: &dyn Transfer, target: &dyn Transfer) -> Result<()> {
    let mut after = None;
    loop {
        let rows = source.kept_rows(after.take(), limits::PAGE_ROWS).await?;
        let Some((last, _)) = rows.last() else { break };
        after = Some(last.clone());
        target.import_rows(rows).await?;
    }
    let heads = source.log_heads().await?;
    target.raise_times(heads.iter().map(|head| head.recorded_at).collect()).await
}

/// Demands that both keep the same rows, and counts them, removed ones too.
pub(super) async fn compare(source: &dyn Transfer, target: &dyn Transfer) -> Result<u64> {
    let (mut after, mut count) = (None::<RowPlace>, 0_u64);
    loop {
        let (expected, found) = tokio::try_join!(
            source.kept_rows(after.clone(), limits::PAGE_ROWS),
            target.kept_rows(after.clone(), limits::PAGE_ROWS)
        )?;
        let differs_at = |at: &usize| expected.get(*at) != found.get(*at);
        if let Some(at) = (0..expected.len().max(found.len())).find(differs_at) {
            return Err(differs(expected.get(at), found.get(at)));
        }
        let Some((last, _)) = expected.last() else { return Ok(count) };
        count = count.saturating_add(u64::try_from(expected.len()).unwrap_or(0));
        after = Some(last.clone());
    }
}

/// Values are nobody's business here.
fn differs(expected: Option<&(RowPlace, KeptRow)>, found: Option<&(RowPlace, KeptRow)>) -> Error {
    let tell = |row: Option<&(RowPlace, KeptRow)>| {
        row.map_or_else(
            || "no such row".to_owned(),
            |((partition, key), row)| {
                let (revision, epoch) = (row.revision, row.epoch);
                format!("{key} of partition {partition} at revision {revision}, epoch {epoch}")
            },
        )
    };
    Error::corrupt("the copy has other rows than its source")
        .expected(tell(expected), tell(found))
        .advice("the copy stays closed: run `sidestream copy` again")
}
