//! The open steps in both stores. They are copied as they stand: the records that made them may be removed.

use crate::error::{Error, Result};
use crate::limits;
use crate::store::OpenStep;
use crate::store::transfer::spi::Transfer;

/// Hands all open steps over, in place of those that are there.
pub(super) async fn copy(source: &dyn Transfer, target: &dyn Transfer) -> Result<()> {
    let (mut after, mut is_first) = (None, true);
    loop {
        let steps = source.steps_by_name(after.take(), limits::PAGE_RECORDS).await?;
        after = steps.last().map(|last| last.stream.clone());
        let is_last = steps.is_empty();
        if is_first || !is_last {
            target.import_steps(is_first, steps).await?;
        }
        if is_last {
            return Ok(());
        }
        is_first = false;
    }
}

/// Demands that both have the same open steps, and counts them.
pub(super) async fn compare(source: &dyn Transfer, target: &dyn Transfer) -> Result<u64> {
    let (mut after, mut count) = (None, 0_u64);
    loop {
        let (expected, found) = tokio::try_join!(
            source.steps_by_name(after.clone(), limits::PAGE_RECORDS),
            target.steps_by_name(after.clone(), limits::PAGE_RECORDS)
        )?;
        let differs_at = |at: &usize| expected.get(*at) != found.get(*at);
        if let Some(at) = (0..expected.len().max(found.len())).find(differs_at) {
            return Err(differs(expected.get(at), found.get(at)));
        }
        let Some(last) = expected.last() else { return Ok(count) };
        count = count.saturating_add(u64::try_from(expected.len()).unwrap_or(0));
        after = Some(last.stream.clone());
    }
}

fn differs(expected: Option<&OpenStep>, found: Option<&OpenStep>) -> Error {
    let tell =
        |step: Option<&OpenStep>| step.map_or_else(|| "no such step".to_owned(), |step| format!("{step:?}"));
    Error::corrupt("the copy has other open steps than its source")
        .expected(tell(expected), tell(found))
        .advice("the copy stays closed: run `sidestream copy` again")
}
