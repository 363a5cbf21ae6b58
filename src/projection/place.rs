//! Where a projection stands: its identity and the partition.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::limits;
use crate::partition::PartitionId;

/// A projection's identity: its name and the version of its rules. Two versions of one name live side by side.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProjectionId {
    name: String,
    version: u16,
}

impl ProjectionId {
    /// Checks and takes a name, 1 to 64 bytes without control characters, and a version.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when the name is another one.
    pub fn new(name: impl Into<String>, version: u16) -> Result<Self> {
        let name = name.into();
        if name.is_empty() || name.len() > limits::PROJECTION_NAME_BYTES || name.chars().any(char::is_control)
        {
            let shown: String = name.chars().take(64).collect();
            return Err(Error::invalid(format!(
                "projection name {shown:?} is not 1 to {} bytes without control characters",
                limits::PROJECTION_NAME_BYTES
            )));
        }
        Ok(Self { name, version })
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The version of its rules.
    #[must_use]
    pub fn version(&self) -> u16 {
        self.version
    }
}

impl fmt::Display for ProjectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} v{}", self.name, self.version)
    }
}

/// One projection in one partition of one store: what a checkpoint belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The projection.
    pub projection: ProjectionId,
    /// The id of the store whose log it follows.
    pub store: Uuid,
    /// The partition.
    pub partition: PartitionId,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "projection {} in partition {}", self.projection, self.partition)
    }
}
