//! What a failed statement means: nothing was done, or nobody knows. One table for both.

use tokio_postgres::error::{DbError, Severity, SqlState};

use crate::error::{Error, ErrorKind};
use crate::store::{AppendFailure, transfer};

/// The unique indexes over streams, and over what a step did in one.
const WALLS: [&str; 3] = ["records_version", "records_side_version", "records_effect"];
/// A lock was not free in time.
const LOCKED: &str = "55P03";
/// What a server's own code of ours says: a quorum is demanded, and the server waits for none.
const NO_QUORUM: &str = "SS001";
/// What a move forbids.
const COPIED: &str = "SS101";
const MOVED: &str = "SS102";
const COPYING: &str = "SS103";
const NO_COPY: &str = "SS120";

/// Why no connection could be made.
pub(crate) fn connecting(source: tokio_postgres::Error) -> Error {
    let Some(told) = source.as_db_error() else {
        let error = Error::new(ErrorKind::Unavailable, "PostgreSQL cannot be reached");
        let advice = "see that a server that takes writes runs at one of the hosts; retry with the same id";
        return error.advice(advice).caused_by(source);
    };
    let advice = match told.code() {
        &SqlState::INVALID_PASSWORD | &SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
            "give the right user and password in the address, and see pg_hba.conf"
        }
        &SqlState::INVALID_CATALOG_NAME => "create the database, or give the right name in the address",
        &SqlState::INSUFFICIENT_PRIVILEGE => "grant CONNECT on the database to this user",
        _ => {
            return Error::new(ErrorKind::Unavailable, "PostgreSQL takes no connection").caused_by(source);
        }
    };
    Error::invalid("PostgreSQL refuses the connection").advice(advice).caused_by(source)
}

/// Why a statement failed that writes nothing, or of which it is certain that nothing was written.
pub(crate) fn of(doing: &str, source: tokio_postgres::Error) -> Error {
    match source.as_db_error() {
        None => {
            Error::new(ErrorKind::Unavailable, format!("the connection to PostgreSQL broke while {doing}"))
                .caused_by(source)
        }
        Some(told) => refused(doing, told).caused_by(source),
    }
}

/// Whether a statement was undone because a lock was not free in time.
pub(super) fn is_locked(source: &tokio_postgres::Error) -> bool {
    source.as_db_error().is_some_and(|told| told.code().code() == LOCKED && is_certain(told))
}

/// Whether an append was undone because a stream that was expected to be new has records: the first version of the one is
/// taken, and what its step did lies in another.
pub(super) fn is_there(source: &tokio_postgres::Error) -> bool {
    source.as_db_error().is_some_and(|told| {
        *told.code() == SqlState::UNIQUE_VIOLATION
            && told.constraint().is_some_and(|name| WALLS.contains(&name))
            && is_certain(told)
    })
}

/// Why a statement failed that commits.
pub(super) fn committing(source: tokio_postgres::Error) -> AppendFailure {
    changing("appending", source)
}

/// Why a statement failed that commits something else than an append.
pub(super) fn changing(doing: &str, source: tokio_postgres::Error) -> AppendFailure {
    match source.as_db_error() {
        Some(told) if is_certain(told) => AppendFailure::Refused(of(doing, source)),
        _ => AppendFailure::Unknown(
            Error::new(ErrorKind::Unknown, "the connection to PostgreSQL broke before it told the outcome")
                .caused_by(source),
        ),
    }
}

/// The answer to a commit that the server warned of.
pub(super) fn warned(warning: String) -> AppendFailure {
    AppendFailure::Unknown(
        Error::new(ErrorKind::Unknown, format!("PostgreSQL warned of the commit: {warning}")).advice(
            "retry with the same transaction id; see that nobody cancels commits that wait for a standby",
        ),
    )
}

/// Whether a server's error says for sure that the transaction is undone. One that ends the connection does not, nor
/// does one that was told of a commit under way.
fn is_certain(told: &DbError) -> bool {
    let ends_the_connection =
        !matches!(told.parsed_severity(), Some(Severity::Error)) || told.code().code().starts_with("08");
    let unknown = [
        SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN,
        SqlState::TRANSACTION_RESOLUTION_UNKNOWN,
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
        SqlState::CANNOT_CONNECT_NOW,
    ];
    !ends_the_connection && !unknown.contains(told.code())
}

/// What an error of the server's means to the caller.
fn refused(doing: &str, told: &DbError) -> Error {
    let unavailable = |why: &str| Error::new(ErrorKind::Unavailable, format!("{why} while {doing}"));
    let code = told.code();
    match code.code() {
        NO_QUORUM => unavailable("the server waits for no standby, and a quorum is required,")
            .advice("set synchronous_standby_names = 'ANY 1 (…)' on the server, or do not require a quorum"),
        // A move: see sidestream.refuse_mark.
        COPIED => transfer::copied(told.message()),
        MOVED => transfer::moved(told.message()),
        COPYING => transfer::copying(),
        NO_COPY => Error::invalid("the store takes nothing in: it is no copy under way"),
        // Another transaction's way: none of ours can take part in a circle of locks.
        "40001" | "40P01" => unavailable("others' transactions were in the way"),
        LOCKED => unavailable("a lock was not free in time").advice(
            "see in pg_stat_activity who holds the row of sidestream.partitions; retry with the same id",
        ),
        "57014" => unavailable("the statement was cancelled"),
        "25006" => unavailable("the server is a standby and takes no writes")
            .advice("list all hosts in the address: the one that takes writes is found"),
        "42501" => Error::invalid(format!("this user may not do what is needed while {doing}"))
            .advice(missing_role(doing)),
        "3F000" | "42P01" | "42883" | "42703" => {
            Error::invalid(format!("the schema `sidestream` is not there, or not as expected, while {doing}"))
                .advice("run `sidestream migrate --store postgres://…` as the owner of the database")
        }
        "23505" => Error::corrupt(format!(
            "a record is already there ({}) while {doing}",
            told.constraint().unwrap_or("no name")
        ))
        .advice("stop: something wrote to the tables past the functions of sidestream"),
        state if matches!(state.get(..2), Some("53" | "57" | "58" | "08")) => {
            unavailable("PostgreSQL cannot work now")
        }
        _ => Error::new(ErrorKind::Unavailable, format!("PostgreSQL refuses the statement while {doing}")),
    }
}

/// What whoever lacks a right has to be given.
fn missing_role(doing: &str) -> String {
    let role = match doing {
        "migrating the schema" => return "run it as the owner of the database, or print it with `sidestream migrate --print-sql` for whoever is".to_owned(),
        "making the roles" => return "run it as a user who may make roles, or print it with `sidestream migrate --print-sql --roles` for whoever may".to_owned(),
        "removing records" => "sidestream_compactor",
        "appending" | "locking a partition" | "locking rows" | "writing rows" | "closing partitions" => {
            "sidestream_writer"
        }
        _ => "sidestream_reader or sidestream_writer",
    };
    format!("grant it {role}, which `sidestream migrate --roles` makes: see docs/operations.md")
}

/// Nothing was done; the same may work later.
pub(super) fn unavailable(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unavailable, why)
}
