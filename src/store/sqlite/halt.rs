//! Why a transaction came to nothing, and what its units are answered.

use crate::error::{Error, ErrorKind};
use crate::store::sqlite::failure;
use crate::store::{AppendFailure, Unit};

/// Why a transaction came to nothing.
#[derive(Debug)]
pub(super) enum Halt {
    /// Nothing was written, and that is certain.
    Refused(Error),
    /// Nothing was written before COMMIT was tried; SQLite's reason.
    BeforeCommit(&'static str, rusqlite::Error),
    /// One unit (list, unit) is to blame; without it the others can go on.
    Poisoned { place: (usize, usize), error: Error },
    /// COMMIT, or a write before it, failed in a way that leaves its outcome open.
    Doubt(rusqlite::Error),
    /// It cannot be told any more whether it was committed.
    Unknown(Error),
}

impl Halt {
    /// Sorts an error that came before any attempt to commit.
    pub(super) fn before_commit(what: &'static str, error: rusqlite::Error) -> Self {
        let is_final = failure::rollback_is_final(&error) || failure::concerns_one_unit(&error);
        if is_final { Self::BeforeCommit(what, error) } else { Self::Doubt(error) }
    }

    pub(super) fn of_unit(place: (usize, usize), unit: &Unit, error: rusqlite::Error) -> Self {
        if !failure::concerns_one_unit(&error) {
            return Self::before_commit("writing a unit", error);
        }
        let error = failure::of("writing a unit", error);
        let error = unit.appends.first().map_or(error.clone(), |append| error.in_stream(&append.stream));
        Self::Poisoned { place, error }
    }

    /// SQLite's reason, or what stands for it.
    pub(super) fn source(self) -> rusqlite::Error {
        match self {
            Self::BeforeCommit(_, error) | Self::Doubt(error) => error,
            Self::Refused(error) | Self::Unknown(error) | Self::Poisoned { error, .. } => {
                rusqlite::Error::ToSqlConversionFailure(Box::new(error))
            }
        }
    }

    /// What every unit of the transaction is answered.
    pub(super) fn into_failure(self) -> AppendFailure {
        match self {
            Self::Refused(error) | Self::Poisoned { error, .. } => AppendFailure::Refused(error),
            Self::BeforeCommit(what, error) => AppendFailure::Refused(failure::of(what, error)),
            Self::Doubt(error) => {
                let what = "sqlite: the outcome of a commit is open";
                AppendFailure::Unknown(Error::new(ErrorKind::Unknown, what).caused_by(error))
            }
            Self::Unknown(error) => AppendFailure::Unknown(error),
        }
    }
}
