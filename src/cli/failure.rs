//! What ends the program early.

use std::fmt;
use std::process::ExitCode;

use crate::error::{Error, ErrorKind};

/// Why the program ends early: its text says what happened and what to do.
#[derive(Debug)]
pub(super) enum Failure {
    /// The call is wrong; nothing was written.
    Call(String),
    /// Something failed, or an answer was wrong.
    Run(String),
}

impl Failure {
    /// A wrong call is told from what failed.
    pub(super) fn of(error: Error) -> Self {
        match error.kind() {
            ErrorKind::Invalid => Self::Call(error.to_string()),
            _ => Self::Run(error.to_string()),
        }
    }

    pub(super) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Call(_) => ExitCode::from(2),
            Self::Run(_) => ExitCode::FAILURE,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call(text) | Self::Run(text) => f.write_str(text),
        }
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Run(error.to_string())
    }
}
