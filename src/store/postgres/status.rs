//! What a store tells about itself.

/// The state of a [`PostgresStore`](super::PostgresStore) in this process.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// Appends that were committed through this store and its clones, since it was opened. One commit may serve many
    /// commands.
    pub commits: u64,
}
