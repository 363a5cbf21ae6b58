//! What requests to rebuild a view are carried out with.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::codec::Codecs;
use crate::error::Result;
use crate::projection::definition::Definition;
use crate::projection::generation::{Demands, Generational};
use crate::projection::rebuild::Rebuild;
use crate::projection::rebuild_rows::RebuildRows;
use crate::projection::settings::Settings;
use crate::store::EventStore;

/// What a switch demands, made for each.
pub(super) type Demanding<C> = Arc<dyn Fn() -> Demands<C> + Send + Sync>;

/// What requests are carried out with.
pub(super) struct Ground<V: Generational> {
    pub(super) store: Arc<dyn EventStore>,
    pub(super) view: V,
    pub(super) rows: RebuildRows,
    pub(super) definitions: Vec<Definition<V::Rows>>,
    pub(super) demands: Demanding<V::Content>,
    pub(super) settings: Settings,
    pub(super) codecs: Codecs,
    pub(super) clock: Arc<dyn Clock>,
}

impl<V: Generational> Ground<V> {
    /// How long is waited before requests are looked for again, and how far a rebuild is.
    pub(super) fn pause(&self) -> Duration {
        Duration::from_millis(self.settings.polling.longest_ms.max(1))
    }

    /// Begins to build, or goes on, in this process.
    pub(super) async fn begin(&self) -> Result<Rebuild<V>> {
        let mut rebuild = Rebuild::begin(Arc::clone(&self.store), &self.view)
            .await?
            .settings(self.settings.clone())
            .codecs(self.codecs.clone())
            .clock(Arc::clone(&self.clock));
        for definition in &self.definitions {
            rebuild.define(definition.clone())?;
        }
        rebuild.start();
        Ok(rebuild)
    }
}

impl<V: Generational> Clone for Ground<V> {
    fn clone(&self) -> Self {
        Self {
            store: Arc::clone(&self.store),
            view: self.view.clone(),
            rows: self.rows.clone(),
            definitions: self.definitions.clone(),
            demands: Arc::clone(&self.demands),
            settings: self.settings.clone(),
            codecs: self.codecs.clone(),
            clock: Arc::clone(&self.clock),
        }
    }
}
