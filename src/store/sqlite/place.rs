//! Where a record lies: partition and position packed into one row id.

use crate::error::{Error, Result};
use crate::partition::PartitionId;
use crate::stream::Position;

const POSITION_BITS: u32 = 48;
const LAST_POSITION: u64 = (1 << POSITION_BITS) - 1;

/// The row id of a record that is written.
pub(super) fn of(partition: PartitionId, position: Position) -> Result<i64> {
    if position.get() > LAST_POSITION {
        return Err(Error::invalid(format!("partition {partition} is full"))
            .expected(format!("at most {LAST_POSITION} records"), position));
    }
    Ok(clamped(partition, position))
}

/// The row id at or below which everything up to `position` lies; a position above all there can be
/// stands for the partition's end.
pub(super) fn clamped(partition: PartitionId, position: Position) -> i64 {
    let packed = u64::from(partition.get()) << POSITION_BITS | position.get().min(LAST_POSITION);
    packed.cast_signed()
}

/// The row id that ends a partition.
pub(super) fn end(partition: PartitionId) -> i64 {
    clamped(partition, Position::new(LAST_POSITION))
}

/// Partition and position of a stored record.
pub(super) fn parse(place: i64) -> Result<(PartitionId, Position)> {
    let place = place.cast_unsigned();
    let partition = u16::try_from(place >> POSITION_BITS)
        .map_err(|_| Error::corrupt(format!("row id {place} names no partition")))?;
    Ok((PartitionId::new(partition), Position::new(place & LAST_POSITION)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_sort_by_partition_then_position_and_come_back() {
        let place = |p, n| of(PartitionId::new(p), Position::new(n)).expect("fits");
        assert!(place(0, LAST_POSITION) < place(1, 1));
        assert!(place(1, 1) < place(1, 2));
        assert_eq!(parse(place(1_023, 7)).expect("valid"), (PartitionId::new(1_023), Position::new(7)));
    }

    #[test]
    fn a_position_above_all_is_clamped_on_reads_and_refused_on_writes() {
        let partition = PartitionId::new(3);
        assert_eq!(clamped(partition, Position::new(u64::MAX)), end(partition));
        assert!(of(partition, Position::new(LAST_POSITION + 1)).is_err());
    }
}
