//! The two halves of a split store.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One of the two. Its name is stored in anchors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Half {
    /// Where side streams are.
    Gateway,
    /// Where aggregates are.
    Ledger,
}

impl Half {
    pub(super) const fn other(self) -> Self {
        match self {
            Self::Gateway => Self::Ledger,
            Self::Ledger => Self::Gateway,
        }
    }
}

impl fmt::Display for Half {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gateway => "gateway",
            Self::Ledger => "ledger",
        })
    }
}
