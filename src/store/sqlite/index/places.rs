//! The units of a partition, or of an event type in it, as a list of rows and positions.
//!
//! A list is written with each flush and never changed. An entry is the distances of its row and position from
//! the one before; the last four bytes are the CRC-32 of the others.

use std::sync::Arc;

use rusqlite::{Connection, params};

use crate::error::Result;
use crate::event::EventType;
use crate::store::sqlite::failure;
use crate::store::sqlite::index::block::{seal, unseal};
use crate::store::sqlite::index::live::Sealed;
use crate::store::sqlite::index::outline::Place;
use crate::store::sqlite::index::table::PlacesRead;
use crate::store::sqlite::varint::{Bytes, put};

const LISTS_FROM: &str = include_str!("../sql/lists_from.sql");

/// Writes a list.
pub(in crate::store::sqlite) fn encode(places: &[Place]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(places.len().saturating_mul(3));
    let mut before = Place { row: 0, position: 0 };
    for place in places {
        put(&mut bytes, place.row.saturating_sub(before.row));
        put(&mut bytes, place.position.saturating_sub(before.position));
        before = *place;
    }
    seal(bytes)
}

fn decode(bytes: &[u8]) -> Result<Vec<Place>> {
    let mut rest = Bytes(unseal(bytes)?);
    let (mut places, mut before) = (Vec::new(), Place { row: 0, position: 0 });
    while !rest.is_empty() {
        before = Place {
            row: before.row.saturating_add(rest.number()?),
            position: before.position.saturating_add(rest.number()?),
        };
        places.push(before);
    }
    Ok(places)
}

/// The first places that are asked for, at most `most`, where `recent` are those of the table in use.
pub(in crate::store::sqlite) fn find(
    connection: &Connection,
    sealed: &Arc<Sealed>,
    recent: &[Place],
    read: &PlacesRead<'_>,
) -> Result<Vec<Place>> {
    let mut found = stored(connection, sealed.flushed, read)?;
    for table in &sealed.tables {
        found.extend_from_slice(read.part(table.places(read.event_type, read.partition)));
    }
    found.extend_from_slice(read.part(recent));
    let behind = found.partition_point(|place| place.position <= read.from).saturating_sub(1);
    found.drain(..behind);
    found.truncate(read.most);
    Ok(found)
}

fn stored(connection: &Connection, flushed: u64, read: &PlacesRead<'_>) -> Result<Vec<Place>> {
    let fail = |source| failure::of("reading the lists of units", source);
    let mut statement = connection.prepare_cached(LISTS_FROM).map_err(fail)?;
    let event_type = read.event_type.map_or("", EventType::as_str);
    let from = i64::try_from(read.from).unwrap_or(i64::MAX);
    let parameters = params![event_type, read.partition.get(), from, flushed.cast_signed()];
    let mut rows = statement.query(parameters).map_err(fail)?;
    let mut found = Vec::new();
    while found.len() < read.most
        && let Some(row) = rows.next().map_err(fail)?
    {
        let body = row.get_ref(0).and_then(|body| Ok(body.as_blob()?)).map_err(fail)?;
        found.extend_from_slice(read.part(&decode(body)?));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::partition::PartitionId;

    fn place(row: u64, position: u64) -> Place {
        Place { row, position }
    }

    #[test]
    fn a_list_comes_back() {
        let places = [place(5, 1), place(9, 4), place(1 << 40, 1 << 33)];
        assert_eq!(decode(&encode(&places)).expect("intact"), places);
        assert_eq!(decode(&[1, 2, 3]).expect_err("no checksum").code(), "corrupt");
    }

    /// The format of stores that exist.
    #[test]
    fn the_bytes_never_change() {
        let bytes = encode(&[place(5, 1), place(9, 400)]);
        assert_eq!(
            bytes,
            [5, 1, 4, 143, 3, 234, 98, 101, 148],
            "lists in people's stores could not be read any more"
        );
    }

    #[test]
    fn a_part_begins_with_the_unit_that_holds_the_position() {
        let places = [place(5, 1), place(9, 4), place(11, 9)];
        let part = |from, most| {
            let read = PlacesRead { event_type: None, partition: PartitionId::new(0), from, most };
            read.part(&places).to_vec()
        };
        assert_eq!(part(0, 9), places);
        assert_eq!(part(5, 9), places[1..]);
        assert_eq!(part(4, 1), places[1..2]);
        assert_eq!(part(100, 9), places[2..]);
    }
}
