//! Whose fault a failed statement is, and what it means.

use tokio_postgres::error::Severity;

use crate::error::{Error, ErrorKind};
use crate::projection::failure::ViewFailure;
use crate::store::AppendFailure;
use crate::store::postgres;

/// Why a statement of the view's own failed.
pub(super) fn failed(doing: &str, source: tokio_postgres::Error) -> Error {
    let invalid = |what: &str| Error::invalid(format!("{what} while {doing}"));
    let error = match source.code().map(tokio_postgres::error::SqlState::code) {
        Some("42501") => invalid("this user may not do what is needed").advice(
            "grant USAGE on the schema sidestream_view, EXECUTE on its functions and SELECT, INSERT, UPDATE, DELETE on its \
             tables: see docs/operations.md",
        ),
        Some("3F000" | "42P01" | "42883" | "42703") => {
            invalid("the schema `sidestream_view` is not there, or not as expected")
                .advice("make it by PostgresView::builder(…).run_migrations()")
        }
        Some("55P03") => Error::new(ErrorKind::Unavailable, format!("a lock was not free in time while {doing}"))
            .advice("see in pg_stat_activity who holds it; another runner of the place lets go when it is ended"),
        _ => return postgres::failed(doing, source),
    };
    error.caused_by(source)
}

/// Whether the database, or somebody else's transaction, is to blame, and not the statement or what it was given.
pub(super) fn is_of_the_database(source: &tokio_postgres::Error) -> bool {
    if source.is_closed() {
        return true;
    }
    let Some(told) = source.as_db_error() else {
        // What cannot be encoded or decoded was never at fault at the server.
        return std::error::Error::source(source).is_some_and(|cause| cause.is::<std::io::Error>());
    };
    let code = told.code().code();
    !matches!(told.parsed_severity(), Some(Severity::Error))
        || matches!(code.get(..2), Some("08" | "40" | "53" | "57" | "58" | "XX"))
        || matches!(code, "25006" | "25P03" | "55P03")
}

/// A commit that was not acknowledged as it should be.
pub(super) fn uncommitted(failure: AppendFailure) -> Error {
    match failure {
        AppendFailure::Refused(error) | AppendFailure::Unknown(error) => error,
        other => Error::new(ErrorKind::Unknown, other.to_string()),
    }
}

/// Why a transaction without handlers was not committed.
pub(super) fn cause(failure: ViewFailure) -> Error {
    match failure {
        ViewFailure::View(error) | ViewFailure::Handler { error: Some(error), .. } => error,
        ViewFailure::Handler { cause, .. } => Error::invalid(cause),
    }
}
