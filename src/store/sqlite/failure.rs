//! What SQLite's errors mean to a caller.

use rusqlite::ErrorCode;

use crate::error::{Error, ErrorKind};

/// An error of SQLite while `what` was done, when nothing was written by it.
pub(super) fn of(what: &str, source: rusqlite::Error) -> Error {
    let kind = if is_corrupt(&source) { ErrorKind::Corrupt } else { ErrorKind::Unavailable };
    Error::new(kind, format!("sqlite: {what} failed")).caused_by(source)
}

/// An error of the file system while `what` was done.
pub(super) fn io(what: &str, path: &std::path::Path, source: std::io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, format!("sqlite: cannot {what} {}", path.display()))
        .advice("look at the path's permissions and at the disk, then open the store again")
        .caused_by(source)
}

/// Whether what was read cannot be right. Values of a wrong type count: the tables are STRICT.
pub(super) fn is_corrupt(error: &rusqlite::Error) -> bool {
    match error {
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::Utf8Error(..)
        | rusqlite::Error::InvalidColumnType(..) => true,
        _ => matches!(code(error), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)),
    }
}

/// Whether one unit's own content or pages are to blame, so that its neighbours may go on without it.
pub(super) fn concerns_one_unit(error: &rusqlite::Error) -> bool {
    is_corrupt(error)
        || matches!(
            code(error),
            Some(ErrorCode::ConstraintViolation | ErrorCode::TooBig | ErrorCode::TypeMismatch)
        )
}

/// Whether a rollback is final after this error, where COMMIT was not tried: nothing was in doubt,
/// there was no room or no lock.
pub(super) fn rollback_is_final(error: &rusqlite::Error) -> bool {
    matches!(
        code(error),
        Some(
            ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::DiskFull
                | ErrorCode::OutOfMemory
                | ErrorCode::ReadOnly
        )
    )
}

/// Whether there was no room. A sync that finds none is an I/O error instead.
pub(super) fn is_full(error: &rusqlite::Error) -> bool {
    code(error) == Some(ErrorCode::DiskFull)
}

fn code(error: &rusqlite::Error) -> Option<ErrorCode> {
    error.sqlite_error_code()
}
