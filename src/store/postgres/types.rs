//! The numbers of the database are signed.

/// A count or a version, as the database keeps it.
pub(super) fn stored(number: u64) -> i64 {
    number.cast_signed()
}

/// A version to compare with: what no row can have is as good as the largest.
pub(super) fn bound(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number that the database gave.
pub(super) fn number(stored: i64) -> u64 {
    stored.cast_unsigned()
}
