//! How far a place of a generation may be built: no further than the live one stands.

use std::sync::Arc;

use async_trait::async_trait;

use crate::error::Result;
use crate::projection::generation::{Ceiling, Generational};
use crate::projection::place::Place;

/// What tells how far a place may be built; the view's type is forgotten here.
#[async_trait]
pub(super) trait Bound: Send + Sync {
    async fn ceiling(&self) -> Result<Ceiling>;
}

/// The bound of a place in a view that is being built.
pub(super) struct Beside<V> {
    pub(super) view: Arc<V>,
    pub(super) place: Place,
}

#[async_trait]
impl<V: Generational> Bound for Beside<V> {
    async fn ceiling(&self) -> Result<Ceiling> {
        self.view.ceiling(&self.place).await
    }
}
