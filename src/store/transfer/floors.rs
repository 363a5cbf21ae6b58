//! The floors of streams in both stores.

use crate::error::{Error, Result};
use crate::limits;
use crate::store::transfer::spi::{Floor, Transfer};
use crate::stream::StreamName;

/// Hands all floors over.
pub(super) async fn copy(source: &dyn Transfer, target: &dyn Transfer) -> Result<()> {
    let mut after = None;
    loop {
        let floors = source.floors(after.take(), limits::PAGE_RECORDS).await?;
        let Some(last) = floors.last() else { return Ok(()) };
        after = Some(last.stream.clone());
        target.import_floors(floors).await?;
    }
}

/// Demands that both have the same floors, and counts them.
pub(super) async fn compare(source: &dyn Transfer, target: &dyn Transfer) -> Result<u64> {
    let (mut after, mut count) = (None::<StreamName>, 0_u64);
    loop {
        let (expected, found) = tokio::try_join!(
            source.floors(after.clone(), limits::PAGE_RECORDS),
            target.floors(after.clone(), limits::PAGE_RECORDS)
        )?;
        let floor = |floor: &Floor| (floor.stream.clone(), floor.floor);
        if let Some(at) = (0..expected.len().max(found.len()))
            .find(|at| expected.get(*at).map(floor) != found.get(*at).map(floor))
        {
            return Err(differs(expected.get(at), found.get(at)));
        }
        let Some(last) = expected.last() else { return Ok(count) };
        count = count.saturating_add(u64::try_from(expected.len()).unwrap_or(0));
        after = Some(last.stream.clone());
    }
}

fn differs(expected: Option<&Floor>, found: Option<&Floor>) -> Error {
    let tell = |floor: Option<&Floor>| {
        floor.map_or_else(
            || "no such floor".to_owned(),
            |floor| format!("{} removed through version {}", floor.stream, floor.floor),
        )
    };
    Error::invalid("the copy lacks other removed records than its source")
        .expected(tell(expected), tell(found))
        .advice(
            "records were removed after the copy began, as `--unseal` allows: remove the copy and begin anew",
        )
}
