//! All partitions of several projections, in one process.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::clock::{Clock, SystemClock};
use crate::codec::Codecs;
use crate::error::{Error, Result};
use crate::processor::Processor;
use crate::projection::definition::{Definition, Projection};
use crate::projection::place::ProjectionId;
use crate::projection::projections::Projections;
use crate::projection::settings::Settings;
use crate::projection::view::View;
use crate::store::EventStore;

/// Makes a projection a processor; the view's type is forgotten here.
type Make = Box<dyn FnOnce(&mut Projections) -> Result<Arc<dyn Processor>> + Send>;

/// A daemon that is being set up.
#[must_use]
pub struct Builder {
    store: Arc<dyn EventStore>,
    settings: Settings,
    codecs: Codecs,
    clock: Arc<dyn Clock>,
    epoch: u64,
    projections: Vec<(ProjectionId, Make)>,
    wrong: Option<Error>,
}

impl Builder {
    /// With these settings.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Decodes with these codecs.
    pub fn codecs(mut self, codecs: Codecs) -> Self {
        self.codecs = codecs;
        self
    }

    /// Takes times and jitter from this clock.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Runs under this epoch, 1 if nothing is said: whoever runs the same projections under a lower one can commit
    /// nothing any more. Of several under the same epoch the latest to open a place has it.
    pub fn epoch(mut self, epoch: u64) -> Self {
        self.epoch = epoch;
        self
    }

    /// Adds a projection, and the view that it fills.
    pub fn project<V: View>(self, projection: impl Projection<V::Rows>, view: V) -> Self {
        let definition = Definition::of(projection);
        self.define(definition, view)
    }

    /// Adds a projection that was defined by other means, such as [`project_fn`](super::project_fn). An error is told by
    /// [`start`](Self::start).
    pub fn define<V: View>(mut self, definition: Result<Definition<V::Rows>>, view: V) -> Self {
        match definition {
            Ok(definition) => {
                let id = definition.id().clone();
                let view = Arc::new(view);
                self.projections.push((id, Box::new(|running| running.add(definition, view))));
            }
            Err(error) => self.wrong = self.wrong.or(Some(error)),
        }
        self
    }

    /// Starts all runners, on the runtime of the caller.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when a name or a selection breaks a bound, or two projections share name and
    /// version.
    pub fn start(mut self) -> Result<Daemon> {
        if let Some(error) = self.wrong {
            return Err(error);
        }
        let projections = std::mem::take(&mut self.projections);
        let mut ids: Vec<_> = projections.iter().map(|(id, _)| id.clone()).collect();
        ids.sort();
        if let Some((twice, _)) = ids.iter().zip(ids.iter().skip(1)).find(|(one, other)| one == other) {
            return Err(Error::invalid(format!("projection {twice} is given twice")));
        }
        let (mut tasks, stop) = (JoinSet::new(), watch::Sender::new(false));
        let mut running = Projections::new(Arc::clone(&self.store))
            .settings(self.settings)
            .codecs(self.codecs)
            .clock(self.clock);
        for (_, make) in projections {
            let processor = make(&mut running)?;
            let most = if processor.spans_partitions() { 1 } else { usize::MAX };
            for partition in self.store.properties().partitions.all().take(most) {
                let run = processor.run(partition, self.epoch, stop.subscribe());
                // How it ended stands in its status.
                tasks.spawn(async move { drop(run.await) });
            }
        }
        Ok(Daemon { projections: running, tasks, stop })
    }
}

/// Runs all partitions of several projections, each by itself: one that fails or waits holds no other up.
///
/// What it tells of its projections, and what can be asked of them, is [`Projections`].
///
/// Dropped, it stops where it is: what was about to be committed is then committed or not.
/// [`shutdown`](Self::shutdown) is kinder.
pub struct Daemon {
    projections: Projections,
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
}

impl Daemon {
    /// A daemon over this store, without projections.
    pub fn builder(store: impl EventStore) -> Builder {
        Builder {
            store: Arc::new(store),
            settings: Settings::default(),
            codecs: Codecs::default(),
            clock: Arc::new(SystemClock),
            epoch: 1,
            projections: Vec::new(),
            wrong: None,
        }
    }

    /// Stops all runners, each after its batch, and returns when they have.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
    }
}

impl Deref for Daemon {
    type Target = Projections;

    fn deref(&self) -> &Projections {
        &self.projections
    }
}

impl fmt::Debug for Daemon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Daemon").field("projections", &self.projections).finish_non_exhaustive()
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<_> = self.projections.iter().map(|(id, _)| id).collect();
        f.debug_struct("Builder").field("projections", &ids).finish_non_exhaustive()
    }
}
