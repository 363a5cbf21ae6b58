//! Values on their way to and from the database, whose numbers are signed.

use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

use crate::error::{Error, Result};
use crate::id::Fingerprint;

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

/// A column by its place.
pub(crate) fn column<'r, T: FromSql<'r>>(row: &'r Row, at: usize) -> Result<T> {
    row.try_get(at).map_err(|source| Error::corrupt("a column cannot be read").caused_by(source))
}

/// A fingerprint from its bytes.
pub(super) fn fingerprint(bytes: &[u8]) -> Result<Fingerprint> {
    let bytes = bytes.try_into().map_err(|_| Error::corrupt("a fingerprint is not 16 bytes"))?;
    Ok(Fingerprint::from_bytes(bytes))
}
