//! What a store knows of a move that it is part of.

use crate::error::{Error, ErrorKind};

/// What a store is in a move. It is kept in the store itself, so every process sees it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Mark {
    /// It is part of none.
    #[default]
    None,
    /// It is being copied to a place, and still serves. Nothing is removed from it meanwhile.
    Copied {
        /// Where to, as people read it.
        to: String,
    },
    /// It was moved to a place. Nothing is written to it any more.
    Moved {
        /// Where to, as people read it.
        to: String,
    },
    /// It is a copy under way. Nothing but the copy is written to it.
    Copying,
}

impl Mark {
    /// The number that stores keep.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::None => 0,
            Self::Copied { .. } => 1,
            Self::Moved { .. } => 2,
            Self::Copying => 3,
        }
    }

    /// The place that stores keep beside it; empty where there is none.
    #[must_use]
    pub fn place(&self) -> &str {
        match self {
            Self::Copied { to } | Self::Moved { to } => to,
            Self::None | Self::Copying => "",
        }
    }

    /// The mark from what a store kept.
    ///
    /// # Errors
    /// [`Corrupt`](ErrorKind::Corrupt) where there is no such mark.
    pub fn stored(code: i64, place: String) -> Result<Self, Error> {
        match code {
            0 => Ok(Self::None),
            1 => Ok(Self::Copied { to: place }),
            2 => Ok(Self::Moved { to: place }),
            3 => Ok(Self::Copying),
            other => Err(Error::corrupt("the store's mark of a move is unknown").expected("0 to 3", other)),
        }
    }

    /// Why nothing may be appended, if so; a service may not open such a store either.
    #[must_use]
    pub fn refuses_appends(&self) -> Option<Error> {
        match self {
            Self::None | Self::Copied { .. } => None,
            Self::Moved { to } => Some(moved(to)),
            Self::Copying => Some(copying()),
        }
    }

    /// Why nothing may be removed, if so.
    #[must_use]
    pub fn refuses_removals(&self) -> Option<Error> {
        match self {
            Self::Copied { to } => Some(copied(to)),
            other => other.refuses_appends(),
        }
    }
}

pub(in crate::store) fn moved(to: &str) -> Error {
    Error::new(ErrorKind::Fenced, format!("this store was moved to {to}"))
        .advice("open that one: nothing is written here any more, and retries are answered there")
}

pub(in crate::store) fn copying() -> Error {
    Error::new(ErrorKind::Fenced, "a copy into this store is under way")
        .advice("run `sidestream copy` again to finish it; until then the old store is the one to use")
}

pub(in crate::store) fn copied(to: &str) -> Error {
    Error::new(ErrorKind::Unavailable, format!("records cannot be removed while the store is copied to {to}"))
        .advice("finish the copy, or give it up with `sidestream copy --unseal`; compaction can wait")
}
