//! Who is there: each worker has a seat, a row of the first partition that lives as long as a lease.
//!
//! Seats are numbered and used again: a row that was written once is kept for ever, so a row for each start of a worker
//! would add up over the years.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::cluster::spread::Member;
use crate::error::{Error, ErrorKind, Result};
use crate::limits;
use crate::partition::PartitionId;
use crate::store::rows::{Row, RowChange, RowExpected, RowKey, RowSelection, RowWrite, RowsPage, RowsRead};
use crate::store::{EventStore, json_rows};

/// The space of the workers' seats.
const SPACE: &str = "workers";
/// The partition that they are in.
const PARTITION: PartitionId = PartitionId::new(0);

/// Who is there.
#[derive(Debug, Clone, Default)]
pub(super) struct Present {
    /// All whose seats live.
    pub(super) all: BTreeSet<Member>,
    /// Those who said so within half a lease time. Of the others it is not known whether they will come for what is
    /// free.
    pub(super) recent: BTreeSet<Member>,
}

/// A worker's seat, and the epoch that it was taken under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seat {
    key: String,
    epoch: u64,
}

/// Says that a worker is there, for so long, and reads who else is: with its seat, a new one where the old one was lost.
///
/// # Errors
/// [`Overloaded`](ErrorKind::Overloaded) when all seats are taken; those of the store.
pub(super) async fn attend(
    store: &dyn EventStore,
    seat: Option<Seat>,
    (me, lives): (&Member, Duration),
) -> Result<(Seat, Present)> {
    let value = json_rows::value(SPACE, me)?;
    if let Some(seat) = seat {
        let put = RowChange::Put { value: value.clone(), lives: Some(lives) };
        if write(store, &seat.key, RowExpected::Epoch(seat.epoch), put).await? {
            let (page, all) = read(store).await?;
            return Ok((seat, present(&page, all, lives)));
        }
    }
    for _ in 0..limits::SEAT_TRIES {
        let (page, all) = read(store).await?;
        if let Some(seat) = seat_of(&page, me) {
            return Ok((seat, present(&page, all, lives)));
        }
        let taken: BTreeSet<_> = live(&page).map(|row| row.key.key()).collect();
        let mut all = (0..limits::WORKERS).map(|number| format!("{number:03}"));
        let Some(free) = all.find(|key| !taken.contains(key.as_str())) else { return Err(full()) };
        let claim = RowChange::Claim { value: value.clone(), lives: Some(lives) };
        // Whether it won is read: an answer may be lost.
        write(store, &free, RowExpected::Free, claim).await?;
    }
    Err(full())
}

/// Gives a seat up.
pub(super) async fn leave(store: &dyn EventStore, seat: &Seat) -> Result<bool> {
    let expires = RowChange::Extend { lives: Some(Duration::ZERO) };
    write(store, &seat.key, RowExpected::Epoch(seat.epoch), expires).await
}

/// Writes a seat; false where it is another's.
async fn write(store: &dyn EventStore, key: &str, expected: RowExpected, change: RowChange) -> Result<bool> {
    let row = RowWrite { key: RowKey::new(SPACE, key)?, expected, change };
    Ok(json_rows::write(store, PARTITION, vec![row]).await?.is_ok())
}

async fn read(store: &dyn EventStore) -> Result<(RowsPage, Vec<Member>)> {
    let which = RowSelection::Prefix { prefix: String::new(), after: None, limit: limits::PAGE_ROWS };
    let page = store.rows(RowsRead { partition: PARTITION, space: SPACE.to_owned(), which }).await?;
    let members = live(&page).map(|row| json_rows::read(PARTITION, row)).collect::<Result<_>>()?;
    Ok((page, members))
}

fn live(page: &RowsPage) -> impl Iterator<Item = &Row> {
    page.rows.iter().filter(|row| row.expires_at.is_some_and(|at| at > page.at))
}

/// Sorts out those whose seats live for more than half the time that they are given.
fn present(page: &RowsPage, all: Vec<Member>, lives: Duration) -> Present {
    let soon = page.at.after(lives.checked_div(2).unwrap_or_default());
    let is_recent = |row: &Row| row.expires_at.is_some_and(|at| at > soon);
    let recent = live(page).zip(&all).filter(|(row, _)| is_recent(row));
    Present { recent: recent.map(|(_, member)| member.clone()).collect(), all: all.into_iter().collect() }
}

fn seat_of(page: &RowsPage, me: &Member) -> Option<Seat> {
    let is_mine =
        |row: &&Row| json_rows::read::<Member>(PARTITION, row).is_ok_and(|member| member.id == me.id);
    let row = live(page).find(is_mine)?;
    Some(Seat { key: row.key.key().to_owned(), epoch: row.epoch })
}

fn full() -> Error {
    Error::new(ErrorKind::Overloaded, "no seat is free for this worker")
        .expected(format!("at most {} workers", limits::WORKERS), "as many")
        .advice("run fewer workers with more partitions each")
}
