//! What a command came to.

use crate::codec::Codecs;
use crate::decider::Decider;
use crate::error::{Error, Result};
use crate::event::NewRecord;
use crate::stream::{Position, Version};

/// Rejections of this schema version are an operator's word, not the rules': plain text.
pub(super) const OVERRULED_SCHEMA: u16 = 0;

/// What a command came to, for good. Every later call with the same transaction, step and content hears
/// the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<R> {
    /// It took effect.
    Accepted(Receipt),
    /// The rules refused it. It had no effect and never will.
    Rejected(R),
    /// An operator ended it, with this reason. It had no effect and never will.
    Overruled(String),
}

impl<R> Outcome<R> {
    /// Whether it took effect.
    #[must_use]
    pub const fn is_accepted(&self) -> bool {
        matches!(self, Self::Accepted(_))
    }
}

/// The proof of an accepted command.
#[derive(Debug, Clone, Copy, Eq)]
pub struct Receipt {
    /// The version of the command's last record in the aggregate's stream.
    pub version: Version,
    /// Where that record lies in the log of the aggregate's partition.
    pub position: Position,
    /// Whether the command had been settled before this call. Equality ignores it: it tells of the call
    /// and not of the command.
    pub replay: bool,
}

impl PartialEq for Receipt {
    fn eq(&self, other: &Self) -> bool {
        (self.version, self.position) == (other.version, other.position)
    }
}

/// What a settled step left behind, before it is told to anybody.
#[derive(Debug, Clone)]
pub(super) enum Settlement {
    Accepted { version: Version, position: Position },
    Rejected(NewRecord),
}

impl Settlement {
    pub(super) fn outcome<D: Decider>(&self, codecs: &Codecs, replay: bool) -> Result<Outcome<D::Rejection>> {
        match self {
            Self::Accepted { version, position } => {
                Ok(Outcome::Accepted(Receipt { version: *version, position: *position, replay }))
            }
            Self::Rejected(record) if record.schema == OVERRULED_SCHEMA => {
                let reason = std::str::from_utf8(&record.payload)
                    .map_err(|source| Error::corrupt("an operator's reason is no text").caused_by(source))?;
                Ok(Outcome::Overruled(reason.to_owned()))
            }
            Self::Rejected(record) => {
                let encoded = codecs.open(record);
                let current = encoded.schema() == D::SCHEMAS.rejection;
                let reason = if current { encoded.decode() } else { D::upcast_rejection(&encoded) };
                reason.map(Outcome::Rejected)
            }
        }
    }
}
